"""COCO-style JSON: one file of images, categories and annotations for a whole split; read as a stream."""

from __future__ import annotations

import json
import math
import struct
from itertools import islice
from pathlib import Path
from typing import Any

from caffe_ir.errors import CaffeError, ParseError, suggest
from data_prep.json_stream import elements
from data_prep.source import Annotation, Item, Object
from data_prep.sources.lists import find, image_name, read_lines, words_of

SECTIONS = ("images", "annotations", "categories")
KINDS = ("instances_", "image_info_", "person_keypoints_")
OTHER_KINDS = ("captions_", "stuff_", "panoptic_")  # no boxes of objects in them
# What the papers train and test on, as COCO's own files name it; 2017's train and val are the same images as these two.
SPLITS = {"trainval35k": [["train2014", "valminusminival2014"], ["train2017"]], "minival": [["minival2014"], ["val2017"]]}
PROBES = 20  # images that are looked for before their folder counts as not found


class Coco:
    """A folder with COCO-style JSON files (here, in `annotations/`, or one per split as Roboflow writes them), or one such file.

    A crowd (iscrowd) is a difficult object and a category goes by its name, as in the SSD fork's data/coco; an image that no
    annotation belongs to has no objects. classes: names in the order of the categories' ids, known once a file has been read.
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp, ReadJSONToAnnotatedDatum.
    """

    whole_pixels = False

    def __init__(self, root: Path) -> None:
        self._only = root if root.is_file() else None
        if self._only:
            root = root.parent.parent if root.parent.name == "annotations" else root.parent
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder or file")
        self.root = root
        self.names: dict[str, dict[str, str]] = {}  # JSON file -> category id -> class

    @property
    def classes(self) -> list[str]:
        return list(dict.fromkeys(name for names in self.names.values() for name in names.values()))

    @property
    def ids(self) -> dict[str, str]:
        """Category id to class, of all files together."""
        return {i: name for names in self.names.values() for i, name in names.items()}

    def files(self) -> dict[str, Path]:
        """The annotation files by the names of their splits."""
        if self._only:
            return {split_of(self._only): self._only}
        inside = [p for folder in (self.root, self.root / "annotations", self.root / "Annotations") for p in sorted(folder.glob("*.json"))]
        inside += sorted(self.root.glob("*/_annotations.coco.json"))
        return {split_of(p): p for p in inside if not p.name.startswith(OTHER_KINDS)}

    def sets(self) -> list[str]:
        files = self.files()
        return sorted(files) + [s for s, choices in SPLITS.items() if any(all(n in files for n in names) for names in choices)]

    def items(self) -> list[Item]:
        files = self.files()
        if not files:
            raise CaffeError(f"{self.root}: no annotation file (*.json) there or in its folder 'annotations'")
        if len(files) > 1:
            raise CaffeError(f"{self.root}: several annotation files; choose with --list {', --list '.join(self.sets())}")
        return self._load(next(iter(files.values())))

    def read_list(self, name: str) -> list[Item]:
        """The images of a split (`train2017`, `trainval35k`, `minival`), of a JSON file, or those that a text file lists, one a line
        by file name, id, or as the list that was written beside an LMDB.
        """
        files = self.files()
        for names in SPLITS.get(name, [[name]]):
            if all(n in files for n in names):
                return [item for n in names for item in self._load(files[n])]
        path = find(name, (Path(name), self.root / name, self.root / "ImageSets" / f"{name}.txt"), self.sets())
        return self._load(path) if path.suffix == ".json" else self._listed(path)

    def _listed(self, path: Path) -> list[Item]:
        lines = [(f"{path}:{n}", words_of(line, f"{path}:{n}")) for n, line in read_lines(path, "the list")]
        named = {words[1].partition("#")[0] for _, words in lines if len(words) == 2}
        files = [self.root / n for n in sorted(named)] if named and all((self.root / n).is_file() for n in named) else self.files().values()
        known: dict[str, Item] = {}
        for item in (i for file in files for i in self._load(file)):
            for key in (item.name or "", Path(item.image).stem, Path(item.image).name, item.image):
                known[key] = item
        items = []
        for place, (image, *_) in lines:
            if image not in known:
                raise CaffeError(f"{place}: no image '{image}' in the annotation files{suggest(image, islice(known, 5000))}")
            items.append(known[image]._replace(place=place))
        return items

    def file(self, item: Item) -> str:
        return str(self.root / item.annotation)

    def read(self, item: Item) -> Annotation:
        """The annotation that the item carries; an object's line is its annotation's id, as COCO's files often are a single line."""
        size, *rows = json.loads(f"[{item.content}]")
        names = self.names[item.annotation.partition("#")[0]]
        objects = []
        for row in rows:
            if isinstance(row, str):
                raise ParseError(self.file(item), row)
            category, crowd, *box, record = row
            if str(category) not in names:
                known = ", ".join(list(names)[:5]) + (", …" if len(names) > 5 else "")
                raise ParseError(self.file(item), f"category {category} is not among the {len(names)} categories ({known})", record)
            objects.append(Object(names[str(category)], bool(crowd), *box, record))
        return Annotation(*size, objects)

    def _load(self, path: Path) -> list[Item]:
        """The items of one JSON file, which carry their annotations. Raises ParseError for what belongs to no image."""
        images: dict[str, tuple[str, int, int]] = {}
        rows: dict[str, list[str]] = {}
        names: dict[str, str] = {}
        seen = set()
        for section, index, line, value in elements(path, SECTIONS):
            seen.add(section)
            if not isinstance(value, dict):
                raise ParseError(str(path), f"{section}[{index}] is {json.dumps(value)[:40]}, not an object", line)
            try:
                if section == "images":
                    key = str(value["id"])
                    if key in images:
                        raise ParseError(str(path), f"images[{index}]: id {key} is there twice", line)
                    images[key] = (image_name(str(value["file_name"])), _side(value, "width"), _side(value, "height"))
                elif section == "annotations":
                    rows.setdefault(str(value["image_id"]), []).append(_row(value, index))
                else:
                    names[str(value["id"])] = str(value["name"])
            except KeyError as error:
                near = suggest(str(error.args[0]), value).replace("did you mean", "there is")
                raise ParseError(str(path), f"{section}[{index}] without {error.args[0]!r}{near}", line) from None
            except ValueError as error:
                raise ParseError(str(path), f"{section}[{index}]: {error}", line) from None
        if "images" not in seen:
            raise ParseError(str(path), "no list 'images', or an empty one: not a COCO-style annotation file")
        if strays := rows.keys() - images.keys():
            raise ParseError(
                str(path), f"{sum(len(rows[s]) for s in strays)} annotations of images that are not in 'images' (id {min(strays)})"
            )
        place = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path.absolute())
        self.names[place] = {i: names[i] for i in sorted(names, key=lambda i: (int(i) if i.isdigit() else math.inf, i))}
        folders = self._folders(path, [name for name, _, _ in images.values()])
        return [
            Item(folders[_prefix(name)] + name, f"{place}#{i}", None, i, ",".join([f"[{width},{height}]", *rows.pop(i, ())]))
            for i, (name, width, height) in images.items()
        ]

    def _folders(self, path: Path, names: list[str]) -> dict[str, str]:
        """Where the images of each prefix lie, relative to the root: the first place where one of them is."""
        split = split_of(path)
        beside = f"{path.parent.relative_to(self.root)}/" if path.is_relative_to(self.root) else f"{path.parent.absolute()}/"
        found = {}
        for prefix in {_prefix(name) for name in names}:
            parts = [prefix, split] if prefix else [split]
            places = [
                "",
                *(f"{p}/" for part in parts for p in (part, f"images/{part}")),
                "images/",
                beside,
                f"{beside}images/",
                "JPEGImages/",
            ]
            probed = list(islice((n for n in names if _prefix(n) == prefix), PROBES))
            found[prefix] = next((p for p in places if any((self.root / p / n).is_file() for n in probed)), "").removeprefix("./")
        return found


