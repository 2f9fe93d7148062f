"""COCO-style JSON: one file, read as a stream, for the images and annotations of a split."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.sources import image_lists
from data_prep.sources.bundle import Bundle
from data_prep.sources.json_stream import elements
from data_prep.sources.kind import Kind
from data_prep.sources.source import Annotation, Item, Object, read_each
from ssd_common.errors import ParseError
from ssd_common.suggest import suggest

SECTIONS = ("images", "annotations", "categories")
KINDS = ("instances_", "image_info_", "person_keypoints_")
OTHER_KINDS = ("captions_", "stuff_", "panoptic_")  # no boxes of objects in them


class Coco(Bundle):
    """A folder with COCO-style JSON files, or one such file.

    A crowd (iscrowd) is a difficult object, as in the SSD fork's data/coco, and an image that no
    annotation belongs to has no objects.
    classes: in the order of the categories' ids.
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp, ReadJSONToAnnotatedDatum.
    """

    suffixes = (".json",)
    splits: Mapping[str, list[list[str]]] = {
        "trainval35k": [["train2014", "valminusminival2014"], ["train2017"]],  # 2017's train and val are the images of
        "minival": [["minival2014"], ["val2017"]],  # these two
        "trainval": [["train2014", "val2014"], ["train2017", "val2017"]],
    }

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._names: dict[str, dict[str, str]] = {}  # annotation file -> category id -> class

    @property
    def classes(self) -> list[str]:
        """The classes of all files read so far, in the order of their ids."""
        return list(dict.fromkeys(name for names in self._names.values() for name in names.values()))

    @property
    def aliases(self) -> dict[str, str]:
        """Labels, from 1 without gaps, to classes."""
        return {str(label): name for label, name in enumerate(self.classes, 1)}  # COCO's own are labelmap_coco's, without gaps

    def split_of(self, path: Path) -> str:
        """The name of a file's split: `train2017` of instances_train2017.json."""
        return next((path.stem.removeprefix(kind) for kind in KINDS if path.stem.startswith(kind)), super().split_of(path))

    def candidates(self) -> list[Path]:
        """The annotation files of the folder; of one split, instances_ comes last and counts."""
        from caffe_ir import dataset_file  # noqa: PLC0415  protobuf, which help does without

        found = [p for p in reversed(super().candidates()) if p.name != dataset_file.FILE_NAME]
        return [p for p in found if not p.name.startswith(OTHER_KINDS)]

    def file(self, item: Item) -> str:
        """The JSON file that an item is from."""
        return super().file(item).removesuffix(f"#{item.name}")

    def read(self, item: Item) -> Annotation:
        """The annotation of an image. Raises ParseError with the line of what is wrong."""
        (width, height), *rows = json.loads(f"[{item.content}]")
        names = self._names[item.annotation.removesuffix(f"#{item.name}")]
        return Annotation(width, height, read_each(lambda row: self._object(item, names, row), rows))

    def _object(self, item: Item, names: Mapping[str, str], row: str | list[Any]) -> Object:
        if isinstance(row, str):
            line, _, said = row.partition(":")
            raise ParseError(self.file(item), f"{item.image}: {said}", int(line))
        category, crowd, *box, line = row
        if str(category) not in names:
            known = image_lists.shown(", ".join(list(names)[:5])) + (", …" if len(names) > 5 else "")
            given = image_lists.shown(str(category))
            said = f"category {given} is not among the {len(names)} categories ({known})"
            raise ParseError(self.file(item), f"{item.image}: {said}", line)
        x, y, across, down = (image_lists.single(v) for v in box)
        corners = (x, y, image_lists.single(x + across), image_lists.single(y + down))
        return image_lists.placed(names[str(category)], bool(crowd), corners, line)

    def load(self, path: Path) -> list[Item]:
        """The items of one JSON file.

        Raises ParseError for a file that is not COCO's, with the record at fault; what is wrong
          with a single annotation is told when its image is read.
        """
        images: dict[str, tuple[str, int, int]] = {}
        rows: dict[str, bytearray] = {}  # less than half the memory of lists of texts
        names: dict[str, str] = {}
        for section, index, line, value in elements(path, SECTIONS):
            place = f"{section}[{index}]"
            if not isinstance(value, dict):
                raise ParseError(str(path), f"{place} is {json.dumps(value)[:40]}, not an object", line)
            try:
                if section == "annotations":
                    rows.setdefault(str(value["image_id"]), bytearray()).extend(b"," + _row(value, line).encode())
                elif section == "categories":
                    names[str(value["id"])] = image_lists.class_name(str(value["name"]))
                elif (key := str(value["id"])) in images:
                    raise ParseError(str(path), f"{place}: there is another image with id {image_lists.shown(key)}", line)
                else:
                    images[key] = (image_lists.image_name(str(value["file_name"])), _side(value, "width"), _side(value, "height"))
            except KeyError as error:
                near = suggest(str(error.args[0]), value).replace("did you mean", "there is")
                raise ParseError(str(path), f"{place} without {error.args[0]!r}{near}", line) from None
            except ValueError as error:
                raise ParseError(str(path), f"{place}: {error}", line) from None
        if not images:
            raise ParseError(str(path), "no 'images' in it: not a COCO-style annotation file")
        if strays := rows.keys() - images.keys():
            first = image_lists.shown(min(strays))
            said = f"annotations of {len(strays)} images that are not in 'images'"
            raise ParseError(str(path), f"{said}, the first of image {first}")
        place = self.below(path)
        self._names[place] = {i: names[i] for i in sorted(names, key=lambda i: (int(i) if i.isdecimal() else math.inf, i))}
        folders = self._folders(path, [name for name, _, _ in images.values()])
        return [
            Item(folders[_prefix(name)] + name, f"{place}#{i}", None, i, f"[{width},{height}]{rows.pop(i, b'').decode()}")
            for i, (name, width, height) in images.items()
        ]

    def _folders(self, path: Path, names: list[str]) -> dict[str, str]:
        """Where the images of each prefix lie, relative to the root."""
        split, beside = self.split_of(path), self.below(path.parent)
        found = {}
        for prefix in {_prefix(name) for name in names}:
            parts = [p for p in (prefix, split, split.replace("-dev", "")) if p]  # test-dev's images lie among test's
            folders = ["", *(f for p in parts for f in (p, f"images/{p}")), "images", beside, f"{beside}/images", "JPEGImages"]
            found[prefix], _ = image_lists.locate(self.root, (n for n in names if _prefix(n) == prefix), folders)
        return found


