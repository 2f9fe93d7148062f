"""ILSVRC DET: VOC's XML, in folders of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_prep.sources import image_lists
from data_prep.sources.kind import Kind, register
from data_prep.sources.source import UNLABELLED, Item
from data_prep.sources.voc import Folder
from ssd_common.errors import CaffeError

SETS = "ImageSets/DET"
SUBSETS = {"trainval1": ("train", "val1")}


class Ilsvrc(Folder):
    """The DET part of ILSVRC2013 to 2017.

    Source: weiliu89/caffe (ssd), data/ILSVRC2016/create_list.py.
    """

    def sets(self) -> list[str]:
        """Return names of the lists in ImageSets/DET, and of those that two make up."""
        folder = self.root / SETS
        found = sorted(path.stem for path in folder.glob("*.txt"))
        for name, parts in SUBSETS.items():
            if set(parts) <= set(found):
                found.append(name)
        return found

    def items(self) -> list[Item]:
        """Refuse: users must choose a list. Raises CaffeError."""
        known = ", ".join(self.sets())
        if known:
            raise CaffeError(f"{self.root}: choose images with --list: {known}")
        folder = self.root / SETS
        fault = "no lists there; is this a folder of ILSVRC DET?"
        raise CaffeError(f"{folder}: {fault}")

    def read_list(self, name: str) -> list[Item]:
        """Return the items of a list of ImageSets/DET, or of any file.

        Raises CaffeError with file and line.
        """
        parts = SUBSETS.get(name, (name,))
        files = [self.root / SETS / f"{part}.txt" for part in parts]
        if not all(file.is_file() for file in files):
            places = (Path(name), self.root / name)
            path = image_lists.find(name, places, self.sets())
            return super().read_list(str(path))
        return [item for file in files for item in self._items_of(file)]

    def _items_of(self, file: Path) -> Iterator[Item]:
        """Yield the items of one list; leave images without annotation out of train and val1."""
        name = file.stem
        with_negatives = name.startswith("train") or name == "val1"
        for place, (image, *number) in image_lists.read_list(file):
            subset = _subset(image, place)
            annotation = f"Annotations/DET/{subset}/{image}.xml"
            if name == "test":
                annotation = UNLABELLED
            if with_negatives and not (self.root / annotation).is_file():
                continue
            path = f"Data/DET/{subset}/{image}.JPEG"
            yield Item(path, annotation, place, *number)


def _subset(image: str, place: str) -> str:
    """Return the folder of an image: `val` of ILSVRC2012_val_00000001. Raises CaffeError."""
    parts = image.partition("/")[0].split("_")
    if len(parts) < 2:
        example = "such as ILSVRC2012_val_00000001"
        fault = f"'{image}' is no image of ILSVRC ({example})"
        raise CaffeError(f"{place}: {fault}")
    return parts[1]


KIND = Kind(
    name="ilsvrc",
    position=6,
    title="a folder of ILSVRC DET",
    notes="""
DIR holds Data/DET, Annotations/DET, ImageSets/DET. A LIST is train, val, val1, val2, trainval1
(train and val1), test (without labels). As in the SSD fork's data/ILSVRC2016, images of train and
val1 without an annotation file, the negative ones, are left out, and name_size files have the
second column of ImageSets/DET. val1.txt and val2.txt are Ross Girshick's split:
ILSVRC2015_DET_val1_val2.tar.gz.
""",
    examples="""
data_prep ilsvrc ILSVRC --train-list trainval1 --test-list val2 --labelmap ilsvrc --out data/ilsvrc
""",
    folder="folder with Data/DET, Annotations/DET and ImageSets/DET",
    open=Ilsvrc,
    layout="""
DIR/ImageSets/DET/val.txt, DIR/Annotations/DET/val/ILSVRC2012_val_00000001.xml
DIR/Data/DET/val/ILSVRC2012_val_00000001.JPEG
""",
    looks_like=lambda path: (path / SETS).is_dir(),
)
register(KIND)
