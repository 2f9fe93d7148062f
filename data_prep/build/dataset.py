"""Builds LMDBs and the files beside them: label map, lists, name_size files, dataset.json."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
from tqdm import tqdm

from caffe_ir import dataset_file
from caffe_ir import label_map as label_maps
from caffe_ir.dataset_file import DatasetFile
from caffe_ir.rules import shape_text
from data_prep.archives.unpacked import is_unpacked
from data_prep.build import known
from data_prep.build.claimed import claimed
from data_prep.build.class_map import ClassMap, class_map
from data_prep.build.convert import Converted, Job, Outcome, convert, stamps
from data_prep.build.known import Entry
from data_prep.build.output import ONE_LMDB, Output
from data_prep.build.part import Part
from data_prep.build.resumable_folder import (
    ResumableFolder,
    check_target,
    finish,
    is_finished,
    leftovers,
)
from data_prep.build.workers import Workers
from data_prep.checks.boxes import Fix
from data_prep.checks.dataset_checks import DatasetChecks
from data_prep.checks.faults import Fault
from data_prep.checks.item_checks import Rules
from data_prep.checks.report import Report
from data_prep.sources.coco import Coco
from data_prep.sources.source import Item, Source, list_line
from ssd_common.durable import sync_folder
from ssd_common.errors import CaffeError
from ssd_common.files import clear_leftovers, write_atomic


class Settings(NamedTuple):
    """How a data set is built.

    report: gets everything that is wrong.
    labelmap: a label map's file or built-in name; None for one made of the classes found.
    fix: how to fix boxes at fault, see data_prep.checks.boxes.fixed_box; None keeps them.
    overwrite: replace existing output.
    output: how LMDBs are written.
    confine: refuse files outside the data set's folder.
    """

    report: Report
    labelmap: str | None = None
    fix: Fix | None = None
    overwrite: bool = False
    output: Output = ONE_LMDB
    confine: bool = False


def build_lmdb(source: Source, items: list[Item], out: Path, settings: Settings) -> Part:
    """Build one LMDB with label map, list and name_size file beside it.

    out: the LMDB; without settings.labelmap, a label map that already lies beside it is used.
    Raises CaffeError, and writes nothing, if anything is wrong.
    """
    labelmap_file = out.with_name(label_maps.FILE_NAME)
    if not settings.labelmap and labelmap_file.is_file():
        settings = settings._replace(labelmap=str(labelmap_file))
        # A killed build of this LMDB may have written the label map itself.
        if is_finished(out) and not leftovers(out):
            message = "was there already: labels are as it has them (--labelmap FILE for others)"
            settings.report.add([Fault("label-map", str(labelmap_file), message)])
    part = Part(out, items)
    build_parts(source, [part], labelmap_file, settings)
    return part


def build_dataset(
    source: Source,
    train: list[Item],
    test: list[Item],
    out: Path,
    *,
    name: str,
    settings: Settings,
) -> list[Part]:
    """Build train_lmdb and test_lmdb in the folder `out`, and the files beside them.

    The last file is dataset.json, which `netgen build --dataset` reads; paths in it are relative to
    it.

    name: the data set's.
    Raises CaffeError, and writes nothing, if anything is wrong.
    """
    parts = [Part(out / "train_lmdb", train), Part(out / "test_lmdb", test)]
    build_described(source, parts, out / label_maps.FILE_NAME, name=name, settings=settings)
    return parts


def build_described(
    source: Source, parts: list[Part], labelmap_file: Path, *, name: str, settings: Settings
) -> None:
    """Build LMDBs for training and for tests, and last a dataset.json beside the label map.

    parts: the two LMDBs, in the label map's folder.
    name: the data set's.
    Raises CaffeError, and writes nothing, if anything is wrong.
    """
    description = labelmap_file.with_name(dataset_file.FILE_NAME)
    if description.exists() and not settings.overwrite:
        raise CaffeError(f"{description}: already there (--overwrite replaces it)")
    train, test = parts

    def describe() -> None:
        if settings.output.classification:
            return  # no detector trains on such records
        dataset = DatasetFile(
            name=name,
            labelmap=labelmap_file.name,
            train_lmdb=train.lmdb.name,
            test_lmdb=test.lmdb.name,
            name_size=test.name_size_file.name,
            train_images=len(train.items),
            test_images=len(test.items),
            force_color=any(part.mixed for part in parts),
            annotations=_truth(source, parts[1].items, description.parent),
        )
        write_atomic(description, dataset_file.dumps(dataset))

    build_parts(source, parts, labelmap_file, settings, marker=description, describe=describe)


def _truth(source: Source, items: Sequence[Item], folder: Path) -> str:
    """Return the path from a folder to COCO's annotation file of all items, or "".

    It serves COCO's metrics, so the classes have to be the file's own. A file that was unpacked
    from an archive is gone when the command ends.
    """
    if not isinstance(source, Coco):
        return ""
    files = {source.file(item) for item in items}
    if len(files) != 1 or is_unpacked(source.root):
        return ""
    return os.path.relpath(os.path.realpath(files.pop()), os.path.realpath(folder))


def build_parts(
    source: Source,
    parts: list[Part],
    labelmap_file: Path,
    settings: Settings,
    *,
    marker: Path | None = None,
    describe: Callable[[], None] = lambda: None,
) -> None:
    """Build LMDBs that have a label map in common.

    labelmap_file: the label map to write.
    marker: a file whose presence says that the LMDBs are whole; it is removed before others take
      their place.
    describe: writes the marker.
    Raises CaffeError, and writes nothing, if anything is wrong.
    """
    for part in parts:
        check_target(part.lmdb, settings.overwrite or not is_finished(part.lmdb))
    with ExitStack() as stack:
        for part in parts:
            own = (part.list_file, part.name_size_file)
            stack.enter_context(claimed(part.lmdb, *own))
        shared = {labelmap_file.name, getattr(marker, "name", "")}
        clear_leftovers(labelmap_file.parent, shared.__contains__)
        _build_claimed(source, parts, labelmap_file, settings, marker)
        describe()
        for part in parts:
            finish(part.lmdb)


def _build_claimed(
    source: Source,
    parts: list[Part],
    labelmap_file: Path,
    settings: Settings,
    marker: Path | None,
) -> None:
    """Build LMDBs that no other process builds, and the files beside them but the marker."""
    output = settings.output
    report = settings.report
    resizes = output.encoding.resizes
    with Workers(output.workers, output.scheduler, resizes) as workers, ExitStack() as stack:
        classes = None
        files: dict[Path, bytes] = {}
        if not output.classification:
            items = [item for part in parts for item in part.items]
            classes = class_map(source, items, settings.labelmap, workers)
            files[labelmap_file] = classes.text()
        rules = _rules(source, classes, labelmap_file, settings)
        dataset_checks = DatasetChecks(source, rules)
        folders: list[ResumableFolder] = []
        for part in parts:
            folder = _folder(source, part, rules, settings)
            folders.append(stack.enter_context(folder))
        packed: Iterator[bytes] = iter(())
        if classes:
            packed = iter(classes.known)
        for part, folder in zip(parts, folders, strict=True):
            entries = known.entries(part.items, packed)
            filling = _Filling(part, folder, dataset_checks, report, output.check_size)
            filling.run(workers, Job(source, rules), entries)
        if not report.failed:
            given = bool(classes and classes.file)
            report.add(dataset_checks.classes(given=given))
        report.print()
        report.raise_errors()
        for part in parts:
            files |= _lists(part)
        _write_files(files, marker, settings.overwrite)


def _lists(part: Part) -> dict[Path, bytes]:
    """Return the content of the list and the name_size file of a part, by path."""
    lines = [f"{list_line(item)}\n" for item in part.items]
    texts = {part.list_file: lines, part.name_size_file: part.sizes}
    return {path: "".join(text).encode() for path, text in texts.items()}


def _rules(
    source: Source, classes: ClassMap | None, labelmap_file: Path, settings: Settings
) -> Rules:
    """Return the rules that the items are checked against.

    classes: None where lists name a label for each image.
    labelmap_file: the label map to write.
    """
    output = settings.output
    labels: dict[str, int] = {}
    labels_from = ""
    if classes:
        labels = classes.labels(source)
        labels_from = str(classes.file or labelmap_file)
    return Rules(
        labels,
        labels_from,
        settings.fix,
        source.whole_pixels,
        output.encoding,
        output.classification,
        settings.confine,
    )


def _folder(source: Source, part: Part, rules: Rules, settings: Settings) -> ResumableFolder:
    """Return the folder that takes the records of a part."""
    shards = settings.output.shards
    digest = _digest(source, rules, part.items, shards)
    return ResumableFolder(part.lmdb, len(part.items), digest, settings.overwrite, shards)


def _write_files(files: dict[Path, bytes], marker: Path | None, overwrite: bool) -> None:
    """Write files, after the marker is removed.

    files: their content by path.
    marker: as build_parts takes it.
    Raises CaffeError, and writes nothing, where a file has other content and overwrite is not
      set.
    """
    if not overwrite:
        _check_same(files)
    if marker and marker.exists():
        marker.unlink()
        sync_folder(marker.parent)
    for path, content in files.items():
        write_atomic(path, content)


def _check_same(files: dict[Path, bytes]) -> None:
    """Raise CaffeError where a file exists with other content."""
    for path, content in files.items():
        if path.exists() and path.read_bytes() != content:
            raise CaffeError(f"{path}: already there with other content (--overwrite replaces it)")


def shuffled(items: list[Item], seed: int) -> list[Item]:
    """Put items in an order that depends on the seed alone, with any version of Python.

    The fork's own order differs each time.
    """
    numbers = range(len(items))
    keys = [hashlib.sha256(f"{seed} {i}".encode()).digest() for i in numbers]
    return [items[i] for i in sorted(numbers, key=keys.__getitem__)]


def _digest(source: Source, rules: Rules, items: list[Item], shards: int) -> str:
    """Return a digest of everything that an LMDB depends on, except its images and annotations."""
    settings = (source, source.root.resolve(), rules, shards, cv2.__version__)
    found = hashlib.sha256(pickle.dumps(settings))
    for item in items:
        found.update(repr(item).encode())
    return found.hexdigest()


class _Filling(NamedTuple):
    """Fills the LMDB of one part.

    check_size: all records must have the same shape.
    """

    part: Part
    folder: ResumableFolder
    dataset_checks: DatasetChecks
    report: Report
    check_size: bool

    def run(self, workers: Workers, job: Job, entries: list[Entry]) -> None:
        """Convert the items of the part, except those that an earlier process has converted."""
        items = self.part.items
        done = self._done(job)
        for item, outcome in zip(items, done, strict=False):
            self._add(item, outcome)
        coming = islice(items, len(done), None)
        batches = workers.map(convert, job, entries, len(done), weigh=_record_size)
        progress = tqdm(
            total=len(items),
            initial=len(done),
            desc=self.part.lmdb.name,
            unit=" images",
            disable=None,
            leave=False,
        )
        with progress:
            for batch in batches:
                for key, value, note in batch:
                    self._add(next(coming), Outcome.of(note))
                    if not self.report.failed:
                        self.folder.put(key, value, note)
                progress.update(len(batch))

    def _done(self, job: Job) -> list[Outcome]:
        """List what an earlier process has converted; nothing where its files have changed."""
        done = [Outcome.of(note) for note in self.folder.notes]
        for item, outcome in zip(self.part.items, done, strict=False):
            if stamps(job.source, item) != outcome.stamps:
                self.folder.restart()
                return []
        return done

    def _add(self, item: Item, outcome: Outcome) -> None:
        """Take in the outcome of the next item, and everything that is wrong with it."""
        key = bytes.fromhex(outcome.key)
        self.report.add(outcome.faults)
        self.report.add(self.dataset_checks.add(self.part.name, item, key, outcome.classes))
        self.part.add(item, outcome)
        if self.check_size and outcome.shape != self.part.shape:
            shape = shape_text(outcome.shape)
            first = shape_text(self.part.shape or ())
            message = f"{item.image} is {shape} where the first record is {first}"
            self.report.add([Fault("unequal", item.place or "", message)])


def _record_size(converted: Converted) -> int:
    """Return the bytes of a record, by which workers size their batches."""
    return len(converted[1])
