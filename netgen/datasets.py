"""The data sets for training and tests: their files, images, classes and scoring."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


@dataclass(frozen=True)
class Dataset:
    """An annotated data set: two LMDBs, a labelmap and a list of the test images' names and sizes.

    Paths are relative to `root`, and `root` to the directory that Caffe starts in.

    key: its name in zoo ids and file names.
    num_classes: number of classes, background included.
    train_images: number of training images; 0 where the authors do not say.
    test_images: number of test images.
    output_format: how detections are written: "VOC", "COCO" or "ILSVRC".
    output_prefix: beginning of the names of detection files; {detector} stands for the detector.
    ap_version: how Caffe works out average precision, one of names.AP_VERSIONS.
    force_color: grey images are read as three channels.
    train_on_difficult: objects that are marked difficult (COCO: crowds) are trained on, too.
    small_objects: objects are small, so prior boxes are smaller.
    test_labels: False where the ground truth is not published, so that training cannot evaluate.
    deploy_saves: deploy nets write detections for the benchmark's server, as released.
    own: the data set is a user's own, not one of the papers'.
    """

    name: str
    key: str
    num_classes: int
    train_images: int
    test_images: int
    train_lmdb: str
    test_lmdb: str
    labelmap: str
    name_size: str
    root: str = "data"
    output_format: str = "VOC"
    output_prefix: str = "comp4_det_test_"
    ap_version: str = "11point"
    force_color: bool = False
    train_on_difficult: bool = True
    small_objects: bool = False
    test_labels: bool = True
    deploy_saves: bool = True
    own: bool = False

    def path(self, name: str) -> str:
        """Return the path of one of the data set's files, as a net names it.

        An absolute `name` stays as it is.
        """
        if self.root == ".":
            return name
        return os.path.join(self.root, name)

    def with_classes(self, count: int) -> Dataset:
        """Return the same data set with another number of classes.

        count: background included.

        Raises CaffeError for fewer than two.
        """
        if count < 2:
            raise CaffeError(f"there are at least 2 classes, background and another, not {count}")
        return replace(self, num_classes=count)

    def in_place_of(self, other: Dataset) -> Dataset:
        """Return this data set, trained on and scored as a recipe has it that was made for `other`.

        The recipe's are: which boxes and objects it trains on, and colour; on a user's own data
        also result files and average precision. A benchmark keeps its own of these two.
        """
        kept = replace(
            self,
            train_on_difficult=other.train_on_difficult,
            small_objects=other.small_objects,
            force_color=self.force_color or other.force_color,
        )
        if not self.own:
            return kept
        return replace(
            kept,
            output_format=other.output_format,
            output_prefix=other.output_prefix,
            ap_version=other.ap_version,
        )

    def under(self, data: str) -> Dataset:
        """Return the same data set below the folder `data` in place of "data".

        A user's own data set stays where its dataset.json lies.
        """
        if self.own:
            return self
        return replace(self, root=data.rstrip("/") or "/")


VOC0712 = Dataset(
    name="VOC0712",  # trained on 2007 and 2012 trainval, tested on 2007 test
    key="voc0712",
    num_classes=21,
    train_images=16551,
    test_images=4952,
    train_lmdb="VOC0712/VOC0712_trainval_lmdb",
    test_lmdb="VOC0712/VOC0712_test_lmdb",
    labelmap="VOC0712/labelmap_voc.prototxt",
    name_size="VOC0712/test_name_size.txt",
)

VOC0712PP = replace(
    VOC0712,
    # Trained on 2007 trainval and test and 2012 trainval, tested on 2012 test by the VOC server.
    name="VOC0712++",
    key="voc0712pp",
    train_images=21503,
    test_images=10991,
    train_lmdb="VOC0712Plus/VOC0712Plus_trainval_lmdb",
    test_lmdb="VOC0712Plus/VOC0712Plus_test_lmdb",
    labelmap="VOC0712Plus/labelmap_voc.prototxt",
    name_size="VOC0712Plus/test_name_size.txt",
    output_prefix="comp4_det_test_",
    ap_version="MaxIntegral",  # VOC since 2010
    test_labels=False,
)

COCO = Dataset(
    name="coco",  # trained on trainval35k, tested on minival2014
    key="coco",
    num_classes=81,
    train_images=118287,
    test_images=5000,
    train_lmdb="coco/coco_train_lmdb",
    test_lmdb="coco/coco_minival_lmdb",
    labelmap="coco/labelmap_coco.prototxt",
    name_size="coco/minival2014_name_size.txt",
    output_format="COCO",
    output_prefix="detections_minival_{detector}_results",
    force_color=True,
    train_on_difficult=False,
    small_objects=True,
)

# TensorFlow's classes: the background and COCO's own label ids, 1 to 90; ten of these ids belong
# to no class (data_prep's label map coco_ids).
COCO_IDS = replace(
    COCO,
    num_classes=91,
    train_lmdb="coco/coco_ids_train_lmdb",
    test_lmdb="coco/coco_ids_minival_lmdb",
    labelmap="coco/labelmap_coco_ids.prototxt",
)

ILSVRC2016 = Dataset(
    name="ILSVRC2016",  # DET: trained on train and val1, tested on val2
    key="ilsvrc",
    num_classes=201,
    train_images=0,
    test_images=9917,
    train_lmdb="ILSVRC2016/ILSVRC2016_trainval1_lmdb",
    test_lmdb="ILSVRC2016/ILSVRC2016_val2_lmdb",
    labelmap="ILSVRC2016/labelmap_ilsvrc_det.prototxt",
    name_size="ILSVRC2016/val2_name_size.txt",
    output_format="ILSVRC",
    output_prefix="val2_{detector}_results",
    ap_version="MaxIntegral",
    force_color=True,
    train_on_difficult=False,
)

# What `data_prep shapes` draws by default: coloured shapes over textured backgrounds.
SHAPES = Dataset(
    name="shapes",
    key="shapes",
    num_classes=6,
    train_images=300,
    test_images=60,
    train_lmdb="shapes/train_lmdb",
    test_lmdb="shapes/test_lmdb",
    labelmap="shapes/labelmap.prototxt",
    name_size="shapes/test_name_size.txt",
    ap_version="MaxIntegral",
    deploy_saves=False,
)

_ALL = (VOC0712, VOC0712PP, COCO, ILSVRC2016, SHAPES)
DATASETS: Mapping[str, Dataset] = MappingProxyType({dataset.key: dataset for dataset in _ALL})


def find_dataset(name_or_file: str) -> Dataset:
    """Return a data set by key or name, or a user's own from its dataset.json.

    name_or_file: "voc0712" or "VOC0712++", in upper or lower case; or the file.

    Raises CaffeError with the nearest name for an unknown one, and what `read` raises.
    """
    wanted = name_or_file.lower()
    for dataset in DATASETS.values():
        if wanted in (dataset.key.lower(), dataset.name.lower()):
            return dataset
    if os.path.exists(name_or_file) or name_or_file.endswith(".json"):
        return read(name_or_file)
    near = suggest(name_or_file, DATASETS)
    known = ", ".join(DATASETS)
    raise CaffeError(
        f"no data set '{name_or_file}'{near}; there are {known}, or your own's dataset.json"
    )


def read(file: str) -> Dataset:
    """Return a user's own data set from the dataset.json that data_prep writes.

    file: the file, or its folder.

    Raises what caffe_ir.dataset_file.read raises.
    """
    from caffe_ir import dataset_file  # noqa: PLC0415  needs protobuf; `--help` does not

    path = Path(file)
    folder = path.parent
    if path.is_dir():
        folder = path
    about = asdict(dataset_file.read(path))
    about.pop("annotations")  # for evaluation; no net names it
    key = re.sub(r"\W", "_", about["name"]).strip("_").lower()
    return Dataset(
        key=key or "own",
        root=folder.as_posix(),
        deploy_saves=False,
        own=True,
        **about,
    )
