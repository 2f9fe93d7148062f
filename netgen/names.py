"""Short names of zoo ids.

Needs the standard library only: `make` asks before anything is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


def full_id(
    name: str,
    ids: Iterable[str],
    *,
    what: str = "detector",
    others: Iterable[str] = (),
    see: str = "netgen list",
) -> str:
    """Return the zoo id that a name means.

    That is the name itself, or the first of `ids` that adds a backbone or a data set to a name with
    a size: "fssd300" is fssd300_voc0712, "ppn300" ppn300_coco, "ssd321" ssd321_resnet101_voc0712.
    what: the word for an id in the error.
    others: more names that the error may suggest.
    see: the command that the error names.
    Raises CaffeError with the nearest of ids, short names and `others`.
    """
    ids = list(ids)
    if name in ids:
        return name
    longer = [zoo_id for zoo_id in ids if zoo_id.startswith(f"{name}_")]
    if longer and (len(longer) == 1 or re.search(r"\d", name)):
        return f"{name}_voc0712" if f"{name}_voc0712" in longer else longer[0]
    short = (zoo_id.removesuffix("_voc0712") for zoo_id in ids)
    near = suggest(name, [*ids, *short, *others])
    raise CaffeError(f"no {what} '{name}'{near}; `{see}` shows them all")