def _prefix(name: str) -> str:
    """The split that names of COCO's images have: `val2014` of `COCO_val2014_0000042.jpg`."""
    parts = name.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == "COCO" else ""


def _side(value: dict[str, Any], side: str) -> int:
    size = value.get(side) or 0
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 <= size < 1e6:
        raise ValueError(f"{side} is {json.dumps(size)[:40]}, not a number of pixels")
    return int(size)


def _row(value: dict[str, Any], line: int) -> str:
    """One annotation as an item carries it: category, crowd, box, line; or `line:fault`."""
    said = f"{line}:annotation {image_lists.shown(str(value.get('id', '')))}: "
    box, category, crowd = value.get("bbox"), value.get("category_id"), bool(value.get("iscrowd"))
    if box is None:
        return json.dumps(f"{said}no bbox (is this a file of captions?)")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(x) for x in box):
        return json.dumps(f"{said}bbox is {json.dumps(box)[:60]}, not [x, y, width, height] in pixels")
    if not isinstance(category, (int, str)) or isinstance(category, bool):
        return json.dumps(f"{said}category_id is {json.dumps(category)[:40]}")
    return json.dumps((category, int(crowd), *box, line), separators=(",", ":"))


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) < 1e9  # neither infinite nor NaN


KIND = Kind(
    title="a folder with COCO-style JSON",
    notes="""
DIR holds annotations/instances_NAME.json and the images in NAME/ or images/NAME/, or
NAME/_annotations.coco.json as Roboflow writes it; or name one JSON file. A LIST is such a NAME, a
JSON file, or a text file of image names or ids. COCO's trainval35k (train2014 and
valminusminival2014, or train2017: the same images), minival (minival2014 or val2017) and trainval
go by these names, too. Crowds are difficult.
""",
    examples="""
data_prep coco COCO --train-list train2017 --test-list val2017 --labelmap coco --out data/coco
data_prep coco COCO --list minival --classes person,car --out data/street/test_lmdb
data_prep coco mine/export.json --out data/mine/train_lmdb
""",
    folder="folder with JSON files and images, or one JSON file",
    open=Coco,
)
