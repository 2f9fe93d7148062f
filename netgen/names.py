"""Names that users type: zoo ids and their short forms, phases, targets.

This file imports nothing beyond the standard library and ssd_common: `make` runs it before
anything is installed, and `--help` waits for no library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

PHASES = ("train", "test", "deploy")
# Caffe builds that a net is written for: "ssd" has stock layers, "fssd" has Interp, too.
TARGETS = ("ssd", "fssd")
AP_VERSIONS = ("11point", "MaxIntegral", "Integral")  # of average precision, as Caffe names them
RESULT_FORMATS = ("VOC", "COCO", "ILSVRC")  # of the files that test nets write


def full_id(
    name: str,
    ids: Iterable[str],
    *,
    what: str = "detector",
    others: Iterable[str] = (),
    see: str = "netgen list",
) -> str:
    """Return the zoo id that a name means: the name itself, or the id that it is short for.

    A name with a size is short for the first id that adds a backbone or a data set to it, VOC 07+12
    first: "fssd300" is fssd300_voc0712, "ppn300" ppn300_coco, "ssd321" ssd321_resnet101_voc0712. A
    name without a size is short for an id only if it fits no other.

    ids: every zoo id.
    what: the word for an id in the error.
    others: more names that the error may suggest.
    see: the command that the error names.

    Raises CaffeError with the nearest of ids, short names and `others` for an unknown name.
    """
    ids = list(ids)
    if name in ids:
        return name
    longer = [zoo_id for zoo_id in ids if zoo_id.startswith(f"{name}_")]
    has_size = re.search(r"\d", name) is not None
    if longer and (len(longer) == 1 or has_size):
        on_voc = f"{name}_voc0712"
        if on_voc in longer:
            return on_voc
        return longer[0]
    short = (zoo_id.removesuffix("_voc0712") for zoo_id in ids)
    near = suggest(name, [*ids, *short, *others])
    raise CaffeError(f"no {what} '{name}'{near}; `{see}` shows them all")
