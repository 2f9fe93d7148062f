"""ILSVRC DET: VOC's XML, in folders of its own."""

from __future__ import annotations

from pathlib import Path

from data_prep.sources import image_lists
from data_prep.sources.kind import Kind
from data_prep.sources.source import UNLABELLED, Item
from data_prep.sources.voc import Folder
from ssd_common.errors import CaffeError

SETS, SUBSETS = "ImageSets/DET", {"trainval1": ("train", "val1")}


class Ilsvrc(Folder):
    """The DET part of ILSVRC2013 to 2017.

    Source: weiliu89/caffe (ssd), data/ILSVRC2016/create_list.py.
    """

    def sets(self) -> list[str]:
        """Names of the lists in ImageSets/DET, and of those that two make up."""
        found = sorted(p.stem for p in (self.root / SETS).glob("*.txt"))
        return found + [name for name, parts in SUBSETS.items() if set(parts) <= set(found)]

    def items(self) -> list[Item]:
        """Raises CaffeError: a list has to be chosen."""
        if not self.sets():
            raise CaffeError(f"{self.root / SETS}: no lists there; is this a folder of ILSVRC DET?")
        raise CaffeError(f"{self.root}: choose images with --list: {', '.join(self.sets())}")

    def read_list(self, name: str) -> list[Item]:
        """The items of a list of ImageSets/DET, or of any file.

        Raises CaffeError with file and line.
        """
        files = [self.root / SETS / f"{part}.txt" for part in SUBSETS.get(name, (name,))]
        if not all(f.is_file() for f in files):
            return super().read_list(str(image_lists.find(name, (Path(name), self.root / name), self.sets())))
        items = []
        for file in files:
            training = file.stem.startswith("train") or file.stem == "val1"
            for place, (image, *number) in image_lists.read_list(file):
                subset = image.partition("/")[0].split("_")
                if len(subset) < 2:
                    wanted = "such as ILSVRC2012_val_00000001"
                    raise CaffeError(f"{place}: '{image}' is no image of ILSVRC ({wanted})")
                annotation = UNLABELLED if file.stem == "test" else f"Annotations/DET/{subset[1]}/{image}.xml"
                if not training or (self.root / annotation).is_file():
                    items.append(Item(f"Data/DET/{subset[1]}/{image}.JPEG", annotation, place, *number))
        return items


KIND = Kind(
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
)
