"""Runs a deploy net on photographs, arrays or an LMDB, and returns its detections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map
from netrun.data.pictures import Picture, Source, pictures_in, sources_of
from netrun.engine.engine import Engine
from netrun.evaluation.preparation import Preparation, nets_beside
from netrun.runtime.options import DEFAULTS, RunOptions
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike
from ssd_common.pictures import Box


@dataclass(frozen=True)
class Detection:
    """An object that a detector has found.

    image: the image's path, its key in an LMDB, or an array's position among the images.
    label: the number of the object's class.
    name: the class's name, or the label if the label map has no name for it.
    score: from 0 to 1.
    box: xmin, ymin, xmax, ymax in pixels of the image.
    """

    image: str
    label: int
    name: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class DetectedPicture:
    """An image and what a detector has found in it.

    boxes: normalised boxes, highest score first.
    """

    picture: Picture
    boxes: list[Box]

    @property
    def detections(self) -> list[Detection]:
        """The boxes in pixels of the image, highest score first."""
        return [self._detection(box) for box in self.boxes]

    def _detection(self, box: Box) -> Detection:
        xmin, ymin, xmax, ymax = box.pixels(self.picture.image).tolist()
        return Detection(
            image=self.picture.name,
            label=box.label,
            name=box.name,
            score=box.score or 0.0,
            box=(xmin, ymin, xmax, ymax),
        )


def detect(
    model: PathLike,
    weights: PathLike,
    images: Source | Iterable[Source],
    *,
    labelmap: PathLike | None = None,
    threshold: float = 0.5,
    limit: int | None = None,
    batch: int = 1,
    mean: Sequence[float] | None = None,
    scale: float | None = None,
    device: torch.device | str | None = None,
    options: RunOptions = DEFAULTS,
) -> list[Detection]:
    """Run a detector on images.

    model: deploy prototxt.
    weights: a .caffemodel.
    images: one or several image files, folders, LMDBs or BGR arrays (H, W, 3) of uint8.
    labelmap: names of the classes (default: the one that the net, or its test net, names).
    threshold: the lowest score to return.
    limit: how many images at most.
    batch: how many images at once.
    mean, scale: as in ImageDetector.
    device: as PyTorch names it (default: the CPU).
    options: precision and soft_nms count here.

    Returns the detections image by image, highest score first.
    Raises CaffeError for images, weights or nets that cannot be used, with file and reason.
    """
    sources = sources_of(images)
    detector = ImageDetector(
        model,
        weights,
        labelmap=labelmap,
        mean=mean,
        scale=scale,
        device=device,
        options=options,
    )
    pictures = pictures_in(sources, detector.names, limit)
    found: list[Detection] = []
    for seen in detector.detect(pictures, threshold=threshold, batch=batch):
        found += seen.detections
    return found


class ImageDetector:
    """A deploy net that takes images of any size.

    model: deploy prototxt.
    weights: a .caffemodel.
    labelmap: names of the classes (default: the one that the net, or its test net, names).
    mean: B, G, R to subtract (default: from the test or train net beside the model, else 104, 117,
        123).
    scale: the factor after that (default: from the same net, else 1).
    device: as PyTorch names it (default: the CPU).
    options: precision and soft_nms count here.

    names: of the classes by label.

    Raises CaffeError for a net without Input or DetectionOutput, and for one whose images were
    not warped to its input in training.
    """

    def __init__(
        self,
        model: PathLike,
        weights: PathLike,
        *,
        labelmap: PathLike | None = None,
        mean: Sequence[float] | None = None,
        scale: float | None = None,
        device: torch.device | str | None = None,
        options: RunOptions = DEFAULTS,
    ) -> None:
        beside = nets_beside(model)
        self.names = label_map.class_names(labelmap or label_map.named_by(beside.net))
        chosen = replace(options, keep_blobs=False)
        self.net = Engine(
            model,
            pb.TEST,
            weights,
            device=device,
            options=chosen,
        )
        types = {layer.type for layer in self.net.layer_list}
        if not self.net.inputs or "DetectionOutput" not in types:
            lacks = "it lacks an Input or a DetectionOutput layer"
            if "VideoData" in types:
                lacks = "its VideoData layer is what it looks at; give these weights' deploy net"
            raise CaffeError(f"{model}: not a deploy net: {lacks}")
        shape = self.net.blobs[self.net.inputs[0]].shape
        self._prepare = Preparation(beside, model, shape, mean, scale)

    def detect(
        self, pictures: Iterable[Picture], *, threshold: float = 0.5, batch: int = 1
    ) -> Iterator[DetectedPicture]:
        """Run the net on pictures, `batch` of them at once.

        Yields them in order, each with the boxes that score `threshold` or more.
        """
        for group in _batches(pictures, batch):
            yield from self._detect_batch(group, threshold)

    def _detect_batch(
        self,
        pictures: Sequence[Picture],
        threshold: float,
    ) -> list[DetectedPicture]:
        found: list[list[Box]] = [[] for _ in pictures]
        for image, label, score, *corners in self._rows(pictures):
            if image >= 0 and score >= threshold:
                name = self.names.get(int(label), str(int(label)))
                found[int(image)].append(Box(corners, int(label), name, score))
        for boxes in found:
            boxes.sort(key=_descending)
        return list(map(DetectedPicture, pictures, found))

    def _rows(self, pictures: Sequence[Picture]) -> list[list[float]]:
        """DetectionOutput's rows for these pictures: image, label, score, normalised corners."""
        blob = self.net.blobs[self.net.inputs[0]]
        blob.reshape(len(pictures), *blob.shape[1:])
        values = np.empty(blob.shape, np.float32)
        for row, picture in zip(values, pictures, strict=True):
            self._prepare(picture.image, row)
        with torch.no_grad():
            blob.tensor.copy_(torch.from_numpy(values))
            outputs = self.net.run()
            self.net.log_faults()
        return outputs[self.net.outputs[0]].reshape(-1, 7).cpu().tolist()


def _descending(box: Box) -> float:
    return -(box.score or 0)


def _batches(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
