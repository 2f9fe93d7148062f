"""Builds LMDBs and the files beside them: label map, lists, name_size files, dataset.json."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from os.path import basename, splitext  # Path's own are four times as slow, for every image
from pathlib import Path

import cv2
from tqdm import tqdm

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import dataset_file, name_size, text
from caffe_ir import label_map as label_maps
from caffe_ir.dataset_file import DatasetFile
from data_prep.build.convert import Job, Outcome, convert, stamps
from data_prep.build.output import ONE_LMDB, Output
from data_prep.build.resumable_folder import ResumableFolder, check_target, finish, is_finished
from data_prep.build.workers import Workers
from data_prep.checks.boxes import Fix
from data_prep.checks.dataset_checks import DatasetChecks
from data_prep.checks.faults import Fault
from data_prep.checks.item_checks import Rules
from data_prep.checks.report import Report
from data_prep.sources import label_map
from data_prep.sources.source import Item, Source, list_line
from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic


@dataclass
class Part:
    """One LMDB to be, with its list and name_size files beside it, and what it turned out to hold.

    stem: what these are called after; `train` for `train_lmdb` if it is not given.
    """

    lmdb: Path
    items: list[Item]
    stem: str | None = None
    sizes: list[str] = field(default_factory=list)  # lines of the name_size file
    boxes: Counter[str] = field(default_factory=Counter)  # by class
    difficult: int = 0
    shape: tuple[int, int, int] | None = None  # of the first record
    mixed: bool = False  # records of which not all have the channels that they say they have

    def __post_init__(self) -> None:
        if self.stem is None:
            self.stem = self.lmdb.name.removesuffix("lmdb").rstrip("_")  # "" for `lmdb`

    @property
    def list_file(self) -> Path:
        """The list of its images, beside the LMDB."""
        return self.lmdb.with_name(f"{self.stem or 'list'}.txt")

    @property
    def name_size_file(self) -> Path:
        """The names and sizes of its images, beside the LMDB."""
        return self.lmdb.with_name(f"{self.stem}{name_size.SUFFIX}".lstrip("_"))

    def add(self, item: Item, outcome: Outcome) -> None:
        """Take an item in."""
        self.boxes.update(outcome.classes)
        self.difficult += outcome.difficult
        self.mixed |= any(f.kind in ("grey", "alpha", "deep") for f in outcome.faults)
        name = item.name or splitext(basename(item.image))[0]
        self.sizes.append(name_size.format_line(name, outcome.height, outcome.width))
        self.shape = self.shape or outcome.shape

    def __str__(self) -> str:
        if not self.boxes:
            return f"{self.lmdb}: {len(self.sizes)} images"
        classes = ", ".join(f"{name} {n}" for name, n in sorted(self.boxes.items()))
        return f"{self.lmdb}: {len(self.sizes)} images, {sum(self.boxes.values())} boxes ({self.difficult} difficult): {classes}"


def build_lmdb(
    source: Source, items: list[Item], out: Path, *, labels: str | None = None, overwrite: bool = False,
    fix: Fix | None = None, report: Report | None = None, output: Output = ONE_LMDB,
) -> Part:  # fmt: skip
    """Build one LMDB with label map, list and name_size file beside it.

    labels: a label map's file or built-in name; without it the one beside out, or one made of the classes that are there.
    fix: what becomes of boxes at fault, see data_prep.checks.boxes.fixed_box
    report: gets all that is wrong
    Raises CaffeError, with nothing written, if anything is wrong.
    """
    beside = out.with_name(label_maps.FILE_NAME)
    part = Part(out, items)
    labels = labels or (str(beside) if beside.is_file() else None)
    build_parts(source, [part], beside, report or Report(), labels=labels, overwrite=overwrite, fix=fix, output=output)
    return part


def build_dataset(
    source: Source, train: list[Item], test: list[Item], out: Path, *, name: str, labels: str | None = None, overwrite: bool = False,
    fix: Fix | None = None, report: Report | None = None, output: Output = ONE_LMDB,
) -> list[Part]:  # fmt: skip
    """Build `train_lmdb` and `test_lmdb` with all that belongs to them in the folder `out`; last comes dataset.json,
    which `netgen build --dataset` takes (paths in it are relative to it). labels, fix, report, errors: as build_lmdb.
    """
    parts = [Part(out / "train_lmdb", train), Part(out / "test_lmdb", test)]
    description = out / dataset_file.FILE_NAME
    if description.exists() and not overwrite:
        raise CaffeError(f"{description}: already there (--overwrite replaces it)")

    def describe() -> None:
        if output.classification:
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

    build_parts(
        source, parts, out / label_maps.FILE_NAME, report or Report(), labels=labels, overwrite=overwrite, fix=fix, output=output,
        marker=description, describe=describe,
    )  # fmt: skip
    return parts


def build_parts(
    source: Source, parts: list[Part], beside: Path, report: Report, *, labels: str | None, overwrite: bool, fix: Fix | None,
    output: Output = ONE_LMDB, marker: Path | None = None, describe: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Build LMDBs that have the label map `beside` in common. labels, fix, report, errors: as build_lmdb.

    marker: a file that says that they are whole; it goes as soon as others take their place; describe: writes it.
    """
    for part in parts:
        check_target(part.lmdb, overwrite or not is_finished(part.lmdb))
    with Workers(output.workers, output.scheduler, output.encoding.resizes) as workers, ExitStack() as stack:
        files = {}
        given = None
        rules = Rules({}, "", fix, source.whole_pixels, output.encoding, output.classification)
        if not output.classification:
            given, classes = class_map(source, [i for p in parts for i in p.items], labels, workers)
            known = label_map.labels_of(classes, str(given or source.root))
            rules = rules._replace(labels=known, labels_from=str(given or beside))
            files[beside] = given.read_text(encoding="utf-8") if given else text.dumps(classes)
        dataset_checks = DatasetChecks(rules)
        folders = [
            stack.enter_context(
                ResumableFolder(p.lmdb, len(p.items), _digest(source, rules, p.items, output.shards), overwrite, output.shards)
            )
            for p in parts
        ]
        for part, folder in zip(parts, folders, strict=True):
            _fill(
                workers, Job(source, rules), part, folder, dataset_checks=dataset_checks, report=report, check_size=output.check_size
            )
        report.add([] if report.failed else dataset_checks.classes(given=given is not None))
        report.print()
        report.raise_errors()
        for part in parts:
            files[part.list_file] = "".join(f"{list_line(i)}\n" for i in part.items)
            files[part.name_size_file] = "".join(part.sizes)
        for path, lines in files.items():
            if path.exists() and not overwrite and path.read_text(encoding="utf-8") != lines:
                raise CaffeError(f"{path}: already there with other content (--overwrite replaces it)")
        if marker:
            marker.unlink(missing_ok=True)
        for path, lines in files.items():
            write_atomic(path, lines)
    describe()
    for part in parts:
        finish(part.lmdb)


