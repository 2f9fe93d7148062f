"""Class names and splits of YOLO's data sets.

They stand in data.yaml, obj.data, obj.names or classes.txt.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import image_lists
from ssd_common.errors import CaffeError, ParseError

FILES = ("data.yaml", "data.yml", "dataset.yaml", "obj.data", "obj.names", "classes.txt", "labels/classes.txt", "predefined_classes.txt")
SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
Value = str | list[str] | dict[str, str]


class Names(NamedTuple):
    """What a data set says of itself.

    classes: by number
    sets: name of a split to folders or lists
    file: where the classes are from
    folder: where paths of sets start
    """

    classes: list[str]
    sets: dict[str, list[str]]
    file: Path
    folder: Path


def read(root: Path, given: Path | None) -> Names:
    """Class names and splits of the folder root; given: the file that has them.

    Raises CaffeError where there is none.
    """
    if given and not given.is_file():
        raise CaffeError(f"{given}: no such file of class names")
    path = given or next((root / name for name in FILES if (root / name).is_file()), None)
    if path is None:
        others = sorted(root.glob("*.yaml")) + sorted(root.glob("*.names"))
        if len(others) != 1:
            known = "data.yaml, obj.names or classes.txt; --names takes them from elsewhere"
            raise CaffeError(f"{root}: no class names ({known})")
        path = others[0]
    if path.suffix in (".yaml", ".yml"):
        return _from_yaml(path)
    if path.suffix == ".data":
        return _from_data(path, root)
    return Names(_lines(path), {}, path, path.parent)


def _lines(path: Path) -> list[str]:
    return _checked([line for _, line in image_lists.read_lines(path, "a list of class names")], path)


def _checked(classes: list[str], path: Path) -> list[str]:
    try:
        found = [image_lists.class_name(c) for c in classes]
    except ValueError as error:
        raise CaffeError(f"{path}: {error}") from None
    if not found:
        raise CaffeError(f"{path}: no class names in it")
    return found


def _from_data(path: Path, root: Path) -> Names:
    """Darknet's obj.data: lines `names = data/obj.names`, `train = data/train.txt`."""
    values = {}
    for number, line in image_lists.read_lines(path, "a file of darknet's"):
        key, equals, value = line.partition("=")
        if not equals:
            raise ParseError(str(path), f"'{image_lists.shown(line)}' where 'key = value' should be", number)
        values[key.strip()] = value.strip()
    listed = values.get("names", "obj.names")
    places = (path.parent / listed, root / listed, path.parent / Path(listed).name)
    file = next((place for place in places if os.path.isfile(place)), None)
    if file is None:
        raise CaffeError(f"{path}: no file of class names '{image_lists.shown(listed)}'")
    sets = {SPLITS[k]: [v] for k, v in values.items() if k in SPLITS and v}
    return Names(_lines(file), sets, file, path.parent)


def _from_yaml(path: Path) -> Names:
    values = read_yaml(path)
    found = values.get("names")
    if isinstance(found, dict):
        numbers = {int(k): v for k, v in found.items() if k.isdecimal()}
        if len(numbers) != len(found) or sorted(numbers) != list(range(len(numbers))):
            given = image_lists.shown(", ".join(found))
            said = f"names should be numbered from 0 without gaps, not {given}"
            raise ParseError(str(path), said)
        found = [numbers[i] for i in range(len(numbers))]
    if not isinstance(found, list):
        raise ParseError(str(path), "no class names in it (names: [person, car])")
    count = values.get("nc", str(len(found)))
    if count != str(len(found)):
        raise ParseError(str(path), f"nc is {image_lists.shown(str(count))}, but there are {len(found)} names")
    sets: dict[str, list[str]] = {}
    for key, name in SPLITS.items():
        value = values.get(key)
        if value and not isinstance(value, dict):
            sets[name] = [value] if isinstance(value, str) else value
    folder, base = path.parent, values.get("path")
    if isinstance(base, str) and os.path.isdir(folder / base):
        folder /= base
    return Names(_checked(found, path), sets, path, folder)


def read_yaml(path: Path) -> dict[str, Value]:
    """The top-level scalars, and lists and mappings of scalars, of a YAML file.

    data.yaml needs no more. Raises ParseError.
    """
    values: dict[str, Value] = {}
    key, flow = "", ""  # the key whose block or [list over several lines] is being read
    for number, line in _raw_lines(path):
        text = _uncommented(line)
        if flow or not text.strip():
            flow += text.strip()
        elif found := re.match(r"([A-Za-z_][\w-]*)\s*:(?:\s+(.*))?$", text):
            key, flow = found[1], (found[2] or "").strip()
            values[key] = ""
        elif not key:
            raise ParseError(str(path), f"'{image_lists.shown(text.strip())}' where 'key: value' should be", number)
        else:
            _add(values, key, text.strip(), path, number)
        if flow[:1] in ("[", "{") and flow[-1:] != {"[": "]", "{": "}"}[flow[0]]:
            continue
        if flow:
            values[key], flow = _scalar_or_flow(flow), ""
    if flow:
        raise ParseError(str(path), f"{key}: '{flow[0]}' is never closed")
    return values


def _raw_lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CaffeError(f"{path}: not a YAML file: it is no UTF-8 text") from None
    return [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() not in ("---", "...")]


def _add(values: dict[str, Value], key: str, text: str, path: Path, number: int) -> None:
    """A line of the block below a key: `- item`, or `0: item`."""
    if text.startswith("-"):
        block = values[key] or []
        if isinstance(block, list):
            values[key] = [*block, _scalar(text[1:])]
            return
    elif pair := re.match(r"""(?:'([^']*)'|"([^"]*)"|([^:]+?))\s*:(?:\s+(.*))?$""", text):
        block = values[key] or {}
        if isinstance(block, dict):
            values[key] = {**block, pair[1] or pair[2] or pair[3]: _scalar(pair[4] or "")}
            return
    raise ParseError(str(path), f"'{image_lists.shown(text)}' is neither '- item' nor '0: item'", number)


def _uncommented(line: str) -> str:
    """The line without a comment: # at its start or after a space, outside quotes."""
    return re.sub(r"""^((?:[^'"#]|(?<!\s)(?<!^)#|'[^']*'|"[^"]*"|['"])*?)(?:(?:^|\s)#.*)?$""", r"\1", line.rstrip("\r\n")).rstrip()


def _scalar(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _scalar_or_flow(text: str) -> Value:
    if text[0] not in "[{":
        return _scalar(text)
    parts = [p for p in re.findall(r"""\s*((?:'[^']*'|"[^"]*"|[^,'"]|['"])+)\s*(?:,|$)""", text[1:-1]) if p.strip()]
    if text[0] == "[":
        return [_scalar(p) for p in parts]
    pairs = [p.partition(":") for p in parts]
    return {_scalar(k): _scalar(v) for k, _, v in pairs}
