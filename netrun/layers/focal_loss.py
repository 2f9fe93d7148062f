"""The Python layer that netrun has its own code for."""

from __future__ import annotations

import json

import torch
import torch.nn.functional as F

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.focal_loss import DEFAULTS
from caffe_ir.rules.registry import Facts
from netrun.detection.boxes import encode
from netrun.detection.matching import ground_truth, match
from netrun.layers.registry import Context, Layer
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


class SSDFocalLoss(Layer):
    """Sigmoid focal loss of every prior box and class, and smooth L1 of the matched boxes' offsets, over the number of matches.

    Bottoms: loc (N, P*4), logits (N, P*C), priors (1, 2, P*4), labels (1, 1, R, 8). Top: the loss, a scalar. Without an object a box's
    targets are all 0. Source: netgen's ssd_focal_loss.py, whose options are the JSON in param_str; Lin et al. 2017, equation 5.
    """

    no_gradient_to = frozenset({2, 3})

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        field = "python_param.param_str"
        try:
            given = json.loads(layer.python_param.param_str)
        except json.JSONDecodeError as error:
            raise self.refuse(f"should be JSON: {error}", field) from None
        if not isinstance(given, dict) or not isinstance(given.get("num_classes"), int):
            raise self.refuse("must say num_classes", field)
        if unknown := sorted(set(given) - set(DEFAULTS) - {"num_classes"}):
            raise self.refuse(f"there is no option '{unknown[0]}'{suggest(unknown[0], DEFAULTS)}", field)
        self.options = {**DEFAULTS, **given}

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        o = self.options
        images, count, classes = bottoms[0].shape[0], bottoms[2].shape[2] // 4, o["num_classes"]
        for bottom, values, what in ((bottoms[0], 4, "location"), (bottoms[1], classes, "confidence")):
            if bottom.numel() != images * count * values:
                raise self.refuse(f"{count} priors need {count * values} {what} predictions an image, not {bottom.numel() // images}")
        loc, logits = bottoms[0].reshape(images, count, 4), bottoms[1].reshape(images, count, classes)
        boxes, variances = bottoms[2].detach().reshape(2, count, 4)
        try:
            truth = ground_truth(
                bottoms[3], images, loc.device, classes=classes, background=o["background_label_id"], difficult=o["use_difficult_gt"]
            )
        except CaffeError as error:
            raise self.refuse(str(error)) from None
        with torch.no_grad():
            index, _ = match(boxes[None], truth.boxes, per_prediction=True, threshold=o["overlap_threshold"])
            positive = index >= 0
            index = index.clamp(min=0)
            wanted = encode(truth.boxes.gather(1, index[..., None].expand(-1, -1, 4)), boxes, variances)
            label = torch.where(positive, truth.labels.gather(1, index), -1)
            is_class = label[..., None] == torch.arange(classes, device=label.device)
        u = torch.where(is_class, logits, -logits)
        alpha = torch.where(is_class, o["alpha"], 1 - o["alpha"])
        class_loss = (alpha * torch.sigmoid(-u) ** o["gamma"] * F.softplus(-u)).sum()
        difference = torch.where(positive[..., None], loc - wanted, 0.0)
        loc_loss = F.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="sum")
        return [(class_loss + o["loc_weight"] * loc_loss) / positive.sum().clamp(min=1)]
