"""COCO's twelve metrics, by pycocotools: of a result file, or of a test net's detections as they come."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.lmdb_reader import LmdbReader
from caffe_ir.records import parse
from netrun.data.datum import decode_image
from netrun.engine.engine import Engine
from netrun.layers.annotated_data import AnnotatedData
from ssd_common.errors import CaffeError, ParseError
from ssd_common.files import PathLike

# In the order of COCOeval.summarize().
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


class CocoMetrics:
    """The metrics of detections against a ground truth.

    truth: as COCO's annotation files: images, annotations, categories. detections: as its result files: image_id, category_id,
    bbox [x, y, width, height] in pixels, score. figures: name -> value, -1 where there is no such object; summary: COCO's own twelve
    lines. per_class: category name -> AP. Images that only the truth knows count as having no detections.
    images, empty_images: how many the truth has, and how many of them are without detections.
    """

    def __init__(self, truth: dict[str, Any], detections: Iterable[dict[str, Any]]) -> None:
        found = [
            {**d, "id": i, "area": d["bbox"][2] * d["bbox"][3], "iscrowd": 0} for i, d in enumerate(detections, 1)
        ]  # what COCO.loadRes adds
        self.images = len(truth["images"])
        self.empty_images = self.images - len({d["image_id"] for d in found})
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            right = _index(truth)
            evaluation = COCOeval(right, _index({**truth, "annotations": found}), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            said.truncate(0)
            said.seek(0)
            evaluation.summarize()
        self.summary = said.getvalue().rstrip("\n")
        self.figures = dict(zip(NAMES, map(float, evaluation.stats), strict=True))
        precision = evaluation.eval["precision"][:, :, :, 0, -1]  # overlaps, recalls, classes; of any size, 100 detections
        names = {c["id"]: str(c.get("name", c["id"])) for c in truth["categories"]}
        self.per_class = {
            names[category]: float(own[own > -1].mean()) if (own := precision[:, :, i]).max(initial=-1) > -1 else -1.0
            for i, category in enumerate(evaluation.params.catIds)
        }


def _index(dataset: dict[str, Any]) -> COCO:
    made = COCO()
    made.dataset = dataset
    made.createIndex()
    return made


def read_truth(path: str) -> dict[str, Any]:
    """A COCO annotation file (instances_*.json). Raises ParseError for what is none."""
    truth = _json(path)
    for part in ("images", "annotations", "categories"):
        if not isinstance(truth, dict) or not isinstance(truth.get(part), list):
            raise ParseError(path, f"is no COCO annotation file: it has no list '{part}'")
    if not truth["annotations"]:
        raise ParseError(path, "has no annotations to compare with (COCO's image_info files have none)")
    for part, fields in (
        ("images", ("id",)),
        ("annotations", ("image_id", "category_id", "bbox", "area", "iscrowd", "id")),
        ("categories", ("id",)),
    ):
        for i, entry in enumerate(truth[part]):
            if missing := [f for f in fields if not isinstance(entry, dict) or f not in entry]:
                raise ParseError(path, f"{part}[{i}] has no '{missing[0]}'")
    return truth


def read_results(path: str, truth: dict[str, Any]) -> list[dict[str, Any]]:
    """A result file's detections. Raises ParseError for what is none, and where it has images or categories that the truth has not."""
    found = _json(path)
    if not isinstance(found, list):
        raise ParseError(path, "is no COCO result file: a list of detections")
    images, categories = ({entry["id"] for entry in truth[part]} for part in ("images", "categories"))
    for i, d in enumerate(found):
        box = d.get("bbox") if isinstance(d, dict) else None
        numbers = [*box, d.get("score")] if isinstance(box, list) and len(box) == 4 else []
        if not numbers or not all(isinstance(v, (int, float)) and np.isfinite(v) for v in numbers):
            raise ParseError(path, f"entry {i}: a detection has image_id, category_id, bbox [x, y, width, height] and score")
        if d.get("image_id") not in images:
            raise ParseError(path, f"entry {i}: image {d.get('image_id')!r} is none of the annotation file's {len(images)}")
        if d.get("category_id") not in categories:
            known = "label map names must be COCO's category ids (labelmap_coco.prototxt)"
            raise ParseError(path, f"entry {i}: category {d.get('category_id')!r} is none of the annotation file's; {known}")
    return found


