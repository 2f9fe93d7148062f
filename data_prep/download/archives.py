"""Where the public data sets are published: their archives, with sizes and checksums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ssd_common.errors import CaffeError, UsageError
from ssd_common.suggest import suggest


class Archive(NamedTuple):
    """A file to download and unpack.

    size: bytes, 0 where it is not known.
    checksum: `algorithm:hex`; None for one that nobody published: the first download's counts.
    into: folder to unpack in, below the set's.
    flat: unpack its files without their folders.
    page: where one registers for it.
    """

    file: str
    urls: tuple[str, ...]
    size: int = 0
    checksum: str | None = None
    into: str = ""
    flat: bool = False
    page: str = ""


_OXFORD = "http://host.robots.ox.ac.uk/pascal/VOC"
_MIRROR = "https://pjreddie.com/media/files"  # has the same bytes
_COCO = "http://images.cocodataset.org"


def _voc(year: str, file: str, size: int, md5: str) -> Archive:
    urls = (f"{_OXFORD}/voc{year}/{file}", f"{_MIRROR}/{file}")
    return Archive(file, urls, size, f"md5:{md5}")


def _coco(folder: str, file: str, size: int, sha256: str) -> Archive:
    urls = (f"{_COCO}/{folder}/{file}",)
    return Archive(file, urls, size, f"sha256:{sha256}")


# MD5 as in torchvision/datasets/voc.py; SHA-256 and sizes as in tensorflow_datasets/url_checksums
# (coco.txt, voc.txt).
TRAINVAL_2007 = _voc(
    "2007",
    "VOCtrainval_06-Nov-2007.tar",
    460_032_000,
    "c52e279531787c972589f7e41ab4ae64",
)
TEST_2007 = _voc(
    "2007",
    "VOCtest_06-Nov-2007.tar",
    451_020_800,
    "b6e924de25625d8de591ea690078ad9f",
)
TRAINVAL_2012 = _voc(
    "2012",
    "VOCtrainval_11-May-2012.tar",
    1_999_639_040,
    "6cd6e144f989b92b3379bac3b3de84fd",
)
TEST_2012 = Archive(
    "VOC2012test.tar",
    (f"{_MIRROR}/VOC2012test.tar",),
    1_850_626_560,
    "sha256:f08582b1935816c5eab3bbb1eb6d06201a789eaa173cdf1cf400c26f0cac2fb3",
    page="http://host.robots.ox.ac.uk:8080/",
)
ANNOTATIONS_2014 = _coco(
    "annotations",
    "annotations_trainval2014.zip",
    252_872_794,
    "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
)
ANNOTATIONS_2017 = _coco(
    "annotations",
    "annotations_trainval2017.zip",
    252_907_541,
    "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
)
INFO_2015 = _coco(
    "annotations",
    "image_info_test2015.zip",
    1_887_164,
    "cf400242f8497257fb8a3e369bc766491f4a7e42625fb3d72555504e9a8c3b18",
)
INFO_2017 = _coco(
    "annotations",
    "image_info_test2017.zip",
    1_144_034,
    "e52f412dd7195ac8f98d782b44c6dd30ea10241e9f42521f67610fbe055a74f8",
)
TRAIN_2014 = _coco(
    "zips",
    "train2014.zip",
    13_510_573_713,
    "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
)
VAL_2014 = _coco(
    "zips",
    "val2014.zip",
    6_645_013_297,
    "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
)
TRAIN_2017 = _coco(
    "zips",
    "train2017.zip",
    19_336_861_798,
    "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
)
VAL_2017 = _coco(
    "zips",
    "val2017.zip",
    815_585_330,
    "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
)
TEST_2015 = _coco(
    "zips",
    "test2015.zip",
    13_270_587_935,
    "1a2aa896b81140a850a78fa8bff07d455698d2abf364ff05721763458a8101ca",
)
TEST_2017 = _coco(
    "zips",
    "test2017.zip",
    6_646_970_404,
    "c7908c3c9f94ba2f3340ebbeec58c25db6be8774f18d68c2f15d0e369d95baba",
)
MINIVAL_2014 = Archive(  # Ross Girshick's split, as Detectron has it
    "coco_annotations_minival.tgz",
    ("https://dl.fbaipublicfiles.com/detectron/coco/coco_annotations_minival.tgz",),
    into="annotations",
    flat=True,
)

# Published only for those who register.
REGISTERED = {
    "ilsvrc": "https://image-net.org/challenges/LSVRC/2016",
    "kitti": "https://www.cvlibs.net/datasets/kitti",
}
SETS: Mapping[str, tuple[Archive, ...]] = {
    "voc0712": (TRAINVAL_2007, TEST_2007, TRAINVAL_2012),
    "voc0712pp": (TRAINVAL_2007, TEST_2007, TRAINVAL_2012, TEST_2012),
    "voc2007": (TRAINVAL_2007, TEST_2007),
    "voc2012": (TRAINVAL_2012,),
    "voc2012test": (TEST_2012,),
    "coco2014": (ANNOTATIONS_2014, MINIVAL_2014, VAL_2014, TRAIN_2014),
    "coco2017": (ANNOTATIONS_2017, VAL_2017, TRAIN_2017),
    "coco2015test": (INFO_2015, TEST_2015),
    "coco2017test": (INFO_2017, TEST_2017),
}


def archives_of(names: Iterable[str]) -> list[Archive]:
    """List the archives that make up some sets, each once.

    Raises UsageError for a set that does not exist, CaffeError for one that needs a registration.
    """
    found: dict[Archive, None] = {}
    for name in names:
        if name in REGISTERED:
            raise CaffeError(
                f"{name} is to be had after registering only: {REGISTERED[name]};"
                f" `data_prep {name} --help` says how it should lie"
            )
        if name not in SETS:
            near = suggest(name, SETS) or f" (one of {', '.join(SETS)})"
            raise UsageError(f"no data set '{name}'{near}")
        found |= dict.fromkeys(SETS[name])
    return list(found)
