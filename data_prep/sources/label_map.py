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
    """The file of a label map: a built-in one (voc, coco, coco_ids, ilsvrc) or a path.

    Raises CaffeError if there is neither.
    """
    path = _FOLDER / f"{BUILT_IN[name]}.prototxt" if name in BUILT_IN else Path(name)
    if not path.is_file():
        raise CaffeError(f"{name}: no such label map (a file, or one of {', '.join(BUILT_IN)})")
    return path


def beside(path: Path, name: str | None = None) -> Path | None:
    """A label map's file by name, as find, or the labelmap.prototxt beside an LMDB.

    path: the LMDB
    name: None for the one beside it
    Returns None where no name is given and none lies beside the LMDB.
    """
    from caffe_ir.label_map import FILE_NAME  # noqa: PLC0415  protobuf, which help does without

    if name:
        return find(name)
    own = path.with_name(FILE_NAME)
    return own if own.is_file() else None


def find_map(name: str) -> Path:
    """The file of a map of classes: coco_voc, VOC's classes of COCO, or a path.

    Raises CaffeError if there is neither.
    """
    path = _FOLDER / "coco_voc_map.txt" if name == "coco_voc" else Path(name)
    if not path.is_file():
        raise CaffeError(f"{name}: no such map of classes (a file, or coco_voc)")
    return path


def make(classes: Iterable[str]) -> pb.LabelMap:
    """The label map of some classes in their order, the background before them."""
    from caffe_ir import caffe_ir_pb2 as pb  # noqa: PLC0415  protobuf, which help does without

    result = pb.LabelMap()
    result.item.add(name=BACKGROUND, label=0, display_name="background")
    for label, name in enumerate(dict.fromkeys(classes), 1):
        result.item.add(name=name, label=label, display_name=name)
    return result


def labels_of(label_map: pb.LabelMap, path: str) -> dict[str, int]:
    """Class name to label; a display name counts too where no class is named so. path: for errors.

    Raises CaffeError if a name or a label is there twice (the fork's --check_label).
    """
    items = label_map.item
    for what, values in (("name", [i.name for i in items]), ("label", [i.label for i in items])):
        twice = [v for v, n in Counter(values).items() if n > 1]
        if twice:
            raise CaffeError(f"{path}: {what} {twice[0]!r} is there more than once")
    labels = {i.name: i.label for i in items}
    shown = Counter(i.display_name for i in items)
    return {i.display_name: i.label for i in items if i.display_name and shown[i.display_name] == 1} | labels
