"""The multibox head: a recipe's choice of predictions, prior boxes, loss and detections."""

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

    scales: sizes of the prior boxes; None for SSD's at the input size and data set.
    ratios: aspect ratios, one row per map or one for all maps; None for SSD's.
    priors: prior boxes per map, in place of `scales` and `ratios`.
    predictor: makes the predictions on one map, with the arguments of `predictor`.
    lr_mult: learning rate of the predictions' weights, as a multiple of the solver's.
    suffix, grouped, clip, fractions: see `multibox_head`.
    loss: adds the loss, with the arguments of `multibox_loss`.
    output: adds the detections, with the arguments of `detection_output`.
    suppression: how test and deploy nets choose detections.
    overlap_threshold: overlap from which the test net counts a detection as right.
    """

    scales: Scales | None = None
    ratios: Sequence[Sequence[float]] | None = None
    priors: Sequence[Priors] | None = None
    predictor: Callable[..., Blob] = predictor
    lr_mult: float = 1
    suffix: str = ""
    grouped: bool = False
    clip: bool = False
    fractions: bool = False
    loss: Callable[..., Blob] = multibox_loss
    output: Callable[..., Blob] = detection_output
    suppression: Suppression = SSD_SUPPRESSION
    overlap_threshold: float = 0.5

    def predict(
        self, net: Net, image: Blob, sources: Sequence[Source], dataset: Dataset
    ) -> Predictions:
        """Add the predictions of every source and its prior boxes."""
        priors = self.priors or self._derived(image, sources, dataset)
        return multibox_head(
            net,
            image,
            sources,
            priors,
            dataset.num_classes,
            lr_mult=self.lr_mult,
            predict=self.predictor,
            suffix=self.suffix,
            grouped=self.grouped,
            clip=self.clip,
            fractions=self.fractions,
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
        """Add the detections.

        save: fields of SaveOutputParameter; None to write no files.
        """
        return self.output(net, predictions, dataset.num_classes, save, self.suppression)

    def evaluate(self, net: Net, detections: Blob, label: Blob, dataset: Dataset) -> Blob:
        """Add the layer that counts right and wrong detections in a test net."""
        return detection_evaluate(
            net,
            detections,
            label,
            dataset.num_classes,
            dataset.path(dataset.name_size),
            overlap_threshold=self.overlap_threshold,
        )

    def scaled(self, factor: float) -> MultiBox:
        """Return the same head for an image whose sides are `factor` times as long.

        The boxes of `priors` grow; those made from scales follow the image anyway.
        """
        if not self.priors:
            return self
        return replace(self, priors=[prior.scaled(factor) for prior in self.priors])