def split_of(path: Path) -> str:
    """`train2017` for `annotations/instances_train2017.json`, `valid` for `valid/_annotations.coco.json`."""
    if path.name.startswith("_annotations"):
        return path.parent.name
    return next((path.stem.removeprefix(kind) for kind in KINDS if path.stem.startswith(kind)), path.stem)


def _prefix(name: str) -> str:
    """The split that COCO's 2014 and 2015 images have in their names: `val2014` of `COCO_val2014_000000000042.jpg`."""
    parts = name.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == "COCO" else ""


def _side(value: dict[str, Any], side: str) -> int:
    size = value.get(side) or 0
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 <= size < 1e6:
        raise ValueError(f"{side} is {json.dumps(size)[:40]}, not a number of pixels")
    return int(size)


def _row(value: dict[str, Any], index: int) -> str:
    """One annotation as an item carries it: category, crowd, corners, id; or what is wrong with it."""
    record = value.get("id", index)
    if isinstance(record, bool) or not isinstance(record, int):
        record = index
    said = f"annotation {record}: "
    box, category, crowd = value.get("bbox"), value.get("category_id"), value.get("iscrowd") or 0
    if box is None:
        return json.dumps(f"{said}no bbox (is this a file of captions?)")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(x) for x in box):
        return json.dumps(f"{said}bbox is {json.dumps(box)[:60]}, not [x, y, width, height] in pixels")
    if category is None or not isinstance(category, (int, str)) or isinstance(category, bool):
        return json.dumps(f"{said}category_id is {json.dumps(category)[:40]}")
    x, y, width, height = (_single(v) for v in box)
    corners = (_plain(x), _plain(y), _plain(_single(x + width)), _plain(_single(y + height)))
    return json.dumps((category, int(bool(crowd)), *corners, record), separators=(",", ":"))


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) < 1e9  # neither infinite nor NaN


def _single(x: float) -> float:
    """x in single precision, in which the fork adds corner and side."""
    return struct.unpack("f", struct.pack("f", x))[0]


def _plain(x: float) -> float:
    return int(x) if x.is_integer() else x
