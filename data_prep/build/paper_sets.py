"""The data sets of the papers: which splits make up each LMDB, as in the SSD fork."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from data_prep.sources.coco import Coco
from data_prep.sources.ilsvrc import Ilsvrc
from data_prep.sources.voc import Folder


class Paths(NamedTuple):
    """Where the files of a data set lie, relative to the folder of all data sets."""

    train_lmdb: str
    test_lmdb: str
    labelmap: str
    name_size: str


class PaperSet(NamedTuple):
    """A data set of a paper.

    about: its images, for help.
    kind: the class that reads it.
    train, test: names of splits.
    labelmap: name of a built-in label map.
    paths: where its files are written; None for where netgen's nets look for them.
    name: its name in a dataset.json beside its LMDBs; "" for none, where nets name its files.
    """

    about: str
    kind: type[Folder] | type[Coco] | type[Ilsvrc]
    train: tuple[str, ...]
    test: tuple[str, ...]
    labelmap: str
    paths: Paths | None = None
    name: str = ""


TRAINVAL = ("VOC2007/trainval", "VOC2012/trainval")
PAPER_SETS: Mapping[str, PaperSet] = {
    "voc2007": PaperSet(
        "5,011 images; test: 4,952",
        kind=Folder,
        train=("VOC2007/trainval",),
        test=("VOC2007/test",),
        labelmap="voc",
        paths=Paths(
            "VOC2007/VOC2007_trainval_lmdb",
            "VOC2007/VOC2007_test_lmdb",
            "VOC2007/labelmap_voc.prototxt",
            "VOC2007/test_name_size.txt",
        ),
        name="VOC2007",
    ),
    "voc2012": PaperSet(
        "5,717 images; its val: 5,823 (the labels of its test set are not published)",
        kind=Folder,
        train=("VOC2012/train",),
        test=("VOC2012/val",),
        labelmap="voc",
        paths=Paths(
            "VOC2012/VOC2012_train_lmdb",
            "VOC2012/VOC2012_val_lmdb",
            "VOC2012/labelmap_voc.prototxt",
            "VOC2012/val_name_size.txt",
        ),
        name="VOC2012",
    ),
    "voc0712": PaperSet(
        "VOC2007 and VOC2012 trainval, 16,551 images; VOC2007 test: 4,952",
        kind=Folder,
        train=TRAINVAL,
        test=("VOC2007/test",),
        labelmap="voc",
    ),
    "voc0712pp": PaperSet(
        "VOC0712++: VOC2007 trainval and test, VOC2012 trainval, 21,503 images;"
        " VOC2012 test, without labels: 10,991",
        kind=Folder,
        train=(*TRAINVAL, "VOC2007/test"),
        test=("VOC2012/test",),
        labelmap="voc",
    ),
    "coco": PaperSet(
        "trainval35k, 118,287 images; minival: 5,000; classes 1 to 80",
        kind=Coco,
        train=("trainval35k",),
        test=("minival",),
        labelmap="coco",
    ),
    "ilsvrc": PaperSet(
        "ILSVRC DET train and val1; val2: 9,917 images",
        kind=Ilsvrc,
        train=("trainval1",),
        test=("val2",),
        labelmap="ilsvrc",
    ),
    "coco_ids": PaperSet(
        "COCO with its own ids for classes, 1 to 90 (MobileNet-SSD, PPN)",
        kind=Coco,
        train=("trainval35k",),
        test=("minival",),
        labelmap="coco_ids",
        paths=Paths(
            "coco/coco_ids_train_lmdb",
            "coco/coco_ids_minival_lmdb",
            "coco/labelmap_coco_ids.prototxt",
            "coco/minival2014_name_size.txt",
        ),
    ),
}
