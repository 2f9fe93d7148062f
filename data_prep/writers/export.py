"""Writes LMDBs out as a data set of images and annotations."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from caffe_ir import label_map as label_maps
from caffe_ir import text
from caffe_ir.lmdb_reader import LmdbReader
from data_prep.build.claimed import claimed
from data_prep.build.part import Part, class_counts
from data_prep.build.resumable_folder import clear_leftovers, replace_folder, temporary
from data_prep.checks.faults import Fault
from data_prep.checks.report import Report
from data_prep.sources import label_map
from data_prep.writers import photos
from data_prep.writers.formats import FORMATS
from data_prep.writers.formats.classes import Classes, names_of
from data_prep.writers.formats.format import Writer
from data_prep.writers.names import Names
from ssd_common.durable import sync_all
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike
from ssd_common.suggest import suggest
from ssd_common.words import counted


class Exported(NamedTuple):
    """What was written.

    out: the folder.
    images: number of images by split.
    objects: number of objects by class.
    difficult: number of difficult objects.
    left_out: number of records that could not be written.
    report: everything that is wrong.
    """

    out: Path
    images: dict[str, int]
    objects: Counter[str]
    difficult: int
    left_out: int
    report: Report

    def __str__(self) -> str:
        images = ", ".join(f"{split} {counted(n, 'image')}" for split, n in self.images.items())
        classes = class_counts(self.objects) or "none"
        total = f"{self.objects.total()} boxes ({self.difficult} difficult)"
        return f"{self.out}: {images}; {total}: {classes}"


def export(
    lmdbs: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    format: str = "voc",
    labelmap: str | None = None,
    report: Report | None = None,
) -> Exported:
    """Write the images and annotations of LMDBs into a new folder, all or nothing.

    Images keep their bytes; raw pixels become PNG. Boxes are in the pixels that the annotations
    had. Records that cannot be read are left out, and are errors in the report.

    lmdbs: annotated LMDBs, one for each split; each gives its split its name, "train" for
      train_lmdb.
    out: the folder to make; it must not exist, or be empty.
    format: a name in data_prep.writers.formats.FORMATS.
    labelmap: a label map's file or built-in name; None for labelmap.prototxt beside the first LMDB.
      Without any, classes are called by their labels.
    report: gets everything that is wrong.
    Raises CaffeError for LMDBs that cannot be read or have no image, and where out is taken.
    """
    if format not in FORMATS:
        near = suggest(format, FORMATS) or f" (one of {', '.join(FORMATS)})"
        raise CaffeError(f"no format '{format}'{near}")
    if isinstance(lmdbs, (str, os.PathLike)):
        lmdbs = [lmdbs]
    splits = _splits([Path(lmdb) for lmdb in lmdbs])
    classes, file = _classes(list(splits.values()), labelmap)
    target = Path(out).resolve()
    folder = temporary(target)
    report = report or Report()
    with claimed(target), ExitStack() as stack:
        _require_free(target)
        clear_leftovers(target)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            folder.mkdir()
            exporter = _Exporter(FORMATS[format].open(folder, classes), classes, report)
            for split, lmdb in splits.items():
                exporter.add(split, lmdb)
            exporter.writer.finish()
            _write_label_map(folder, classes, file)
            sync_all()
            replace_folder(folder, target)
        except OSError as error:
            raise CaffeError(f"{out}: cannot write: {error.strerror or error}") from None
    return exporter.result(Path(out))


def _splits(lmdbs: list[Path]) -> dict[str, Path]:
    """Return the LMDBs by the names of their splits. Raises CaffeError for two of one name."""
    found: dict[str, Path] = {}
    for lmdb in lmdbs:
        named = lmdb
        if named.name == "data.mdb":
            named = named.parent
        name = Part(named.resolve(), []).name
        if name in found:
            raise CaffeError(f"{found[name]} and {lmdb} are both called {name}: export them apart")
        found[name] = lmdb
    return found


def _classes(lmdbs: list[Path], labelmap: str | None) -> tuple[Classes, Path | None]:
    """Return the classes of LMDBs, and their label map's file; None where there is none.

    Raises CaffeError where LMDBs have different label maps beside them.
    """
    found = [label_map.beside(lmdb, labelmap) for lmdb in lmdbs]
    files = [file for file in found if file]
    if not files:
        return Classes(None), None
    names = names_of(label_maps.read(files[0]), str(files[0]))
    for other in files[1:]:
        if names_of(label_maps.read(other), str(other)) != names:
            raise CaffeError(f"{files[0]} and {other} differ: export each LMDB by itself")
    return Classes(names), files[0]


def _require_free(out: Path) -> None:
    """Raise CaffeError unless there is nothing at a path, or an empty folder."""
    if out.exists() and not (out.is_dir() and not os.listdir(out)):
        raise CaffeError(f"{out}: already there; name a new folder")


class _Exporter:
    """Takes the records of LMDBs to a writer, and counts them."""

    def __init__(self, writer: Writer, classes: Classes, report: Report) -> None:
        self.writer = writer
        self._classes = classes
        self._report = report
        self._names = Names()
        self._images: dict[str, int] = {}
        self._objects: Counter[str] = Counter()
        self._difficult = 0
        self._left_out = 0

    def add(self, split: str, lmdb: Path) -> None:
        """Write a split. Raises CaffeError for an LMDB without an image that can be written."""
        reader = LmdbReader(lmdb)
        self.writer.begin(split)
        count = 0
        first: Fault | None = None
        progress = tqdm(total=len(reader), desc=split, unit=" images", disable=None, leave=False)
        with progress:
            for photo, faults in photos.read_all(reader, self._classes, self._names):
                progress.update()
                self._report.add(faults)
                if photo is None:
                    first = first or faults[0]
                    self._left_out += 1
                    continue
                count += 1
                self._report.add(self.writer.add(photo))
                self._objects.update(self._classes.name(box.label) for box in photo.boxes)
                self._difficult += sum(box.difficult for box in photo.boxes)
        reader.close()
        if not count:
            raise CaffeError(f"{lmdb}: no record can be written: {first}")
        self._images[split] = count

    def result(self, out: Path) -> Exported:
        """Return what was written to a folder."""
        return Exported(
            out, self._images, self._objects, self._difficult, self._left_out, self._report
        )


def _write_label_map(folder: Path, classes: Classes, file: Path | None) -> None:
    """Write the label map of a data set, so that it gives the same labels when it is built."""
    target = folder / label_maps.FILE_NAME
    if file:
        target.write_bytes(file.read_bytes())
        return
    made = label_map.make([])
    for label, name in sorted(classes.names.items()):
        if label:
            made.item.add(name=name, label=label, display_name=name)
    text.write(made, target)
