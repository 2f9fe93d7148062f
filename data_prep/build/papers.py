"""The papers' data sets as the SSD fork lays them out: which images of which splits make up each LMDB, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.build.dataset import ONE_LMDB, Output, Part, build_parts, shuffled
from data_prep.checks.boxes import Fix
from data_prep.checks.report import Report
from data_prep.sources.coco import Coco
from data_prep.sources.ilsvrc import Ilsvrc
from data_prep.sources.source import UNLABELLED, Item, Source
from data_prep.sources.voc import Folder
from netgen import datasets
from ssd_common.errors import CaffeError


@dataclass(frozen=True)
class Paper:
    """A data set of a paper.

    about: its images, for help; train, test: splits; labels: a built-in label map.
    """

    about: str
    kind: type[Folder] | type[Coco] | type[Ilsvrc]
    train: tuple[str, ...]
    test: tuple[str, ...]
    train_lmdb: str
    test_lmdb: str
    labelmap: str
    name_size: str
    labels: str
    unlabelled: bool = False  # the test images' annotations are not published

    @property
    def stems(self) -> tuple[str, str]:
        train = Path(self.train_lmdb).name.removesuffix("_lmdb").rpartition("_")[2]
        return train, Path(self.name_size).name.removesuffix("_name_size.txt")


def _paper(data: datasets.Dataset, labels: str, *, about: str, kind: type, train: tuple[str, ...], test: tuple[str, ...]) -> Paper:
    """With the paths that netgen's nets have."""
    return Paper(about, kind, train, test, data.train_lmdb, data.test_lmdb, data.labelmap, data.name_size, labels, not data.test_labels)


def _voc(year: str, train: str, test: str, about: str) -> Paper:
    name = f"VOC{year}"
    lmdbs = (f"{name}/{name}_{train}_lmdb", f"{name}/{name}_{test}_lmdb")
    paths = (*lmdbs, f"{name}/labelmap_voc.prototxt", f"{name}/{test}_name_size.txt")
    return Paper(about, Folder, (f"{name}/{train}",), (f"{name}/{test}",), *paths, "voc")


TRAINVAL = ("VOC2007/trainval", "VOC2012/trainval")
PAPERS = {
    "voc2007": _voc("2007", "trainval", "test", "5,011 images; test: 4,952"),
    "voc2012": _voc("2012", "train", "val", "5,717 images; its val: 5,823 (the labels of its test set are not published)"),
    "voc0712": _paper(
        datasets.VOC0712,
        "voc",
        about="VOC2007 and VOC2012 trainval, 16,551 images; VOC2007 test: 4,952",
        kind=Folder,
        train=TRAINVAL,
        test=("VOC2007/test",),
    ),
    "voc0712pp": _paper(
        datasets.VOC0712PP,
        "voc",
        about="VOC0712++: VOC2007 trainval and test, VOC2012 trainval, 21,503 images; VOC2012 test, without labels: 10,991",
        kind=Folder,
        train=(*TRAINVAL, "VOC2007/test"),
        test=("VOC2012/test",),
    ),
    "coco": _paper(
        datasets.COCO,
        "coco",
        about="trainval35k, 118,287 images; minival: 5,000; classes 1 to 80",
        kind=Coco,
        train=("trainval35k",),
        test=("minival",),
    ),
    "ilsvrc": _paper(
        datasets.ILSVRC2016,
        "ilsvrc",
        about="ILSVRC DET train and val1; val2: 9,917 images",
        kind=Ilsvrc,
        train=("trainval1",),
        test=("val2",),
    ),
}
PAPERS["coco_ids"] = replace(
    PAPERS["coco"],
    about="COCO with its own ids for classes, 1 to 90 (MobileNet-SSD, PPN)",
    train_lmdb="coco/coco_ids_train_lmdb",
    test_lmdb="coco/coco_ids_minival_lmdb",
    labelmap="coco/labelmap_coco_ids.prototxt",
    labels="coco_ids",
)


class Devkit(Folder):
    """VOCdevkit: lists go by `VOC2007/trainval`, and paths begin with the year's folder, as the fork's create_list.sh writes them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root / "VOCdevkit" if (root / "VOCdevkit").is_dir() else root)

    def read_list(self, name: str) -> list[Item]:
        year, _, split = name.partition("/")
        folder = self.root / year
        if not folder.is_dir():
            raise CaffeError(f"{folder}: no such folder (data_prep fetch {year.lower()} gets it)")
        return [
            i._replace(image=f"{year}/{i.image}", annotation=f"{year}/{i.annotation}") for i in Folder(folder).read_list(split)
        ]  # fmt: skip


def build(
    name: str, folder: Path, out: Path, *, seed: int = 0, overwrite: bool = False, fix: Fix | None = None,
    report: Report | None = None, output: Output = ONE_LMDB,
) -> list[Part]:  # fmt: skip
    """Build the LMDBs of a paper's data set, with label map, lists and name_size files, under out where netgen's nets look for them.

    Training images are in random order, which seed decides (the fork's is another each time), test images in their list's.
    Raises CaffeError, with nothing written, if anything is wrong.
    """
    paper = PAPERS[name]
    source: Source = Devkit(folder) if paper.kind is Folder else paper.kind(folder)
    train, test = ([item for split in splits for item in source.read_list(split)] for splits in (paper.train, paper.test))
    if paper.unlabelled:
        test = [item._replace(annotation=UNLABELLED) for item in test]
    parts = [Part(out / paper.train_lmdb, shuffled(train, seed), paper.stems[0]), Part(out / paper.test_lmdb, test, paper.stems[1])]
    labelmap = out / paper.labelmap
    build_parts(source, parts, labelmap, report or Report(), labels=paper.labels, overwrite=overwrite, fix=fix, output=output)
    return parts
