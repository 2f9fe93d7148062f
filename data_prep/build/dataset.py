"""Builds LMDBs and the files beside them: label map, lists, name_size files, dataset.json."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
from tqdm import tqdm

from caffe_ir import dataset_file
from caffe_ir import label_map as label_maps
from caffe_ir.dataset_file import DatasetFile
from data_prep.build.class_map import ClassMap, class_map
from data_prep.build.convert import Job, Outcome, convert, stamps
from data_prep.build.output import ONE_LMDB, Output
from data_prep.build.part import Part
from data_prep.build.resumable_folder import ResumableFolder, check_target, finish, is_finished
from data_prep.build.workers import Workers
from data_prep.checks.boxes import Fix
from data_prep.checks.dataset_checks import DatasetChecks
from data_prep.checks.faults import Fault
from data_prep.checks.item_checks import Rules
from data_prep.checks.report import Report
from data_prep.sources.source import Item, Source, list_line
from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic


class Settings(NamedTuple):
    """How a data set is built.

    report: gets all that is wrong
    labelmap: a label map's file or built-in name; None for one made of the classes found
    fix: what becomes of boxes at fault, see data_prep.checks.boxes.fixed_box
    overwrite: replace what is there
    output: how LMDBs are written
    """

    report: Report
    labelmap: str | None = None
    fix: Fix | None = None
    overwrite: bool = False
    output: Output = ONE_LMDB


def build_lmdb(source: Source, items: list[Item], out: Path, settings: Settings) -> Part:
    """Build one LMDB with label map, list and name_size file beside it.

    Without a labelmap the one beside out counts, where there is one.
    Raises CaffeError, with nothing written, if anything is wrong.
    """
    beside = out.with_name(label_maps.FILE_NAME)
    if not settings.labelmap and beside.is_file():
        settings = settings._replace(labelmap=str(beside))
    part = Part(out, items)
    build_parts(source, [part], beside, settings)
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
    """Build train_lmdb and test_lmdb in the folder `out`, with all that belongs to them.

    Last comes dataset.json, which `netgen build --dataset` takes; paths in it are relative to it.

    name: the data set's
    Raises CaffeError, with nothing written, if anything is wrong.
    """
    parts = [Part(out / "train_lmdb", train), Part(out / "test_lmdb", test)]
    description = out / dataset_file.FILE_NAME
    if description.exists() and not settings.overwrite:
        raise CaffeError(f"{description}: already there (--overwrite replaces it)")

    def describe() -> None:
        if settings.output.classification:
            return  # there is no detector for them
        about = DatasetFile(
            name=name,
            labelmap=label_maps.FILE_NAME,
            train_lmdb=parts[0].lmdb.name,
            test_lmdb=parts[1].lmdb.name,
            name_size=parts[1].name_size_file.name,
            train_images=len(train),
            test_images=len(test),
            force_color=any(part.mixed for part in parts),
        )
        write_atomic(description, dataset_file.dumps(about))

    beside = out / label_maps.FILE_NAME
    build_parts(source, parts, beside, settings, marker=description, describe=describe)
    return parts


def build_parts(
    source: Source,
    parts: list[Part],
    beside: Path,
    settings: Settings,
    *,
    marker: Path | None = None,
    describe: Callable[[], None] = lambda: None,
) -> None:
    """Build LMDBs that have a label map in common.

    beside: the label map
    marker: a file that says that the LMDBs are whole; it goes as soon as others take their place
    describe: writes the marker
    Raises CaffeError, with nothing written, if anything is wrong.
    """
    output, report, overwrite = settings.output, settings.report, settings.overwrite
    for part in parts:
        check_target(part.lmdb, overwrite or not is_finished(part.lmdb))
    resizes = output.encoding.resizes
    with Workers(output.workers, output.scheduler, resizes) as workers, ExitStack() as stack:
        classes = None
        files: dict[Path, str] = {}
        if not output.classification:
            items = [item for part in parts for item in part.items]
            classes = class_map(source, items, settings.labelmap, workers)
            files[beside] = classes.text()
        rules = _rules(source, classes, beside, settings)
        dataset_checks = DatasetChecks(rules)
        folders = [stack.enter_context(_folder(source, part, rules, settings)) for part in parts]
        for part, folder in zip(parts, folders, strict=True):
            filling = _Filling(part, folder, dataset_checks, report, output.check_size)
            filling.run(workers, Job(source, rules))
        if not report.failed:
            given = classes is not None and classes.file is not None
            report.add(dataset_checks.classes(given=given))
        report.print()
        report.raise_errors()
        for part in parts:
            files[part.list_file] = "".join(f"{list_line(item)}\n" for item in part.items)
            files[part.name_size_file] = "".join(part.sizes)
        if not overwrite:
            _check_same(files)
        if marker:
            marker.unlink(missing_ok=True)
        for path, lines in files.items():
            write_atomic(path, lines)
    describe()
    for part in parts:
        finish(part.lmdb)


def _rules(source: Source, classes: ClassMap | None, beside: Path, settings: Settings) -> Rules:
    """What the items are checked against. classes: None where lists name a label for each image."""
    output = settings.output
    labels = classes.labels(source) if classes else {}
    labels_from = str(classes.file or beside) if classes else ""
    return Rules(
        labels,
        labels_from,
        settings.fix,
        source.whole_pixels,
        output.encoding,
        output.classification,
    )


def _folder(source: Source, part: Part, rules: Rules, settings: Settings) -> ResumableFolder:
    """Where a part's LMDB is written."""
    shards = settings.output.shards
    digest = _digest(source, rules, part.items, shards)
    return ResumableFolder(part.lmdb, len(part.items), digest, settings.overwrite, shards)


