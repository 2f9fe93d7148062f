"""dataset.json: where a data set's LMDBs and the files beside them lie. data_prep writes it, `netgen build --dataset` reads it."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

from caffe_ir.label_map import count_classes
from ssd_common.errors import ParseError
from ssd_common.files import PathLike
from ssd_common.suggest import suggest

FILE_NAME = "dataset.json"


@dataclass(frozen=True)
class DatasetFile:
    """What a dataset.json says. Paths are relative to its folder.

    name_size: the file of the test images' names and sizes. force_color: set where some images have
    not the three channels of the others. num_classes: background included; it is not in the file
    but follows from the label map (caffe_ir.label_map.count_classes), and 0 is: not looked up.
    """

    name: str
    labelmap: str
    train_lmdb: str
    test_lmdb: str
    name_size: str
    train_images: int
    test_images: int
    force_color: bool = False
    num_classes: int = 0


_REQUIRED = {field.name: field.type for field in fields(DatasetFile) if field.default is MISSING}
_TYPES = {"str": (str, "a string"), "int": (int, "a number")}


def read(path: PathLike) -> DatasetFile:
    """A dataset.json, with the classes that its label map has. path: the file, or its folder.

    Raises ParseError for a file that is no JSON, lacks a field or has one of the wrong type, and for
    a label map that does not serve; OSError where the file is missing.
    """
    file = Path(path)
    if file.is_dir():
        file /= FILE_NAME
    values = _object(file)
    for name in _REQUIRED:
        _check_field(file, values, name)
    required = {name: values[name] for name in _REQUIRED}
    about = DatasetFile(**required, force_color=values.get("force_color") is True)
    if about.test_images < 1 or about.train_images < 1:
        raise ParseError(str(file), "train_images and test_images count at least one image each")
    return replace(about, num_classes=count_classes(str(file.parent / about.labelmap)))


def dumps(about: DatasetFile) -> str:
    """The text of a dataset.json; force_color stands in it where it is set."""
    values: dict[str, Any] = {name: getattr(about, name) for name in _REQUIRED}
    if about.force_color:
        values["force_color"] = True
    return json.dumps(values, indent=2) + "\n"


def _object(file: Path) -> dict[str, Any]:
    """The JSON object of a file. Raises ParseError."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ParseError(str(file), f"not a text file ({error.reason})") from None
    except json.JSONDecodeError as error:
        said = f"not the dataset.json that data_prep writes: {error.msg[0].lower()}{error.msg[1:]}"
        raise ParseError(str(file), said, error.lineno, error.colno) from None
    if not isinstance(values, dict):
        raise ParseError(str(file), "a data set is a JSON object")
    return values


def _check_field(file: Path, values: dict[str, Any], name: str) -> None:
    """Raise ParseError where a required field is missing or not of its type."""
    if name not in values:
        near = suggest(name, set(values) - set(_REQUIRED)).replace("did you mean", "there is")
        raise ParseError(str(file), f"field '{name}' is missing{near}")
    wanted, said = _TYPES[str(_REQUIRED[name])]
    if not isinstance(values[name], wanted) or isinstance(values[name], bool):
        raise ParseError(str(file), f"field '{name}' should be {said}, not {values[name]!r}")
