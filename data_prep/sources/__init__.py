"""The kinds of data sets that data_prep reads.

Importing this package registers every kind: a new one is one file here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.archives.unpacked import is_archive, unpacked
from data_prep.sources import image_lists
from data_prep.sources.kind import Kind, registered
from data_prep.sources.source import Source
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike
from ssd_common.suggest import suggest

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

KINDS: Mapping[str, Kind] = registered()


def open_source(
    kind: str, path: PathLike, *, labelmap: str | None = None, **options: Any
) -> Source:
    """Open a data set, whatever its form.

    kind: a name in KINDS, such as "voc" or "coco".
    path: its folder, its only file, or a .zip or .tar of either.
    labelmap: a label map's file or built-in name; only annoset's text files need it.
    options: those of one kind: yolo's names (a file), kitti's level and dont_care, annoset's
      label_type.
    Raises CaffeError where the data set is missing, and with the nearest name for a kind or an
      option that does not exist.
    """
    if kind not in KINDS:
        near = suggest(kind, KINDS) or f" (one of {', '.join(KINDS)})"
        raise CaffeError(f"no kind '{kind}'{near}")
    found = KINDS[kind]
    known = {option.name: option for option in found.options}
    for name, value in options.items():
        if name not in known:
            near = suggest(name, known)
            raise CaffeError(f"{kind} has no option '{name}'{near}")
        choices = known[name].choices
        if choices and value not in choices:
            near = suggest(str(value), choices)
            wanted = ", ".join(choices)
            raise CaffeError(f"{name}: '{value}' is not one of {wanted}{near}")
    if found.needs_labelmap:
        options["labelmap"] = labelmap
    place = Path(path)
    if is_archive(place):
        folder = unpacked(place)
        if "images" in known and not options.get("images") and not image_lists.has_images(folder):
            options["images"] = place.resolve().parent
        place = folder
    return found.open(place, **options)
