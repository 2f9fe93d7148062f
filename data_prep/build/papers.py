"""Builds the data sets of the papers where netgen's nets look for them."""

from __future__ import annotations

from pathlib import Path

from caffe_ir import name_size
from data_prep.build.dataset import Settings, build_described, build_parts, shuffled
from data_prep.build.output import ONE_LMDB, Output
from data_prep.build.paper_sets import PAPER_SETS, PaperSet, Paths
from data_prep.build.part import Part
from data_prep.checks.boxes import Fix
from data_prep.checks.dataset_checks import said_by
from data_prep.checks.report import Report
from data_prep.sources.source import UNLABELLED, Item, Source
from data_prep.sources.voc import Folder
from ssd_common.errors import CaffeError, UsageError
from ssd_common.files import PathLike
from ssd_common.installation import require_own_netgen
from ssd_common.suggest import suggest


class Devkit(Folder):
    """Reads VOCdevkit, whose lists have names such as `VOC2007/trainval`.

    Image paths begin with the year's folder, as in the lists of the fork's create_list.sh.
    """

    def __init__(self, root: Path) -> None:
        inner = root / "VOCdevkit"
        if inner.is_dir():
            root = inner
        super().__init__(root)

    def read_list(self, name: str) -> list[Item]:
        """Read the items of a year's list.

        name: year and split, as `VOC2007/trainval`.
        Raises CaffeError where it is missing.
        """
        year, _, split = name.partition("/")
        folder = self.root / year
        if not folder.is_dir():
            raise CaffeError(f"{folder}: no such folder (data_prep fetch {year.lower()} gets it)")
        return [
            item._replace(image=f"{year}/{item.image}", annotation=f"{year}/{item.annotation}")
            for item in Folder(folder).read_list(split)
        ]


def paper(
    name: str,
    folder: PathLike,
    out: PathLike = "data",
    *,
    seed: int = 0,
    fix: Fix | None = None,
    overwrite: bool = False,
    report: Report | None = None,
    output: Output = ONE_LMDB,
) -> list[Part]:
    """Build the LMDBs of a paper's data set, with label map, lists and name_size files.

    A set that no zoo id is made for, such as VOC2007 alone, gets a dataset.json, too.

    Training images come in a random order (the fork's differs each time), test images in the
    order of their list.

    name: "voc2007", "voc2012", "voc0712", "voc0712pp", "coco", "ilsvrc" or "coco_ids".
    folder: where the data set lies: VOCdevkit, COCO's folder, or ILSVRC's.
    out: folder of all data sets.
    seed: decides the order of the training images.
    fix, overwrite, report, output: as data_prep.build takes them.
    Returns what the LMDBs for training and for testing hold.
    Raises CaffeError, and writes nothing, if anything is wrong.
    """
    found = find(name)
    paths, labelled = _paths(name, found)
    source = _source(found, Path(folder))
    out = Path(out)
    train = [item for split in found.train for item in source.read_list(split)]
    test = [item for split in found.test for item in source.read_list(split)]
    if not labelled:
        test = [item._replace(annotation=UNLABELLED) for item in test]
    train_stem = Path(paths.train_lmdb).name.removesuffix("_lmdb").rpartition("_")[2]
    test_stem = Path(paths.name_size).name.removesuffix(name_size.SUFFIX)
    parts = [
        Part(out / paths.train_lmdb, shuffled(train, seed), train_stem),
        Part(out / paths.test_lmdb, test, test_stem),
    ]
    report = report or Report()
    report.add(said_by(source))
    settings = Settings(report, found.labelmap, fix, overwrite, output)
    labelmap = out / paths.labelmap
    if found.name:
        build_described(source, parts, labelmap, name=found.name, settings=settings)
    else:
        build_parts(source, parts, labelmap, settings)
    return parts


def _source(found: PaperSet, folder: Path) -> Source:
    """Open the data set of a paper."""
    if found.kind is Folder:
        return Devkit(folder)
    return found.kind(folder)


def find(name: str) -> PaperSet:
    """Return a paper's data set by name. Raises UsageError with the nearest name."""
    if name not in PAPER_SETS:
        known = suggest(name, PAPER_SETS) or f" (one of {', '.join(PAPER_SETS)})"
        raise UsageError(f"no data set '{name}' of a paper{known}")
    return PAPER_SETS[name]


def _paths(name: str, found: PaperSet) -> tuple[Paths, bool]:
    """Return where a data set is written, and whether the labels of its test images are public.

    Raises CaffeError where netgen is another project's.
    """
    if found.paths:
        return found.paths, True
    require_own_netgen()
    from netgen import find_dataset  # noqa: PLC0415  (not before it is known to be ours)

    dataset = find_dataset(name)
    paths = Paths(dataset.train_lmdb, dataset.test_lmdb, dataset.labelmap, dataset.name_size)
    return paths, dataset.test_labels
