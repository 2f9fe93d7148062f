"""Checks a data set as a build would, and builds nothing."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import cv2
from tqdm import tqdm

from data_prep.build import known
from data_prep.build.class_map import class_map
from data_prep.build.known import Entry
from data_prep.build.part import class_counts
from data_prep.build.workers import Workers
from data_prep.checks.boxes import Fix
from data_prep.checks.confinement import refuse_own_files
from data_prep.checks.dataset_checks import (
    DatasetChecks,
    drawn,
    said_by,
    shared_annotations,
    unannotated,
)
from data_prep.checks.faults import Fault
from data_prep.checks.item_checks import Load, Rules, inspect
from data_prep.checks.report import Report
from data_prep.images.encoding import Encoding
from data_prep.images.image import EncodedImage, read_image
from data_prep.sources.choice import Choice
from data_prep.sources.selection import Selection
from data_prep.sources.source import Item, Source
from ssd_common.errors import CaffeError
from ssd_common.pictures import decoded


class Checked(NamedTuple):
    """What a check found.

    images: number of images by part: "train" and "test", or the name of the only part.
    objects: number of objects by class, as they would be built.
    report: everything that is wrong.
    """

    images: dict[str, int]
    objects: Counter[str]
    report: Report

    def __str__(self) -> str:
        images = ", ".join(f"{name}: {count} images" for name, count in self.images.items())
        summary = f"{images}; {self.objects.total()} objects"
        if not self.objects:
            return summary
        return f"{summary}: {class_counts(self.objects)}"


def check(
    source: Source,
    *,
    image_list: str | None = None,
    train_list: str | None = None,
    test_list: str | None = None,
    test_share: float | None = None,
    seed: int = 0,
    group_by: str | None = None,
    labelmap: str | None = None,
    fix: Fix | None = None,
    decode: bool = False,
    confine: bool = False,
    report: Report | None = None,
    name: str = "images",
) -> Checked:
    """Find everything that is wrong with a data set before anything is built.

    Its files are never changed.

    source: the data set, see data_prep.open_source and data_prep.select.
    image_list, train_list, test_list, test_share, seed, group_by: the images, as data_prep.build
      takes them.
    labelmap: a label map's file, or "voc", "coco", "coco_ids", "ilsvrc"; None for one made of the
      classes found.
    fix: say what a build with the same fix would make of boxes at fault.
    decode: decode every image to its end, where a build only reads the header of a JPEG.
    confine: refuse images and annotations outside the source's folder.
    report: gets the faults; keeps those that it already has.
    name: of the only part, where no list names it.
    Raises CaffeError for a missing data set or label map.
    """
    report = report or Report()
    if confine:
        refuse_own_files(source)
    choice = Choice(image_list, train_list, test_list, test_share, seed, group_by)
    found = choice.items(source, confine=confine)
    parts = {image_list or name: found[0]}
    if len(found) == 2:
        parts = {"train": found[0], "test": found[1]}
    report.add(said_by(source))
    report.add(drawn(test_share, *found))
    report.add(shared_annotations(source, *found))
    if not (image_list or train_list or isinstance(source, Selection)):
        report.add(unannotated(source, *found))
    objects = _check_parts(
        source, parts, report, labelmap=labelmap, fix=fix, decode=decode, confine=confine
    )
    images = {part: len(items) for part, items in parts.items()}
    return Checked(images, objects, report)


class _Job(NamedTuple):
    """What worker processes need to know. decode: decode every image to its end."""

    source: Source
    rules: Rules
    decode: bool


class _CheckedItem(NamedTuple):
    """An item, checked.

    faults: everything that is wrong.
    key: of its image's content.
    classes: number of its objects by class.
    """

    faults: list[Fault]
    key: bytes
    classes: Counter[str]


def _check_parts(
    source: Source,
    parts: dict[str, list[Item]],
    report: Report,
    *,
    labelmap: str | None,
    fix: Fix | None,
    decode: bool,
    confine: bool,
) -> Counter[str]:
    """Check the items of each part, and add everything that is wrong to the report.

    Returns the number of objects by class, as they would be built.
    """
    owners = [(part, item) for part, items in parts.items() for item in items]
    items = [item for _, item in owners]
    objects: Counter[str] = Counter()
    coming = iter(owners)
    progress = tqdm(total=len(items), desc="checked", unit=" images", disable=None, leave=False)
    with progress, Workers() as workers:
        classes = class_map(source, items, labelmap, workers)
        labels_from = str(classes.file or source.root)
        labels = classes.labels(source)
        rules = Rules(labels, labels_from, fix, source.whole_pixels, confine=confine)
        dataset_checks = DatasetChecks(source, rules)
        entries = known.entries(items, classes.known)
        for batch in workers.map(_check_items, _Job(source, rules, decode), entries):
            for checked, (part, item) in zip(batch, coming, strict=False):
                report.add(checked.faults)
                report.add(dataset_checks.add(part, item, checked.key, checked.classes))
                objects.update(checked.classes)
            progress.update(len(batch))
    if not report.failed:
        report.add(dataset_checks.classes(given=classes.file is not None))
    return objects


def _check_items(job: _Job, _: int, entries: list[Entry]) -> list[_CheckedItem]:
    """Check items, in a worker process."""
    load: Load = read_image
    if job.decode:
        load = _read_and_decode
    found = []
    for item, packed in entries:
        annotation = None
        if packed:
            annotation = known.unpack(packed)[0]
        inspected = inspect(job.source, item, job.rules, load, annotation)
        classes: Counter[str] = Counter()
        if inspected.annotation:
            classes.update(o.name for o in inspected.annotation.objects)
        found.append(_CheckedItem(inspected.faults, inspected.key, classes))
    return found


def _read_and_decode(path: str, encoding: Encoding, stated: tuple[int, int]) -> EncodedImage:
    """Read an image, and decode it to its end. Raises CaffeError where it cannot be decoded."""
    image = read_image(path, encoding, stated)
    if decoded(image.data, cv2.IMREAD_COLOR) is None:
        raise CaffeError(f"{path}: not an image that OpenCV can read")
    return image
