"""Write a VOC-style folder in every other form that data_prep reads.

The tests then check the sources against each other.
"""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_prep.sources.source import Source
from data_prep.sources.voc import Folder
from ssd_common.errors import CaffeError
from tests.data_prep.exports import EXPORTS, OWN_CLASSES, Annotated

CAT = ("cat", False, 4, 5, 20, 25)  # the object of support.voc_folder's images


def annotated(folder: Path, names: str | None = None) -> Annotated:
    source = Folder(folder)
    items = source.read_list(names) if names else source.items()
    return [(item, source.read(item)) for item in items]


def classes_of(items: Annotated) -> list[str]:
    return sorted({o.name for _, a in items for o in a.objects})


def coco(root: Path, items: Annotated) -> None:
    names = classes_of(items)
    images = [
        {"id": i, "file_name": Path(item.image).name, "width": a.width, "height": a.height}
        for i, (item, a) in enumerate(items)
    ]
    annotations = [
        {
            "id": 1000 * i + n,
            "image_id": i,
            "category_id": 3 + 2 * names.index(o.name),
            "iscrowd": int(o.difficult),
            "bbox": [o.xmin, o.ymin, o.xmax - o.xmin, o.ymax - o.ymin],
            "area": 1.5,
            "segmentation": [[o.xmin, o.ymin, o.xmax, o.ymax]],
        }
        for i, (_, a) in enumerate(items)
        for n, o in enumerate(a.objects)
    ]
    categories = [
        {"id": 3 + 2 * i, "name": name, "supercategory": "none"} for i, name in enumerate(names)
    ]
    whole = {
        "info": {"year": 2017},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    (root / "annotations").mkdir()
    (root / "annotations/instances_all.json").write_text(json.dumps(whole))


def table(root: Path, items: Annotated) -> None:
    with (root / "boxes.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(
            ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax", "difficult"]
        )
        for item, a in items:
            rows = [(o.name, o.xmin, o.ymin, o.xmax, o.ymax, int(o.difficult)) for o in a.objects]
            writer.writerows(
                [Path(item.image).name, a.width, a.height, *row] for row in rows or [[""] * 6]
            )


def yolo(root: Path, items: Annotated) -> None:
    names = classes_of(items)
    (root / "data.yaml").write_text(
        f"path: .\ntrain: images\nnc: {len(names)}\nnames: {names}  # in order\n"
    )
    (root / "labels").mkdir()
    for item, a in items:
        lines = [
            f"{names.index(o.name)}"
            f" {(o.xmin + o.xmax) / 2 / a.width!r} {(o.ymin + o.ymax) / 2 / a.height!r}"
            f" {(o.xmax - o.xmin) / a.width!r} {(o.ymax - o.ymin) / a.height!r}\n"
            for o in a.objects
        ]
        (root / "labels" / f"{Path(item.image).stem}.txt").write_text("".join(lines))


def kitti(root: Path, items: Annotated) -> None:
    (root / "label_2").mkdir()
    for item, a in items:
        lines = [
            (
                f"{o.name} 0 {3 * o.difficult} -10 {o.xmin} {o.ymin} {o.xmax} {o.ymax}"
                " -1 -1 -1 -1000 -1000 -1000 -10\n"
            )
            for o in a.objects
        ]
        (root / "label_2" / f"{Path(item.image).stem}.txt").write_text(
            "".join([*lines, "DontCare -1 -1 -10 1 1 9 9 -1 -1 -1 -1000 -1000 -1000 -10\n"])
        )


WRITERS: dict[str, tuple[str, Callable[[Path, Annotated], None]]] = {
    "coco": ("images/all", coco),
    "csv": ("", table),
    "yolo": ("images", yolo),
    "kitti": ("image_2", kitti),
    **EXPORTS,
}


def convert(kind: str, folder: Path, root: Path, names: str | None = None) -> Path:
    """Write the images and annotations of a VOC-style folder to root in another form."""
    where, write = {**WRITERS, **OWN_CLASSES}[kind]
    items = annotated(folder, names)
    (root / where).mkdir(parents=True, exist_ok=True)
    for item, _ in items:
        (root / where / Path(item.image).name).symlink_to((folder / item.image).resolve())
    write(root, items)
    return root


def read(source: Source, listed: str | None = None) -> dict[str, list[tuple]]:
    """Image -> name, difficult and box of each object, as another process would read it."""
    items = source.read_list(listed) if listed else source.items()
    elsewhere = pickle.loads(pickle.dumps(source))
    found = {}
    for item in items:
        found[item.image] = [tuple(o[:6]) for o in elsewhere.read(item).objects]
    return found


def said(of: Callable[[], Any]) -> str:
    with pytest.raises(CaffeError) as error:
        of()
    return str(error.value)