def class_map(source: Source, items: list[Item], labels: str | None, workers: Workers | None = None) -> tuple[Path | None, pb.LabelMap]:
    """The file of a label map and what it holds; None and one made of the source's classes, or those of the items, without labels."""
    if labels:
        given = label_map.find(labels)
        classes = label_maps.read(given)
        if not any(item.label for item in classes.item):
            raise CaffeError(f"{given}: a label map without a class")
        return given, classes
    if source.classes:
        return None, label_map.make(source.classes)
    found = (workers or Workers(1)).map(classes_of, source, items)
    return None, label_map.make(sorted({name for batch in found for names in batch for name in names}))


def classes_of(source: Source, _: int, items: list[Item]) -> list[set[str]]:
    """Classes in the annotations of items; of those that cannot be read none: they are reported when their turn comes."""
    found: list[set[str]] = []
    for item in items:
        try:
            found.append({o.name for o in source.read(item).objects})
        except (CaffeError, OSError):
            found.append(set())
    return found


def shuffled(items: list[Item], seed: int) -> list[Item]:
    """The items in an order that depends on the seed alone, with any version of Python. The fork's own order is another each time."""
    return [item for _, item in sorted(enumerate(items), key=lambda entry: hashlib.sha256(f"{seed} {entry[0]}".encode()).digest())]


def _digest(source: Source, rules: Rules, items: list[Item], shards: int) -> str:
    """What an LMDB depends on beside the files that it is made of, as one word."""
    found = hashlib.sha256(pickle.dumps((source, source.root.resolve(), rules, shards, cv2.__version__)))
    for item in items:
        found.update(repr(item).encode())
    return found.hexdigest()


def _fill(
    workers: Workers, job: Job, part: Part, folder: ResumableFolder, *, dataset_checks: DatasetChecks, report: Report, check_size: bool
) -> None:
    def add(item: Item, outcome: Outcome) -> None:
        report.add(outcome.faults)
        report.add(dataset_checks.add(part.stem or part.lmdb.name, item, bytes.fromhex(outcome.key), outcome.classes))
        part.add(item, outcome)
        if check_size and outcome.shape != part.shape:
            one, first = ("x".join(map(str, shape)) for shape in (outcome.shape, part.shape or ()))
            report.add([Fault("unequal", item.place or "", f"{item.image} is {one} where the first record is {first}")])

    done = [Outcome.of(note) for note in folder.notes]
    if any(stamps(job.source, item) != outcome.stamps for item, outcome in zip(part.items, done, strict=False)):
        folder.restart()
        done = []
    for item, outcome in zip(part.items, done, strict=False):
        add(item, outcome)
    items = islice(part.items, len(done), None)
    with tqdm(total=len(part.items), initial=len(done), desc=part.lmdb.name, unit=" images", disable=None, leave=False) as progress:
        for batch in workers.map(convert, job, part.items, len(done), weigh=lambda converted: len(converted[1])):
            for key, value, note in batch:
                add(next(items), Outcome.of(note))
                if not report.failed:
                    folder.put(key, value, note)
            progress.update(len(batch))
