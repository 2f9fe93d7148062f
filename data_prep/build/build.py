"""Builds a data set: one LMDB, or an LMDB for training and one for testing."""

from __future__ import annotations

from pathlib import Path

from data_prep.build.dataset import Settings, build_dataset, build_lmdb, shuffled
from data_prep.build.output import ONE_LMDB, Output
from data_prep.build.part import Part
from data_prep.checks.boxes import Fix
from data_prep.checks.confinement import refuse_own_files
from data_prep.checks.dataset_checks import drawn, said_by, shared_annotations, unannotated
from data_prep.checks.report import Report
from data_prep.sources.choice import Choice
from data_prep.sources.selection import Selection
from data_prep.sources.source import Source
from ssd_common.files import PathLike


def build(
    source: Source,
    out: PathLike,
    *,
    image_list: str | None = None,
    train_list: str | None = None,
    test_list: str | None = None,
    test_share: float | None = None,
    seed: int = 0,
    group_by: str | None = None,
    shuffle: bool = False,
    labelmap: str | None = None,
    fix: Fix | None = None,
    confine: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    output: Output = ONE_LMDB,
) -> list[Part]:
    """Build the LMDB of a data set, or one for training and one for testing.

    Writes the label map, lists and name_size files beside the LMDBs.

    source: the data set, see data_prep.open_source and data_prep.select.
    out: the LMDB; with train_list and test_list, or test_share, the folder for train_lmdb,
      test_lmdb and dataset.json.
    image_list: images of the one LMDB: a list's file, or the name of one of the data set's own;
      None for all.
    train_list, test_list: images of the two LMDBs.
    test_share: in place of two lists, the share of images drawn for testing, above 0 and below 1.
    seed: decides what test_share and shuffle draw.
    group_by: "folder" or "prefix" (the path without the number at its end): such images are drawn
      together by test_share, as those with the same content always are.
    shuffle: put the images in a random order, except those for testing.
    labelmap: a label map's file, or "voc", "coco", "coco_ids", "ilsvrc"; None for one made of the
      classes found.
    fix: "clip" or "drop" boxes at fault, see data_prep.checks.boxes.fixed_box; None keeps them.
    confine: refuse images and annotations outside the source's folder.
    overwrite: replace existing LMDBs.
    report: gets everything that is wrong.
    output: how records are written, and by how many workers.
    Returns for each LMDB its path, images, and objects by class.
    Raises CaffeError, and writes nothing, if anything is wrong.
    """
    if confine:
        refuse_own_files(source)
    choice = Choice(image_list, train_list, test_list, test_share, seed, group_by)
    report = report or Report()
    folder = Path(out)
    if folder.name in ("", ".."):
        folder = folder.resolve()
    items, *test = choice.items(source, confine=confine)
    report.add(said_by(source))
    report.add(drawn(test_share, items, *test))
    if not output.classification:
        report.add(shared_annotations(source, items, *test))
    if not (image_list or train_list or isinstance(source, Selection)):
        report.add(unannotated(source, items, *test))
    if shuffle:
        items = shuffled(items, seed)
    settings = Settings(report, labelmap, fix, overwrite, output, confine)
    if test:
        name = folder.resolve().name
        return build_dataset(source, items, test[0], folder, name=name, settings=settings)
    return [build_lmdb(source, items, folder, settings)]
