"""Detections in the files that challenges take: VOC's comp4 texts, COCO's JSON, ILSVRC's text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map, name_size
from netrun.detection.pixels import to_pixels
from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic
from ssd_common.suggest import suggest

FORMATS = ("VOC", "COCO", "ILSVRC")


def _round_half_away(values: np.ndarray) -> np.ndarray:
    return np.copysign(np.floor(np.abs(values.astype(float)) + 0.5), values)


def _number_or_name(name: str) -> int | str:
    return int(name) if re.fullmatch(r"-?[0-9]+", name) else name


class ResultFiles:
    """Collects the detections of num_test_image images in turn, then writes them and begins anew.

    VOC: PREFIX<label name>.txt, one a class; COCO: PREFIX.json; ILSVRC: PREFIX.txt. Coordinates are pixels of the photographs, boxes
    rounded as the fork's DetectionOutput rounds them. Raises CaffeError for label map, name_size file or folder that do not serve.
    """

    def __init__(self, param: pb.SaveOutputParameter, background: int) -> None:
        self.param = param
        self.resize = param.resize_param if param.HasField("resize_param") else None
        if param.output_format and param.output_format not in FORMATS:
            known = suggest(param.output_format, FORMATS) or f" (one of {', '.join(FORMATS)})"
            raise CaffeError(f"no output_format '{param.output_format}'{known}")
        items = [item for item in label_map.read(param.label_map_file).item if item.label != background]
        self.names = {item.label: item.name for item in items}
        if len(self.names) < len(items) or len(set(self.names.values())) < len(items):
            raise CaffeError(f"{param.label_map_file}: a label or a name occurs twice")
        self.images = name_size.read(param.name_size_file)
        self.round = param.num_test_image if param.HasField("num_test_image") else len(self.images)
        if not 0 < self.round <= len(self.images):
            raise CaffeError(f"num_test_image is {self.round}, but {param.name_size_file} names {len(self.images)} images")
        try:
            Path(param.output_directory).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CaffeError(f"output_directory {param.output_directory}: {error.strerror}") from None
        self._count = 0
        self._detections: list[tuple[str, int, np.float32, np.ndarray]] = []

    @staticmethod
    def wanted(param: pb.SaveOutputParameter) -> bool:
        """Whether the fork would write: it needs folder, label map and name_size file, all three."""
        return bool(param.output_directory and param.label_map_file and param.name_size_file)

    def add(self, rows: np.ndarray) -> None:
        """Take the detections of the next image, rows (n, 7) as DetectionOutput gives them; write after the last of a round."""
        name, height, width = self.images[self._count]
        pixels, _ = to_pixels(rows[:, 3:], height, width, self.resize)
        pixels[:, 2:] -= pixels[:, :2]  # to x, y, width, height
        boxes = (_round_half_away(pixels * np.float32(100)) / 100).astype(np.float32)
        for label, score, box in zip(rows[:, 1].astype(int).tolist(), rows[:, 2].astype(np.float32), boxes, strict=True):
            if label not in self.names:
                raise CaffeError(f"{self.param.label_map_file} has no label {label}, which was detected")
            self._detections.append((name, label, score, box))
        self._count += 1
        if self._count == self.round:
            self._write()
            self._count, self._detections = 0, []

    def _write(self) -> None:
        start = Path(self.param.output_directory) / self.param.output_name_prefix
        if self.param.output_format == "VOC":
            lines: dict[int, list[str]] = {label: [] for label in self.names}
            for name, label, score, box in self._detections:
                lines[label].append(f"{name} {score:g} {self._corners(box)}\n")
            for label, found in lines.items():
                write_atomic(f"{start}{self.names[label]}.txt", "".join(found))
        elif self.param.output_format == "ILSVRC":
            write_atomic(f"{start}.txt", "".join(f"{n} {label} {s:g} {self._corners(b)}\n" for n, label, s, b in self._detections))
        elif self.param.output_format == "COCO":
            records = [
                {
                    "image_id": _number_or_name(name),
                    "category_id": _number_or_name(self.names[label]),
                    "bbox": [float(f"{v:.9g}") for v in box],  # nine digits give a float32 whole
                    "score": float(f"{score:.9g}"),
                }
                for name, label, score, box in self._detections
            ]
            write_atomic(f"{start}.json", "[\n" + ",\n".join(map(json.dumps, records)) + "\n]\n")

    @staticmethod
    def _corners(box: np.ndarray) -> str:
        x, y, width, height = (int(v) for v in box)  # each cut to a whole number before they are added, as in the fork
        return f"{x} {y} {x + width} {y + height}"
