"""Label maps: which label a class has, and by which name people know it. Label 0 is the background."""

from __future__ import annotations

from pathlib import Path

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from ssd_common.errors import ParseError
from ssd_common.files import PathLike

FILE_NAME = "labelmap.prototxt"  # where data_prep writes it, beside LMDBs


def read(path: PathLike) -> pb.LabelMap:
    """The label map of a prototxt. Raises ParseError."""
    return text.read(path, pb.LabelMap)


def class_names(path: PathLike | None) -> dict[int, str]:
    """Names by label, as people read them: the display name, or the name of a class that has none.

    path: a label map; without one there are no names. Raises ParseError.
    """
    items = read(path).item if path else []
    return {item.label: item.display_name or item.name for item in items}


def named_by(net: pb.NetParameter) -> str | None:
    """The first label map that a layer of the net names and that is there, else None."""
    named = [layer.annotated_data_param.label_map_file for layer in net.layer]
    named += [layer.detection_output_param.save_output_param.label_map_file for layer in net.layer]
    return next((path for path in named if path and Path(path).is_file()), None)


def count_classes(path: PathLike) -> int:
    """num_classes of nets for a label map: one more than its highest label, since labels may have gaps (COCO's own ids).

    Raises ParseError, also where there is no class or a label is negative.
    """
    labels = [item.label for item in read(path).item]
    if max(labels, default=0) < 1 or min(labels) < 0:
        said = f"labels should be 0 for the background and 1 and up for classes, not {sorted(labels)}"
        raise ParseError(str(path), said)
    return max(labels) + 1
