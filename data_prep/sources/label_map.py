"""Label maps: which number a class name has. Label 0 is the background.

coco numbers COCO's 80 classes 1 to 80, coco_ids by their own ids, 1 to 90 with gaps, as
TensorFlow's detectors do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_common.errors import CaffeError

if TYPE_CHECKING:
    from caffe_ir import caffe_ir_pb2 as pb

BACKGROUND = "none_of_the_above"
BUILT_IN = {
    "voc": "labelmap_voc",
    "coco": "labelmap_coco",
    "coco_ids": "labelmap_coco_ids",
    "ilsvrc": "labelmap_ilsvrc_det",
}
_FOLDER = Path(__file__).parents[1] / "labelmaps"


def find(name: str) -> Path:
    """Return the file of a label map: a built-in one (voc, coco, coco_ids, ilsvrc) or a path.

    Raises CaffeError if there is neither.
    """
    path = Path(name)
    if name in BUILT_IN:
        path = _FOLDER / f"{BUILT_IN[name]}.prototxt"
    if not path.is_file():
        known = ", ".join(BUILT_IN)
        raise CaffeError(f"{name}: no such label map (a file, or one of {known})")
    return path


def beside(path: Path, name: str | None = None) -> Path | None:
    """Return a label map's file by name, as find, or the labelmap.prototxt beside an LMDB.

    path: the LMDB.
    name: None for the file beside it.
    Returns None where name is None and no such file lies beside the LMDB.
    """
    # Protobuf, which help does without.
    from caffe_ir.label_map import FILE_NAME  # noqa: PLC0415

    if name:
        return find(name)
    own = path.with_name(FILE_NAME)
    if own.is_file():
        return own
    return None


def find_map(name: str) -> Path:
    """Return the file of a map of classes: coco_voc, VOC's classes of COCO, or a path.

    Raises CaffeError if there is neither.
    """
    path = Path(name)
    if name == "coco_voc":
        path = _FOLDER / "coco_voc_map.txt"
    if not path.is_file():
        raise CaffeError(f"{name}: no such map of classes (a file, or coco_voc)")
    return path


def make(classes: Iterable[str]) -> pb.LabelMap:
    """Make the label map of classes in their order, the background before them."""
    # Protobuf, which help does without.
    from caffe_ir import caffe_ir_pb2 as pb  # noqa: PLC0415

    result = pb.LabelMap()
    result.item.add(name=BACKGROUND, label=0, display_name="background")
    for label, name in enumerate(dict.fromkeys(classes), 1):
        result.item.add(name=name, label=label, display_name=name)
    return result


def labels_of(label_map: pb.LabelMap, path: str) -> dict[str, int]:
    """Return class name → label; a display name counts where no class has it as its name.

    path: the label map's file, for errors.
    Raises CaffeError if a name or a label occurs twice (the fork's --check_label).
    """
    items = label_map.item
    _refuse_twice("name", [item.name for item in items], path)
    _refuse_twice("label", [item.label for item in items], path)
    often = Counter(item.display_name for item in items)
    labels = {}
    for item in items:
        if item.display_name and often[item.display_name] == 1:
            labels[item.display_name] = item.label
    labels.update((item.name, item.label) for item in items)
    return labels


def _refuse_twice(what: str, values: Iterable[str | int], path: str) -> None:
    """Raise CaffeError for the first value that occurs more than once."""
    for value, count in Counter(values).items():
        if count > 1:
            raise CaffeError(f"{path}: {what} {value!r} is there more than once")