def _check_same(files: dict[Path, str]) -> None:
    """Raise CaffeError where a file is there and has other content."""
    for path, lines in files.items():
        if path.exists() and path.read_text(encoding="utf-8") != lines:
            raise CaffeError(f"{path}: already there with other content (--overwrite replaces it)")


def shuffled(items: list[Item], seed: int) -> list[Item]:
    """The items in an order that depends on the seed alone, with any version of Python.

    The fork's own order is another each time.
    """
    keys = [hashlib.sha256(f"{seed} {i}".encode()).digest() for i in range(len(items))]
    return [items[i] for i in sorted(range(len(items)), key=keys.__getitem__)]


def _digest(source: Source, rules: Rules, items: list[Item], shards: int) -> str:
    """What an LMDB depends on beside the files that it is made of, as one word."""
    about = (source, source.root.resolve(), rules, shards, cv2.__version__)
    found = hashlib.sha256(pickle.dumps(about))
    for item in items:
        found.update(repr(item).encode())
    return found.hexdigest()


class _Filling(NamedTuple):
    """Filling the LMDB of one part."""

    part: Part
    folder: ResumableFolder
    dataset_checks: DatasetChecks
    report: Report
    check_size: bool

    def run(self, workers: Workers, job: Job) -> None:
        """Convert the part's items, but for those that an earlier process has converted."""
        items = self.part.items
        done = self._done(job)
        for item, outcome in zip(items, done, strict=False):
            self._add(item, outcome)
        coming = islice(items, len(done), None)
        batches = workers.map(convert, job, items, len(done), weigh=lambda found: len(found[1]))
        with tqdm(
            total=len(items),
            initial=len(done),
            desc=self.part.lmdb.name,
            unit=" images",
            disable=None,
            leave=False,
        ) as progress:
            for batch in batches:
                for key, value, note in batch:
                    self._add(next(coming), Outcome.of(note))
                    if not self.report.failed:
                        self.folder.put(key, value, note)
                progress.update(len(batch))

    def _done(self, job: Job) -> list[Outcome]:
        """What an earlier process has converted; nothing where its files have changed since."""
        done = [Outcome.of(note) for note in self.folder.notes]
        for item, outcome in zip(self.part.items, done, strict=False):
            if stamps(job.source, item) != outcome.stamps:
                self.folder.restart()
                return []
        return done

    def _add(self, item: Item, outcome: Outcome) -> None:
        """Take in what became of the next item, and all that is wrong with it."""
        key = bytes.fromhex(outcome.key)
        self.report.add(outcome.faults)
        self.report.add(self.dataset_checks.add(self.part.name, item, key, outcome.classes))
        self.part.add(item, outcome)
        if self.check_size and outcome.shape != self.part.shape:
            one, first = ("x".join(map(str, s)) for s in (outcome.shape, self.part.shape or ()))
            said = f"{item.image} is {one} where the first record is {first}"
            self.report.add([Fault("unequal", item.place or "", said)])
