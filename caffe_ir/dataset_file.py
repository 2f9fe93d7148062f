"""dataset.json: the paths of a data set's LMDBs and of the files beside them.

data_prep writes it, `netgen build --dataset` reads it.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

from caffe_ir.label_map import count_classes
from ssd_common.errors import ParseError
from ssd_common.files import PathLike
from ssd_common.json_file import read_json
from ssd_common.suggest import suggest

FILE_NAME = "dataset.json"


@dataclass(frozen=True)
class DatasetFile:
    """The contents of a dataset.json. Paths are relative to its folder.

    name: the data set's name.
    labelmap: the label map.
    train_lmdb: the LMDB of training images.
    test_lmdb: the LMDB of test images.
    name_size: the file of the test images' names and sizes.
    train_images: how many images train_lmdb holds.
    test_images: how many images test_lmdb holds.
    force_color: whether some images lack the three channels that the others have.
    annotations: COCO's annotation file of the test images; "" where there is none.
    num_classes: how many classes, background included; not in the file but counted in the label map
        (caffe_ir.label_map.count_classes); 0 until counted.
    """

    name: str
    labelmap: str
    train_lmdb: str
    test_lmdb: str
    name_size: str
    train_images: int
    test_images: int
    force_color: bool = False
    annotations: str = ""
    num_classes: int = 0


# The type of every field that the file must have, by the field's name.
_REQUIRED = {field.name: field.type for field in fields(DatasetFile) if field.default is MISSING}
_TYPES = {"str": (str, "a string"), "int": (int, "a number")}


def read(path: PathLike) -> DatasetFile:
    """Read a dataset.json, and count the classes in its label map.

    path: the file, or its folder.
    Raises ParseError where the file is missing, is not JSON, lacks a field or has one of the wrong
    type, and where the label map cannot be read or has no classes.
    """
    file = Path(path)
    if file.is_dir():
        file /= FILE_NAME
    values = _object(file)
    for name in _REQUIRED:
        _check_field(file, values, name)
    required = {name: values[name] for name in _REQUIRED}
    about = DatasetFile(
        **required,
        force_color=values.get("force_color") is True,
        annotations=_optional_path(file, values, "annotations"),
    )
    if about.test_images < 1 or about.train_images < 1:
        message = "train_images and test_images count at least one image each"
        raise ParseError(str(file), message)
    labelmap = file.parent / about.labelmap
    return replace(about, num_classes=count_classes(str(labelmap)))


def dumps(about: DatasetFile) -> str:
    """Return the text of a dataset.json, with force_color and annotations only where set."""
    values: dict[str, Any] = {name: getattr(about, name) for name in _REQUIRED}
    if about.force_color:
        values["force_color"] = True
    if about.annotations:
        values["annotations"] = about.annotations
    return json.dumps(values, indent=2) + "\n"


def _object(file: Path) -> dict[str, Any]:
    """Read the JSON object in a file. Raises ParseError where there is none."""
    values = read_json(file, "not the dataset.json that data_prep writes")
    if not isinstance(values, dict):
        raise ParseError(str(file), "a data set is a JSON object")
    return values


def _optional_path(file: Path, values: dict[str, Any], name: str) -> str:
    """Return the path in a field, "" where it is missing. Raises ParseError for what is no path."""
    value = values.get(name, "")
    if not isinstance(value, str) or not _is_text(value):
        raise ParseError(str(file), f"field '{name}' should be a path, not {value!r}")
    return value


def _check_field(file: Path, values: dict[str, Any], name: str) -> None:
    """Raise ParseError where a required field is missing or has the wrong type."""
    if name not in values:
        unknown = set(values) - set(_REQUIRED)
        near = suggest(name, unknown).replace("did you mean", "there is")
        raise ParseError(str(file), f"field '{name}' is missing{near}")
    wanted, type_name = _TYPES[str(_REQUIRED[name])]
    value = values[name]
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ParseError(str(file), f"field '{name}' should be {type_name}, not {value!r}")
    if isinstance(value, str) and not _is_text(value):
        message = f"field '{name}' has characters that no path can hold: {value!r}"
        raise ParseError(str(file), message)


def _is_text(value: str) -> bool:
    """Tell whether paths and prototxts can hold a string: not so a zero byte, or a surrogate."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False
