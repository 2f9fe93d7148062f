"""Label maps: the label and the display name of each class.

Label 0 is the background.
"""

from __future__ import annotations

from pathlib import Path

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from ssd_common.errors import ParseError
from ssd_common.files import PathLike

FILE_NAME = "labelmap.prototxt"  # where data_prep writes it, beside LMDBs


def read(path: PathLike) -> pb.LabelMap:
    """Read the label map of a prototxt. Raises ParseError."""
    return text.read(path, pb.LabelMap)


def class_names(path: PathLike | None) -> dict[int, str]:
    """Return each label's display name, or the class's name where it has none.

    path: a label map; None and "" give no names.
    Raises ParseError where the file cannot be read.
    """
    if not path:
        return {}
    return {item.label: item.display_name or item.name for item in read(path).item}


def named_by(net: pb.NetParameter) -> str | None:
    """Find the first existing label map that a layer of the net names, else None."""
    named = [layer.annotated_data_param.label_map_file for layer in net.layer]
    for layer in net.layer:
        saved = layer.detection_output_param.save_output_param
        named.append(saved.label_map_file)
    return next((path for path in named if path and Path(path).is_file()), None)


def count_classes(path: PathLike) -> int:
    """Return the num_classes that nets need for a label map, background included.

    It is one more than the highest label, since labels may have gaps, as COCO's own ids do.
    Raises ParseError where the file cannot be read, has no class or has a negative label.
    """
    labels = [item.label for item in read(path).item]
    highest = max(labels, default=0)
    if highest < 1 or min(labels) < 0:
        wanted = "0 for the background and 1 and up for classes"
        raise ParseError(str(path), f"labels should be {wanted}, not {sorted(labels)}")
    return highest + 1
