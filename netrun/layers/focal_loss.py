"""SSDFocalLoss: the Python layer for which netrun has its own code."""

from __future__ import annotations

import json
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_ir.rules.focal_loss import DEFAULTS
from netrun.detection.boxes import encode
from netrun.detection.matching import GroundTruth, ground_truth, match
from netrun.layers.predictions import require_predictions
from netrun.layers.registry import Layer, Tensors
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


class SSDFocalLoss(Layer):
    """Focal loss of every prior and class, and smooth L1 loss of the matched boxes' offsets.

    Bottoms: loc (N, P*4), logits (N, P*C), priors (1, 2, P*4), labels (1, 1, R, 8).
    Top: the loss, a scalar, divided by the number of matches.
    Without an object a box's targets are all 0.
    Raises LayerError for options that are not JSON, lack num_classes or are unknown.
    Source: netgen's ssd_focal_loss.py, whose options are the JSON in param_str;
    Lin et al. 2017, equation 5.
    """

    no_gradient_to = frozenset({2, 3})

    def set_up(self) -> None:
        """Read the options in param_str. Raises LayerError."""
        self.options: dict[str, Any] = {**DEFAULTS, **self._given_options()}

    def _given_options(self) -> dict[str, Any]:
        """The options that the prototxt gives."""
        field = "python_param.param_str"
        try:
            given = json.loads(self.param.python_param.param_str)
        except (ValueError, RecursionError) as error:
            raise self.refuse(f"should be JSON: {error}", field) from None
        is_table = isinstance(given, dict)
        if not is_table or not isinstance(given.get("num_classes"), int):
            raise self.refuse("must say num_classes", field)
        unknown = set(given) - set(DEFAULTS) - {"num_classes"}
        if unknown:
            name = min(unknown)
            what = f"there is no option '{name}'{suggest(name, DEFAULTS)}"
            raise self.refuse(what, field)
        return given

    def forward(self, bottoms: Tensors) -> Tensors:
        """(focal loss + loc_weight * smooth L1 loss) over the number of matches, at least 1."""
        o = self.options
        classes = o["num_classes"]
        loc, logits, priors, labels = bottoms[:4]
        images = loc.shape[0]
        count = priors.shape[2] // 4
        require_predictions(self, loc, (images, count, 4), "location")
        shape = (images, count, classes)
        require_predictions(self, logits, shape, "confidence")
        loc = loc.reshape(images, count, 4)
        logits = logits.reshape(shape)
        priors = priors.detach().reshape(2, count, 4)
        truth = self._truth(labels, images, loc.device)
        label, wanted = self._targets(truth, priors)

        positive = label >= 0
        class_loss = self._class_loss(logits, label)
        difference = torch.where(positive[..., None], loc - wanted, 0.0)
        zeros = torch.zeros_like(difference)
        loc_loss = F.smooth_l1_loss(difference, zeros, reduction="sum")
        total = class_loss + o["loc_weight"] * loc_loss
        return [total / positive.sum().clamp(min=1)]

    def _truth(
        self,
        labels: Tensor,
        images: int,
        device: torch.device,
    ) -> GroundTruth:
        o = self.options
        try:
            return ground_truth(
                labels,
                images,
                device,
                classes=o["num_classes"],
                background=o["background_label_id"],
                difficult=o["use_difficult_gt"],
            )
        except CaffeError as error:
            raise self.refuse(str(error)) from None

    @torch.no_grad()
    def _targets(self, truth: GroundTruth, priors: Tensor) -> tuple[Tensor, Tensor]:
        """The label (N, P) of each prior, -1 without an object, and its offsets (N, P, 4).

        priors: boxes and variances (2, P, 4).
        """
        boxes, variances = priors
        index, _ = match(
            boxes[None],
            truth.boxes,
            per_prediction=True,
            threshold=self.options["overlap_threshold"],
        )
        positive = index >= 0
        index = index.clamp(min=0)
        label = torch.where(positive, truth.labels.gather(1, index), -1)
        place = index[..., None].expand(-1, -1, 4)
        matched = truth.boxes.gather(1, place)
        return label, encode(matched, boxes, variances)

    def _class_loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """The sum over priors and classes of alpha (1 - p)**gamma log(1 / p)."""
        o = self.options
        classes = torch.arange(logits.shape[-1], device=label.device)
        is_class = label[..., None] == classes
        u = torch.where(is_class, logits, -logits)
        alpha = torch.where(is_class, o["alpha"], 1 - o["alpha"])
        losses = alpha * torch.sigmoid(-u) ** o["gamma"] * F.softplus(-u)
        return losses.sum()
