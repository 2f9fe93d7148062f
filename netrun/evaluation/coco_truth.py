"""COCO's own truth for a test net's detections: the objects of an annotation file.

An LMDB's records keep the objects' boxes only. COCO sorts objects into small, medium and large by
the areas of their outlines, which the annotation file has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from caffe_ir import dataset_file
from caffe_ir.lmdb_reader import key_text
from netrun.evaluation.coco_files import read_truth
from ssd_common.errors import CaffeError, ParseError
from ssd_common.files import PathLike

Entries = list[dict[str, Any]]


class Truth:
    """The truth of an annotation file, and how an LMDB's records and labels find it.

    path: the annotation file, such as instances_minival2014.json.

    Raises ParseError for a file of another kind.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = str(path)
        self._truth = read_truth(self.path)
        self._by_path: dict[str, Any] = {}
        self._by_name: dict[str, list[Any]] = {}
        for image in self._truth["images"]:
            place = _slashed(str(image.get("file_name", "")))
            self._by_path[place] = image["id"]
            self._by_name.setdefault(place.rpartition("/")[2], []).append(image["id"])

    def image(self, key: bytes) -> Any:
        """Return the id of a record's image.

        key: the record's, its number and the image's path, as the fork and data_prep write it. The
            file may have more or fewer of the path's folders.

        Raises CaffeError where the file has no image of that name, or several.
        """
        path = _slashed(key_text(key))
        number, _, rest = path.partition("_")
        if number.isdecimal() and path not in self._by_path:
            path = rest
        parts = path.split("/")
        for i in range(len(parts)):
            end = "/".join(parts[i:])
            if end in self._by_path:
                return self._by_path[end]
        found = self._by_name.get(parts[-1], [])
        if len(found) == 1:
            return found[0]
        count = "no image has"
        if found:
            count = "several images have"
        raise CaffeError(f"{self.path}: {count} the name of record {key_text(key)}")

    def categories(self, names: Mapping[int, str], labels: Iterable[int]) -> dict[int, Any]:
        """Return the category's id of each label with a name.

        names: classes' names by label, or COCO's category ids in their place.

        Raises CaffeError for a class that the file does not have.
        """
        by_name = {str(entry["id"]): entry["id"] for entry in self._truth["categories"]}
        for entry in self._truth["categories"]:
            by_name[str(entry.get("name", entry["id"]))] = entry["id"]
        found = {}
        for label in labels:
            name = names.get(label)
            if not name:
                continue
            if name not in by_name:
                raise CaffeError(f"{self.path}: no category '{name}' (label {label})")
            found[label] = by_name[name]
        if not found:
            raise CaffeError(f"{self.path}: categories are found by name; give --labelmap")
        return found

    def of(self, images: set[Any], categories: set[Any]) -> dict[str, Any]:
        """Return the truth of some images and categories alone."""

        def own(part: str, field: str, ids: set[Any]) -> Entries:
            return [entry for entry in self._truth[part] if entry[field] in ids]

        objects = own("annotations", "image_id", images)
        return {
            "images": own("images", "id", images),
            "annotations": [entry for entry in objects if entry["category_id"] in categories],
            "categories": own("categories", "id", categories),
        }


def _slashed(path: str) -> str:
    """Return a path with slashes, which of a Windows machine has backslashes."""
    return path.replace("\\", "/")


def named_beside(lmdb: str) -> Path | None:
    """Return the annotation file that the dataset.json beside a test LMDB names.

    None where there is no such file, where it names none, or one that is no longer there.
    """
    folder = Path(lmdb).parent
    if not (folder / dataset_file.FILE_NAME).is_file():
        return None
    try:
        about = dataset_file.read(folder)
    except ParseError:
        return None
    path = folder / about.annotations
    is_ours = (folder / about.test_lmdb).resolve() == Path(lmdb).resolve()
    if about.annotations and is_ours and path.is_file():
        return path
    return None
