"""COCO's twelve metrics, by pycocotools: for a result file, or for a test net's detections."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.lmdb_reader import LmdbReader
from caffe_ir.records import parse
from netrun.data.datum import decode_image
from netrun.engine.engine import Engine
from netrun.evaluation import coco_truth
from netrun.evaluation.coco_files import read_results, read_truth
from netrun.evaluation.coco_truth import Truth
from netrun.layers.annotated_data import AnnotatedData
from netrun.layers.registry import Layer
from netrun.runtime import log
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

# In the order of COCOeval.summarize().
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
# What an LMDB's objects have; figures by size differ from COCO's own.
BOX_AREAS = "of boxes; COCO takes the outlines' (--annotations FILE)"


class CocoMetrics:
    """The metrics of detections against a ground truth.

    Images that are only in the truth count as images without detections.

    truth: images, annotations and categories, as in COCO's annotation files.
    detections: image_id, category_id, bbox [x, y, width, height] in pixels, and score, as in COCO's
        result files.

    areas: whose areas make objects small, medium or large, in words.

    figures: values by the names in NAMES; -1 where no such object exists.
    summary: COCO's own twelve lines.
    per_class: AP by category name; -1 where the truth has no such object.
    images: how many images the truth has.
    empty_images: how many of these have no detections.
    """

    def __init__(
        self,
        truth: dict[str, Any],
        detections: Iterable[dict[str, Any]],
        areas: str = "of the truth's outlines",
    ) -> None:
        self.areas = areas
        found = [_as_annotation(entry, i) for i, entry in enumerate(detections, 1)]
        self.images = len(truth["images"])
        self.empty_images = self.images - len({entry["image_id"] for entry in found})
        evaluation, self.summary = _evaluate(truth, found)
        self.figures = dict(zip(NAMES, map(float, evaluation.stats), strict=True))
        self.per_class = _per_class(evaluation, truth)


def _as_annotation(detection: dict[str, Any], number: int) -> dict[str, Any]:
    """A detection with the fields that COCO.loadRes adds."""
    area = detection["bbox"][2] * detection["bbox"][3]
    return {**detection, "id": number, "area": area, "iscrowd": 0}


def _evaluate(truth: dict[str, Any], found: list[dict[str, Any]]) -> tuple[COCOeval, str]:
    """Let COCO compare. Returns its evaluation and its summary."""
    # COCOeval takes the id 0 for "not matched". Nothing else depends on an annotation's id.
    numbered = [{**entry, "id": i} for i, entry in enumerate(truth["annotations"], 1)]
    with contextlib.redirect_stdout(io.StringIO()):
        expected = _index({**truth, "annotations": numbered})
        evaluation = COCOeval(expected, _index({**truth, "annotations": found}), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    summary = io.StringIO()
    with contextlib.redirect_stdout(summary):
        evaluation.summarize()
    return evaluation, summary.getvalue().rstrip("\n")


def _index(dataset: dict[str, Any]) -> COCO:
    made = COCO()
    made.dataset = dataset
    made.createIndex()
    return made


def _per_class(evaluation: COCOeval, truth: dict[str, Any]) -> dict[str, float]:
    """AP by category name."""
    names = {entry["id"]: str(entry.get("name", entry["id"])) for entry in truth["categories"]}
    # Axes: overlaps, recalls, classes, sizes, detections per image; here all sizes, and 100.
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    found = {}
    for i, category in enumerate(evaluation.params.catIds):
        own = precision[:, :, i]
        known = own[own > -1]
        average = -1.0
        if known.size:
            average = float(known.mean())
        found[names[category]] = average
    return found


def coco(results: PathLike, annotations: PathLike) -> CocoMetrics:
    """Compute COCO's metrics of a result file.

    results: the file of detections that DetectionOutput's save_output_param writes.
    annotations: the file of the truth, such as instances_minival2014.json.
    Raises ParseError for files of another kind, and for detections with images or categories that
    the truth lacks.
    """
    truth = read_truth(str(annotations))
    return CocoMetrics(truth, read_results(str(results), truth))


class Collector:
    """Collects truth and detections from a test net, batch by batch, each image of its LMDB once.

    Boxes are in pixels of the photographs; the LMDB has their sizes. Difficult objects count as
    COCO's crowds, which a detector may find or miss. An object's area is its box's; COCO takes its
    outline's, which COCO's annotation file has: with it, the truth is that of the file.

    net: an engine in phase TEST.
    names: the classes' names by label.
    annotations: COCO's annotation file; None for the one that the dataset.json beside the LMDB
        names, if any.

    Raises CaffeError for a net that lacks AnnotatedData or DetectionEvaluate, or that pads or
    crops its images, and ParseError for annotations of another kind.
    """

    def __init__(
        self, net: Engine, names: dict[int, str], annotations: PathLike | None = None
    ) -> None:
        layers = {layer.type: layer for layer in net.layer_list}
        self.source = _warped_source(net.name, layers)
        self.net = net
        self.names = names
        evaluate = layers["DetectionEvaluate"].param
        self.detections_blob, self.labels_blob = evaluate.bottom[:2]
        net.keep(self.detections_blob, self.labels_blob)
        counted = evaluate.detection_evaluate_param
        labels = range(counted.num_classes)
        self.classes = [label for label in labels if label != counted.background_label_id]
        self.batch = self.source.param.data_param.batch_size
        self.reader = LmdbReader(self.source.param.data_param.source)
        # Height and width by image; None for an image that does not count.
        self.sizes: dict[int, tuple[int, int] | None] = {}
        self.truth: list[dict[str, Any]] = []
        self.detections: list[dict[str, Any]] = []
        self.file = self._truth_file(annotations)
        self.taken: set[int] = set()

    def _truth_file(self, annotations: PathLike | None) -> Truth | None:
        """Return the truth of an annotation file, if it has all images and classes.

        Raises CaffeError where given annotations do not have them.
        """
        path = annotations or coco_truth.named_beside(self.source.param.data_param.source)
        if path is None:
            return None
        try:
            file = Truth(path)
            file.categories(self.names, self.classes)
            for key in self.reader.keys:
                file.image(key)
        except CaffeError as error:
            if annotations is not None:
                raise
            log.warning(f"objects have the areas of their boxes: {error}")
            return None
        return file

    def take(self, number: int) -> None:
        """Add a batch that the net has just run.

        number: the batch's number, from 0.
        """
        labels = self._values(self.labels_blob)
        found = self._values(self.detections_blob)
        first = number * self.batch
        self.taken.update(range(first, first + self.batch))
        for item, label, _, *corners, difficult in labels.reshape(-1, 8).tolist():
            if item >= 0:
                self._add_object(int(first + item), int(label), corners, int(difficult))
        for item, label, score, *corners in found.reshape(-1, 7).tolist():
            if label >= 0:
                self._add_detection(int(first + item), int(label), corners, score)

    def _values(self, blob: str) -> np.ndarray:
        return self.net.blobs[blob].tensor.detach().cpu().numpy()

    def _add_object(
        self,
        image: int,
        label: int,
        corners: Sequence[float],
        difficult: int,
    ) -> None:
        size = self._size(image)
        if size is None:
            return
        bbox = _pixels(corners, *size)
        self.truth.append(
            {
                "bbox": bbox,
                "area": bbox[2] * bbox[3],
                "iscrowd": difficult,
                "category_id": label,
                "image_id": image,
                "id": len(self.truth) + 1,
            }
        )

    def _add_detection(
        self, image: int, label: int, corners: Sequence[float], score: float
    ) -> None:
        size = self._size(image)
        if size is None:
            return
        self.detections.append(
            {
                "image_id": image,
                "category_id": label,
                "bbox": _pixels(corners, *size),
                "score": score,
            }
        )

    def _size(self, image: int) -> tuple[int, int] | None:
        """Height and width of a photograph; None for an image that does not count."""
        if image not in self.sizes:
            self.sizes[image] = self._read_size(image)
        return self.sizes[image]

    def _read_size(self, image: int) -> tuple[int, int] | None:
        """Read from the LMDB what _size() returns.

        An image beyond the last record does not count, nor one in the place of a corrupt record.
        """
        if image >= len(self.reader) or self.source.passed_over(image):
            return None
        datum = parse(self.reader.value(image)).datum
        if datum.height and datum.width:
            return datum.height, datum.width
        height, width = decode_image(datum).shape[:2]
        return height, width

    def metrics(self) -> CocoMetrics:
        """The metrics of all added batches."""
        if self.file:
            metrics = self._by_file(self.file)
        else:
            metrics = self._by_boxes()
        self.reader.close()
        return metrics

    def _by_file(self, file: Truth) -> CocoMetrics:
        """The metrics with the truth of the annotation file, for the images that were added."""
        counted = (image for image in sorted(self.taken) if self._size(image) is not None)
        images = {image: file.image(self.reader.keys[image]) for image in counted}
        categories = file.categories(self.names, self.classes)
        found = []
        for entry in self.detections:
            category = categories.get(entry["category_id"])
            if category is not None:
                image = images[entry["image_id"]]
                found.append({**entry, "image_id": image, "category_id": category})
        truth = file.of(set(images.values()), set(categories.values()))
        return CocoMetrics(truth, found, f"of outlines, from {file.path}")

    def _by_boxes(self) -> CocoMetrics:
        """The metrics with the truth of the LMDB."""
        seen = {entry["image_id"] for entry in (*self.truth, *self.detections)}
        truth = {
            "images": [{"id": image} for image in sorted(seen)],
            "annotations": self.truth,
            "categories": [self._category(label) for label in self.classes],
        }
        return CocoMetrics(truth, self.detections, BOX_AREAS)

    def _category(self, label: int) -> dict[str, Any]:
        return {"id": label, "name": self.names.get(label, str(label))}


def _warped_source(net: str, layers: dict[str, Layer]) -> AnnotatedData:
    """The layer whose images a Collector counts.

    net: the net's name.
    layers: the net's layers by type.
    """
    if not {"AnnotatedData", "DetectionEvaluate"} <= layers.keys():
        need = "COCO metrics need an AnnotatedData and a DetectionEvaluate layer, as test nets have"
        raise CaffeError(f"net '{net}': {need}")
    source = layers["AnnotatedData"]
    assert isinstance(source, AnnotatedData)
    transform = source.param.transform_param
    warps = transform.resize_param.resize_mode == pb.ResizeParameter.WARP
    crops = transform.crop_size or transform.crop_h or transform.crop_w
    if crops or not warps:
        need = "COCO metrics while testing need resize_mode WARP and no crop"
        advice = "write result files (save_output_param) and compare those: netrun coco --help"
        raise CaffeError(f"net '{net}': {need}; {advice}")
    return source


def _pixels(corners: Sequence[float], height: int, width: int) -> list[float]:
    """COCO's x, y, width and height in pixels.

    corners: the box's corners, normalised.
    """
    left, top, right, bottom = np.clip(corners, 0, 1).tolist()
    return [left * width, top * height, (right - left) * width, (bottom - top) * height]