def coco(results: PathLike, annotations: PathLike) -> CocoMetrics:
    """COCO's metrics of a result file.

    results: detections, as DetectionOutput's save_output_param writes them.
    annotations: the truth, such as instances_minival2014.json.
    Raises ParseError for files of another kind, and for detections on images or of categories
    that the truth does not have.
    """
    truth = read_truth(str(annotations))
    return CocoMetrics(truth, read_results(str(results), truth))


def _json(path: str) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ParseError(path, error.strerror or "cannot be read") from None
    except ValueError as error:
        raise ParseError(path, f"is not JSON: {error}", getattr(error, "lineno", None)) from None


class Collector:
    """Gathers truth and detections from a test net, batch by batch, each image of its LMDB once.

    Boxes are in pixels of the photographs, whose sizes the LMDB has. Difficult objects count as COCO's crowds, which may be found or
    not; an object's area is that of its box, where COCO takes that of its outline: its metrics by size are a little different.
    Raises CaffeError for a net that lacks AnnotatedData or DetectionEvaluate, or that pads or crops its images.
    """

    def __init__(self, net: Engine, names: dict[int, str]) -> None:
        layers = {layer.type: layer for layer in net.layer_list}
        if not {"AnnotatedData", "DetectionEvaluate"} <= layers.keys():
            raise CaffeError(f"net '{net.name}': COCO metrics need an AnnotatedData and a DetectionEvaluate layer, as test nets have")
        source, evaluate = layers["AnnotatedData"], layers["DetectionEvaluate"].param
        assert isinstance(source, AnnotatedData)
        self.source, data = source, source.param
        transform = data.transform_param
        if transform.resize_param.resize_mode != pb.ResizeParameter.WARP or transform.crop_size or transform.crop_h or transform.crop_w:
            raise CaffeError(
                f"net '{net.name}': COCO metrics while testing need resize_mode WARP and no crop; write result files (save_output_param) "
                "and compare those: netrun coco --help"
            )
        self.net, self.names = net, names
        self.detections_blob, self.labels_blob = evaluate.bottom[:2]
        net.keep(self.detections_blob, self.labels_blob)
        self.classes = [
            c for c in range(evaluate.detection_evaluate_param.num_classes) if c != evaluate.detection_evaluate_param.background_label_id
        ]
        self.batch = data.data_param.batch_size
        self.reader = LmdbReader(data.data_param.source)
        self.sizes: dict[int, tuple[int, int] | None] = {}  # (height, width) by image; None: it does not count
        self.truth: list[dict[str, Any]] = []
        self.detections: list[dict[str, Any]] = []

    def take(self, number: int) -> None:
        """Batch `number` (0-based) has been run."""
        labels, found = (self.net.blobs[name].tensor.detach().cpu().numpy() for name in (self.labels_blob, self.detections_blob))
        first = number * self.batch
        for item, label, _, *box, difficult in labels.reshape(-1, 8).tolist():
            if item >= 0 and (size := self._size(image := int(first + item))):
                bbox = _pixels(box, *size)
                about = {"bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": int(difficult), "category_id": int(label)}
                self.truth.append({**about, "image_id": image, "id": len(self.truth) + 1})
        for item, label, score, *box in found.reshape(-1, 7).tolist():
            if label >= 0 and (size := self._size(image := int(first + item))):
                self.detections.append({"image_id": image, "category_id": int(label), "bbox": _pixels(box, *size), "score": score})

    def _size(self, image: int) -> tuple[int, int] | None:
        """Of the photograph; None behind the last one, and where the net had another in the place of a corrupt record."""
        if image not in self.sizes:
            self.sizes[image] = None
            if image < len(self.reader) and not self.source.passed_over(image):
                datum = parse(self.reader.value(image)).datum
                height, width = (datum.height, datum.width) if datum.height and datum.width else decode_image(datum).shape[:2]
                self.sizes[image] = (height, width)
        return self.sizes[image]

    def metrics(self) -> CocoMetrics:
        """The metrics of what has been taken."""
        self.reader.close()
        seen = sorted({entry["image_id"] for entry in (*self.truth, *self.detections)})
        categories = [{"id": c, "name": self.names.get(c, str(c))} for c in self.classes]
        return CocoMetrics({"images": [{"id": i} for i in seen], "annotations": self.truth, "categories": categories}, self.detections)


def _pixels(box: Sequence[float], height: int, width: int) -> list[float]:
    """COCO's x, y, width, height of normalised corners."""
    left, top, right, bottom = np.clip(box, 0, 1).tolist()
    return [left * width, top * height, (right - left) * width, (bottom - top) * height]
