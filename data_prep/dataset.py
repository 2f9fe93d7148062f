"""Builds LMDBs and the files beside them: label map, lists, name_size files, dataset.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.errors import CaffeError
from data_prep import labelmap
from data_prep.labelmap import LABELMAP
from data_prep.lmdb_writer import LmdbWriter, check_target
from data_prep.preflight import Fix, Rules, Survey, inspect
from data_prep.record import annotated_datum
from data_prep.report import Report
from data_prep.source import Item, Source, list_line

DESCRIPTION = "dataset.json"


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

    def __post_init__(self) -> None:
        if self.stem is None:
            self.stem = self.lmdb.name.removesuffix("lmdb").rstrip("_")  # "" for `lmdb`

    @property
    def list_file(self) -> Path:
        return self.lmdb.with_name(f"{self.stem or 'list'}.txt")

    @property
    def name_size_file(self) -> Path:
        return self.lmdb.with_name(f"{self.stem}_name_size.txt".lstrip("_"))

    def __str__(self) -> str:
        classes = ", ".join(f"{name} {n}" for name, n in sorted(self.boxes.items()))
        return f"{self.lmdb}: {len(self.sizes)} images, {sum(self.boxes.values())} boxes ({self.difficult} difficult): {classes}"


def build_lmdb(
    source: Source, items: list[Item], out: Path, *, labels: str | None = None, overwrite: bool = False,
    fix: Fix | None = None, report: Report | None = None,
) -> Part:  # fmt: skip
    """Build one LMDB with label map, list and name_size file beside it.

    labels: a label map's file or built-in name; without it the one beside out, or one made of the classes that are there.
    fix: mend what preflight.mend can; report: gets all that is wrong. Raises CaffeError, with nothing written, if anything is.
    """
    beside = out.with_name(LABELMAP)
    part = Part(out, items)
    labels = labels or (str(beside) if beside.is_file() else None)
    build_parts(source, [part], beside, report or Report(), labels=labels, overwrite=overwrite, fix=fix)
    return part


def build_dataset(
    source: Source, train: list[Item], test: list[Item], out: Path, *, name: str, labels: str | None = None, overwrite: bool = False,
    fix: Fix | None = None, report: Report | None = None,
) -> list[Part]:  # fmt: skip
    """Build `train_lmdb` and `test_lmdb` with all that belongs to them in the folder `out`; last comes dataset.json,
    which `netgen build --dataset` takes (paths in it are relative to it). labels, fix, report, errors: as build_lmdb.
    """
    parts = [Part(out / "train_lmdb", train), Part(out / "test_lmdb", test)]
    description = out / DESCRIPTION
    if description.exists() and not overwrite:
        raise CaffeError(f"{description}: already there (--overwrite replaces it)")
    description.unlink(missing_ok=True)  # while it is there, the rest is whole
    build_parts(source, parts, out / LABELMAP, report or Report(), labels=labels, overwrite=overwrite, fix=fix)
    about = {
        "name": name, "labelmap": LABELMAP,
        "train_lmdb": parts[0].lmdb.name, "test_lmdb": parts[1].lmdb.name, "name_size": parts[1].name_size_file.name,
        "train_images": len(train), "test_images": len(test),
    }  # fmt: skip
    text.write_atomic(description, json.dumps(about, indent=2) + "\n")
    return parts


def build_parts(
    source: Source, parts: list[Part], beside: Path, report: Report, *, labels: str | None, overwrite: bool, fix: Fix | None
) -> None:
    """Build LMDBs that have the label map `beside` in common. labels, fix, report, errors: as build_lmdb."""
    for part in parts:
        check_target(part.lmdb, overwrite)
    given, label_map = class_map(source, [i for p in parts for i in p.items], labels)
    known = labelmap.labels_of(label_map, str(given or source.root))
    rules = Rules(known, str(given or beside), fix, source.whole_pixels)
    survey = Survey(rules)
    content = given.read_text(encoding="utf-8") if given else text.dumps(label_map)
    with ExitStack() as stack:
        for part in parts:
            writer = stack.enter_context(LmdbWriter(part.lmdb, overwrite))
            _fill(source, part, rules, survey, writer=writer, report=report)
        report.add([] if report.failed else survey.unused())
        report.print()
        report.raise_errors()
        files = {beside: content}
        for part in parts:
            files[part.list_file] = "".join(f"{list_line(i)}\n" for i in part.items)
            files[part.name_size_file] = "".join(part.sizes)
        for path, lines in files.items():
            if path.exists() and not overwrite and path.read_text(encoding="utf-8") != lines:
                raise CaffeError(f"{path}: already there with other content (--overwrite replaces it)")
        for path, lines in files.items():
            text.write_atomic(path, lines)


def class_map(source: Source, items: list[Item], labels: str | None) -> tuple[Path | None, pb.LabelMap]:
    """The file of a label map and what it holds; None and one made of the source's classes, or those of the items, without labels."""
    if labels:
        given = labelmap.find(labels)
        return given, text.read_labelmap(given)
    return None, labelmap.make(source.classes or sorted(_classes(source, items)))


def _fill(source: Source, part: Part, rules: Rules, survey: Survey, *, writer: LmdbWriter, report: Report) -> None:
    for number, item in enumerate(tqdm(part.items, desc=part.lmdb.name, unit=" images", disable=None, leave=False)):
        found = inspect(source, item, rules)
        report.add(found.faults)
        report.add(survey.add(part.stem or part.lmdb.name, item, found))
        if report.failed or not found.image or not found.annotation:
            continue
        image, annotation = found.image, found.annotation
        writer.put(f"{number:08d}_{item.image}".encode(), annotated_datum(image, annotation, rules.labels).SerializeToString())
        part.boxes.update(o.name for o in annotation.objects)
        part.difficult += sum(o.difficult for o in annotation.objects)
        # A space would shift the columns for whoever reads the file by words, as Caffe does.
        part.sizes.append(f"{'_'.join((item.name or Path(item.image).stem).split())} {image.height} {image.width}\n")


def _classes(source: Source, items: Iterable[Item]) -> set[str]:
    """Classes in the annotations that can be read; the others are reported when their turn comes."""
    found: set[str] = set()
    for item in items:
        try:
            found.update(o.name for o in source.read(item).objects)
        except (CaffeError, OSError):
            continue
    return found
