"""COCO-style JSON: one file, read as a stream, for the images and annotations of a split."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from data_prep.sources import fields, image_lists, json_lines
from data_prep.sources.bundle import Bundle
from data_prep.sources.coco_records import Records, read_records
from data_prep.sources.kind import Kind, register
from data_prep.sources.source import Annotation, Item, Object, read_each
from ssd_common.errors import CaffeError, ParseError

KINDS = ("instances_", "image_info_", "person_keypoints_")
OTHER_KINDS = ("captions_", "stuff_", "panoptic_")  # no boxes of objects in them


class Coco(Bundle):
    """A folder with COCO-style JSON files, or one such file.

    A crowd (iscrowd) is a difficult object, as in the SSD fork's data/coco, and an image that no
    annotation belongs to has no objects.
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp, ReadJSONToAnnotatedDatum.
    """

    suffixes = (".json",)

    # The images of 2017's train and val are those of trainval35k and minival.
    splits: Mapping[str, list[list[str]]] = {
        "trainval35k": [["train2014", "valminusminival2014"], ["train2017"]],
        "minival": [["minival2014"], ["val2017"]],
        "trainval": [["train2014", "val2014"], ["train2017", "val2017"]],
    }

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        # Annotation file to category id to class.
        self._names: dict[str, dict[str, str]] = {}

    @property
    def classes(self) -> list[str]:
        """The classes of all files read so far, in the order of their categories' ids."""
        every: dict[str, None] = {}
        for names in self._names.values():
            every.update(dict.fromkeys(names.values()))
        return list(every)

    @property
    def aliases(self) -> dict[str, str]:
        """Labels to classes. Labels count from 1 without gaps, as in labelmap_coco."""
        return {str(label): name for label, name in enumerate(self.classes, 1)}

    def split_of(self, path: Path) -> str:
        """Return the name of a file's split: `train2017` of instances_train2017.json."""
        for kind in KINDS:
            if path.stem.startswith(kind):
                return path.stem.removeprefix(kind)
        return super().split_of(path)

    def candidates(self) -> list[Path]:
        """Return the folder's annotation files; of one split, instances_ comes last and counts."""
        # Protobuf, which help does without.
        from caffe_ir import dataset_file  # noqa: PLC0415

        found = []
        for path in reversed(super().candidates()):
            other = path.name.startswith(OTHER_KINDS)
            if not other and path.name != dataset_file.FILE_NAME:
                found.append(path)
        return found

    def file(self, item: Item) -> str:
        """Return the JSON file that an item is from."""
        return super().file(item).removesuffix(f"#{item.name}")

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image. Raises ParseError with the line of what is wrong."""
        (width, height), *rows = json.loads(f"[{item.content}]")
        file = item.annotation.removesuffix(f"#{item.name}")
        names = self._names[file]
        objects = read_each(lambda row: self._object(item, names, row), rows)
        return Annotation(width, height, objects)

    def _object(self, item: Item, names: Mapping[str, str], row: str | list[Any]) -> Object:
        """Return the object of a row that _row made. Raises ParseError."""
        if isinstance(row, str):
            number, _, fault = row.partition(":")
            raise self._error(item, fault, int(number))
        category, crowd, *box, line = row
        name = names.get(str(category))
        if name is None:
            fault = _unknown_category(str(category), list(names))
            raise self._error(item, fault, line)
        corners = fields.corners_float32(box)
        return fields.make_object(name, bool(crowd), corners, line)

    def _error(self, item: Item, fault: str, line: int) -> ParseError:
        return ParseError(self.file(item), f"{item.image}: {fault}", line)

    def load(self, path: Path) -> list[Item]:
        """Return the items of one JSON file.

        Raises ParseError, with the record at fault, for a file that is not COCO's. A fault of a
          single annotation is an error only when its image is read.
        """
        found = read_records(path)
        self._names[self.below(path)] = found.names_by_id()
        return self._items_of(path, found)

    def _items_of(self, path: Path, found: Records) -> list[Item]:
        """Return the items of a file's records; takes the annotations out of them."""
        place = self.below(path)
        names = [name for name, _, _ in found.images.values()]
        folders = self._folders(path, names)
        items = []
        for image_id, (name, width, height) in found.images.items():
            rows = found.rows.pop(image_id, b"").decode()
            item = Item(
                image=folders[_prefix(name)] + name,
                annotation=f"{place}#{image_id}",
                name=image_id,
                content=f"[{width},{height}]{rows}",
            )
            items.append(item)
        return items

    def _folders(self, path: Path, names: list[str]) -> dict[str, str]:
        """Find where the images of each prefix lie, relative to the root."""
        split = self.split_of(path)
        beside = self.below(path.parent)
        by_prefix: dict[str, list[str]] = {}
        for name in names:
            by_prefix.setdefault(_prefix(name), []).append(name)
        found = {}
        for prefix, images in by_prefix.items():
            # The images of test-dev are among those of test.
            parts = (prefix, split, split.replace("-dev", ""))
            folders = _likely_folders(parts, beside)
            found[prefix], _ = image_lists.locate(self.root, images, folders)
        return found


def _likely_folders(parts: Iterable[str], beside: str) -> list[str]:
    """Return where images may be, the likeliest first.

    parts: names of splits.
    beside: the folder of the JSON file.
    """
    folders = [""]
    for part in parts:
        if part:
            folders += [part, f"images/{part}"]
    return [*folders, "images", beside, f"{beside}/images", "JPEGImages"]


def _unknown_category(category: str, known: list[str]) -> str:
    """Say what is wrong with a category id that the file does not list."""
    first = fields.excerpt(", ".join(known[:5]))
    if len(known) > 5:
        first += ", …"
    given = fields.excerpt(category)
    categories = f"the {len(known)} categories ({first})"
    return f"category {given} is not among {categories}"


def _prefix(name: str) -> str:
    """Return the split in a COCO image's name: `val2014` of `COCO_val2014_0000042.jpg`."""
    parts = name.split("_")
    if len(parts) == 3 and parts[0] == "COCO":
        return parts[1]
    return ""


def _looks_like(path: Path) -> bool:
    """Return whether a folder, or a file, has JSON of COCO's, by its start."""
    try:
        files = Coco(path).files().values()
    except CaffeError:
        return False
    section = re.compile(r'"(images|annotations|categories)"\s*:\s*\[')
    starts = (json_lines.start(file) for file in files if file.suffix == ".json")
    return any(start.startswith("{") and section.search(start) for start in starts)


KIND = Kind(
    name="coco",
    position=2,
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
    layout="""
DIR/annotations/instances_train2017.json   {"images": […], "annotations": […], "categories": […]}
DIR/train2017/000000000009.jpg
""",
    looks_like=_looks_like,
)
register(KIND)
