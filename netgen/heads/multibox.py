"""The multibox head: what a recipe says about predictions, prior boxes, loss and detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from netgen.datasets import Dataset
from netgen.graph import Blob, Net
from netgen.heads.detections import (
    SSD_SUPPRESSION,
    Suppression,
    detection_evaluate,
    detection_output,
)
from netgen.heads.losses import multibox_loss
from netgen.heads.predictions import Predictions, multibox_head, predictor
from netgen.heads.priors import Priors, Scales, derive, standard_scales
from netgen.sources import Source


@dataclass(frozen=True)
class MultiBox:
    """SSD's head and its variants; the defaults are SSD's (Liu et al. 2016, §2).

    scales: sizes of the prior boxes; SSD's for the input size and data set where left out.
    ratios: aspect ratios per map, one row for all maps alike; SSD's where left out.
    priors: boxes per map, where they follow from no scales.
    predictor: makes the predictions on one map, called as `predictor` is.
    lr_mult: of the predictions' weights.
    suffix, grouped, clip: see `multibox_head`.
    loss: called as `multibox_loss` is.
    output: called as `detection_output` is.
    suppression: of boxes in the test and deploy nets.
    overlap_threshold: of a detection that counts as right while training.
    """

    scales: Scales | None = None
    ratios: Sequence[Sequence[float]] | None = None
    priors: Sequence[Priors] | None = None
    predictor: Callable[..., Blob] = predictor
    lr_mult: float = 1
    suffix: str = ""
    grouped: bool = False
    clip: bool = False
    loss: Callable[..., Blob] = multibox_loss
    output: Callable[..., Blob] = detection_output
    suppression: Suppression = SSD_SUPPRESSION
    overlap_threshold: float = 0.5

    def predict(
        self, net: Net, image: Blob, sources: Sequence[Source], dataset: Dataset
    ) -> Predictions:
        """Add the predictions of every source and its prior boxes."""
        return multibox_head(
            net,
            image,
            sources,
            self.priors or self._derived(image, sources, dataset),
            dataset.num_classes,
            lr_mult=self.lr_mult,
            predict=self.predictor,
            suffix=self.suffix,
            grouped=self.grouped,
            clip=self.clip,
        )

    def _derived(self, image: Blob, sources: Sequence[Source], dataset: Dataset) -> list[Priors]:
        side = min(image.size)
        scales = self.scales or standard_scales(side, small_objects=dataset.small_objects)
        return derive(scales, side, len(sources), self.ratios)

    def add_loss(self, net: Net, predictions: Predictions, label: Blob, dataset: Dataset) -> Blob:
        """Add the loss of a training net."""
        return self.loss(
            net,
            predictions,
            label,
            dataset.num_classes,
            train_on_difficult=dataset.train_on_difficult,
        )

    def detect(
        self, net: Net, predictions: Predictions, dataset: Dataset, save: dict | None
    ) -> Blob:
        """Add the detections. save: fields of SaveOutputParameter; None writes no files."""
        return self.output(net, predictions, dataset.num_classes, save, self.suppression)

    def evaluate(self, net: Net, detections: Blob, label: Blob, dataset: Dataset) -> Blob:
        """Add what counts right and wrong detections in a test net."""
        return detection_evaluate(
            net,
            detections,
            label,
            dataset.num_classes,
            dataset.path(dataset.name_size),
            overlap_threshold=self.overlap_threshold,
        )

    def scaled(self, factor: float) -> MultiBox:
        """Return the same head for an image that is so many times as large.

        Prior boxes of its own grow; those of scales follow the image anyway.
        """
        if not self.priors:
            return self
        return replace(self, priors=[prior.scaled(factor) for prior in self.priors])
