"""Writes detections in the challenges' formats: VOC's comp4 texts, COCO's JSON, ILSVRC's text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map, name_size
from netrun.detection.pixels import to_pixels
from netrun.runtime import log
from ssd_common.durable import make_folder
from ssd_common.errors import CaffeError
from ssd_common.files import as_file_name, clear_leftovers, write_atomic
from ssd_common.locks import holding
from ssd_common.suggest import suggest

FORMATS = ("VOC", "COCO", "ILSVRC")


# An image's name, a label, a score and a box (x, y, width, height) in pixels.
Detected = tuple[str, int, np.float32, np.ndarray]


def _round_half_away(values: np.ndarray) -> np.ndarray:
    """Round to whole numbers, halves away from zero."""
    magnitude = np.floor(np.abs(values.astype(float)) + 0.5)
    return np.copysign(magnitude, values)


def _number_or_name(name: str) -> int | str:
    if re.fullmatch(r"-?[0-9]{1,4000}", name):  # Python refuses to read longer numbers
        return int(name)
    return name


class ResultFiles:
    """Collects the detections of num_test_image images, writes them, and starts again.

    VOC: PREFIX<label name>.txt, one a class; COCO: PREFIX.json; ILSVRC: PREFIX.txt, all in
    output_directory. PREFIX may name a folder in there, which is made. A slash in a label's name
    becomes %2F (see as_file_name): the fork writes no file for such a class.
    Boxes are in pixels of the photographs, rounded as in the fork's DetectionOutput.
    param: the layer's save_output_param.
    background: the background's label.
    Raises CaffeError for an unknown format, for an unusable label map or name_size file, for a
    prefix that leads out of output_directory, and for a folder that cannot be made.
    """

    def __init__(self, param: pb.SaveOutputParameter, background: int) -> None:
        self.param = param
        self.resize = None
        if param.HasField("resize_param"):
            self.resize = param.resize_param
        if param.output_format and param.output_format not in FORMATS:
            known = suggest(param.output_format, FORMATS) or f" (one of {', '.join(FORMATS)})"
            raise CaffeError(f"no output_format '{param.output_format}'{known}")
        self.names = _class_names(param.label_map_file, background)
        self.images = name_size.read(param.name_size_file)
        self.round = len(self.images)
        if param.HasField("num_test_image"):
            self.round = param.num_test_image
        if not 0 < self.round <= len(self.images):
            raise CaffeError(
                f"num_test_image is {self.round}, "
                f"but {param.name_size_file} names {len(self.images)} images"
            )
        self._folder = _made_folder(param)
        _, _, self._start = param.output_name_prefix.rpartition("/")
        clear_leftovers(self._folder, lambda name: name.startswith(as_file_name(self._start)))
        self._count = 0
        self._fault: str | None = None  # why the present round cannot be written
        self._detections: list[Detected] = []

    @staticmethod
    def wanted(param: pb.SaveOutputParameter) -> bool:
        """Tell whether the fork writes files: only with folder, label map and name_size file."""
        return bool(param.output_directory and param.label_map_file and param.name_size_file)

    def add(self, rows: np.ndarray) -> None:
        """Add the next image's detections; write the files after the last of num_test_image images.

        rows: (n, 7), from DetectionOutput.
        Raises CaffeError after the last of num_test_image images for a label that the label map
        lacks (nothing is written then), and for a file that cannot be written. In any case the
        next image starts again.
        """
        name, height, width = self.images[self._count]
        pixels, _ = to_pixels(rows[:, 3:], height, width, self.resize)
        pixels[:, 2:] -= pixels[:, :2]  # to x, y, width, height
        hundredths = _round_half_away(pixels * np.float32(100))
        boxes = (hundredths / 100).astype(np.float32)
        labels = rows[:, 1].astype(int).tolist()
        scores = rows[:, 2].astype(np.float32)
        for label, score, box in zip(labels, scores, boxes, strict=True):
            if label not in self.names:
                file = self.param.label_map_file
                self._fault = f"{file} has no label {label}, which was detected"
                break
            self._detections.append((name, label, score, box))
        self._count += 1
        if self._count == self.round:
            try:
                self._write()
            finally:
                self._count = 0
                self._fault = None
                self._detections = []

    def _write(self) -> None:
        if self._fault:
            raise CaffeError(self._fault)
        what = f"output_directory {self.param.output_directory}"
        with holding(self._folder, as_file_name(self._start), what, log.warning):
            self._write_files()

    def _write_files(self) -> None:
        output_format = self.param.output_format
        if output_format == "VOC":
            self._write_voc()
        elif output_format == "ILSVRC":
            lines = [
                f"{name} {label} {score:g} {_edges(box)}\n"
                for name, label, score, box in self._detections
            ]
            write_atomic(self._file(".txt"), _bytes(lines))
        elif output_format == "COCO":
            records = [json.dumps(self._coco_record(*found)) for found in self._detections]
            write_atomic(self._file(".json"), "[\n" + ",\n".join(records) + "\n]\n")

    def _file(self, end: str) -> Path:
        """The result file whose name is the prefix's and `end`."""
        return self._folder / as_file_name(self._start + end)

    def _write_voc(self) -> None:
        lines: dict[int, list[str]] = {label: [] for label in self.names}
        for name, label, score, box in self._detections:
            lines[label].append(f"{name} {score:g} {_edges(box)}\n")
        fault: CaffeError | None = None
        for label, found in lines.items():
            try:
                write_atomic(self._file(f"{self.names[label]}.txt"), _bytes(found))
            except CaffeError as error:  # costs this class its file, no other
                fault = fault or error
        if fault:
            raise fault

    def _coco_record(
        self,
        name: str,
        label: int,
        score: np.float32,
        box: np.ndarray,
    ) -> dict[str, object]:
        return {
            "image_id": _number_or_name(name),
            "category_id": _number_or_name(self.names[label]),
            "bbox": [float(f"{v:.9g}") for v in box],  # nine digits hold any float32
            "score": float(f"{score:.9g}"),
        }


def _made_folder(param: pb.SaveOutputParameter) -> Path:
    """Make the folder of the result files: output_directory, or the prefix's folder in there.

    Raises CaffeError where it cannot be made, and for a prefix that leads out of it.
    """
    directory = Path(param.output_directory)
    inner, _, _ = param.output_name_prefix.rpartition("/")
    try:
        inside = (directory / inner).resolve().is_relative_to(directory.resolve())
        if param.output_name_prefix.startswith("/") or ".." in inner.split("/") or not inside:
            what = f"output_name_prefix '{param.output_name_prefix}'"
            raise CaffeError(f"{what} leads out of output_directory {directory}")
        folder = directory / inner
        make_folder(folder)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CaffeError(f"output_directory {param.output_directory}: {reason}") from None
    return folder


def _class_names(file: str, background: int) -> dict[int, str]:
    """The names of a label map's classes by label, without the background."""
    items = [item for item in label_map.read(file).item if item.label != background]
    names = {item.label: item.name for item in items}
    if len(names) < len(items) or len(set(names.values())) < len(items):
        raise CaffeError(f"{file}: a label or a name occurs twice")
    return names


def _bytes(lines: Iterable[str]) -> bytes:
    """Lines as a file has them; an image's name keeps its bytes, UTF-8 or not."""
    return "".join(lines).encode("utf-8", "surrogateescape")


def _edges(box: np.ndarray) -> str:
    """xmin, ymin, xmax, ymax of a box in whole pixels.

    The fork truncates each number before it adds them.
    """
    x, y, width, height = (int(v) for v in box)
    return f"{x} {y} {x + width} {y + height}"
