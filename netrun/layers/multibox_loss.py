"""MultiBoxLoss: SSD's loss (SSD section 2.2), matching, mining and all, dense over the batch so that a GPU never waits for the host."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Facts
from netrun.detection.boxes import decode, encode
from netrun.detection.hard_examples import Thinning, hard_examples, max_negative
from netrun.detection.matching import UNMATCHED, GroundTruth, ground_truth, match
from netrun.layers.registry import Context, Layer, layer, pass_through
from ssd_common.errors import CaffeError

Options = pb.MultiBoxLossParameter
_MAX_LOSS = 87.33654475  # -log(FLT_MIN): Caffe takes no logarithm of less
_FOCAL_ALPHA, _FOCAL_GAMMA = 0.25, 2.0  # FocalLossParameter's defaults; the fork hands its inner FocalLoss no others


def _sigmoid_losses(conf: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(conf, targets, reduction="none").sum(-1)


@layer("MultiBoxLoss")
class MultiBoxLoss(Layer):
    """Localisation and confidence loss of a batch. Bottoms: loc (N, P*L*4), conf (N, P*C), priors (1, 2, P*4), labels (1, 1, R, 8).

    L is 1 with share_location, else C. Top: the loss, a scalar. Labels may stay on the CPU while the rest is on a GPU: then nothing
    synchronises, but where NMS thins the examples to mine. Source: multibox_loss_layer.cpp of weiliu89/caffe (ssd); FOCALLOSS:
    lzx1413/CAFFE_SSD (master).
    """

    no_gradient_to = frozenset({2, 3})

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = self.options = layer.multibox_loss_param
        if not p.num_classes:
            raise self.refuse("must say how many classes there are, background included", "num_classes")
        if p.background_label_id >= p.num_classes:
            raise self.refuse(f"{p.background_label_id} is not one of the {p.num_classes} classes", "background_label_id")
        mining = p.mining_type != Options.NONE
        if p.HasField("do_neg_mining") and p.do_neg_mining != mining:
            raise self.refuse("contradicts mining_type, which replaces it", "do_neg_mining")
        if mining and not p.share_location:
            raise self.refuse("mining is defined for share_location: true only; use mining_type: NONE", "mining_type")
        if mining and p.conf_loss_type == Options.FOCALLOSS:
            raise self.refuse("FOCALLOSS defines no loss to mine by (the fork stops too); use mining_type: NONE", "conf_loss_type")
        if p.mining_type == Options.HARD_EXAMPLE and p.sample_size <= 0:
            raise self.refuse("must be positive", "sample_size")
        if p.map_object_to_agnostic and p.num_classes != 2:
            raise self.refuse("needs num_classes: 2, background and object", "map_object_to_agnostic")
        if any(layer.propagate_down[2:]) and context.train:
            raise self.refuse("priors and labels take no gradient", "propagate_down")
        self.classes, self.loc_classes = p.num_classes, 1 if p.share_location else p.num_classes

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.options
        images, count = bottoms[0].shape[0], bottoms[2].shape[2] // 4
        for bottom, classes, what in ((bottoms[0], self.loc_classes * 4, "location"), (bottoms[1], self.classes, "confidence")):
            if bottom.numel() != images * count * classes:
                raise self.refuse(f"{count} priors need {count * classes} {what} predictions an image, not {bottom.numel() // images}")
        loc = bottoms[0].reshape(images, count, self.loc_classes, 4).transpose(1, 2)  # (N, L, P, 4)
        conf = bottoms[1].reshape(images, count, self.classes)
        priors = bottoms[2].detach().reshape(2, count, 4)  # boxes, variances
        becomes_object = p.map_object_to_agnostic and p.mining_type == Options.NONE  # mining looks at classes before they are mapped
        try:
            truth = ground_truth(
                bottoms[3],
                images,
                loc.device,
                classes=None if becomes_object else self.classes,
                background=p.background_label_id,
                difficult=p.use_difficult_gt,
            )
        except CaffeError as error:
            raise self.refuse(str(error)) from None

        with torch.no_grad():
            predicted = decode(loc, priors[0], self._variances(priors), p.code_type) if self._needs_predictions else None
            index, overlap = self._match(priors[0] if p.use_prior_for_matching or predicted is None else predicted, truth)
            positive, selected = index > UNMATCHED, None
            label = self._labels(index, truth)
        loc_loss = self._loc_losses(loc, index, truth, priors)
        conf_loss = self._class_losses(conf, label)
        if p.mining_type != Options.NONE:
            with torch.no_grad():
                thinning = self._thinning(priors[0], predicted)
                if p.mining_type == Options.MAX_NEGATIVE:
                    negative = max_negative(index[:, 0], overlap[:, 0], conf_loss, p.neg_pos_ratio, p.neg_overlap, thinning=thinning)
                else:
                    chosen = hard_examples(conf_loss + loc_loss[:, 0], truth.present, p.sample_size, thinning)
                    negative, positive = chosen & (index[:, 0] == UNMATCHED), positive & chosen[:, None]
                selected = positive[:, 0] | negative
        if p.conf_loss_type == Options.LOGISTIC:  # what is mined by and what is learnt differ in their targets
            conf_loss = _sigmoid_losses(conf, self._logistic_targets(index, label, selected))
        if selected is not None:
            conf_loss = torch.where(selected, conf_loss, 0)
        terms = (torch.where(positive, loc_loss, 0).sum() * p.loc_weight, conf_loss.sum())
        wanted = self.param.propagate_down[:2] or (True, True)
        total = sum((term for term, want in zip(terms, wanted, strict=True) if want), conf.new_zeros(()))
        return [total / self._normalizer(positive, images, count)]

    @property
    def _thins(self) -> bool:
        """Whether NMS thins the examples to mine."""
        p = self.options
        return p.mining_type != Options.NONE and p.HasField("nms_param") and p.nms_param.nms_threshold > 0

    @property
    def _needs_predictions(self) -> bool:
        """Whether boxes must be decoded: to be matched, or to thin examples by."""
        p = self.options
        return not p.use_prior_for_matching or (self._thins and not p.use_prior_for_nms)

    def _variances(self, priors: torch.Tensor) -> torch.Tensor | None:
        return None if self.options.encode_variance_in_target else priors[1]

    def _match(self, candidates: torch.Tensor, truth: GroundTruth) -> tuple[torch.Tensor, torch.Tensor]:
        """Object and best IoU of each candidate, both (N, L, P). candidates: priors (P, 4) or predictions (N, L, P, 4)."""
        p = self.options

        def matched(boxes: torch.Tensor, objects: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return match(
                boxes,
                objects,
                per_prediction=p.match_type == Options.PER_PREDICTION,
                threshold=p.overlap_threshold,
                ignore_cross_boundary=p.ignore_cross_boundary_bbox,
            )

        classes = torch.arange(self.loc_classes, device=truth.labels.device)[:, None]
        if candidates.dim() == 2:
            index, overlap = (t[:, None] for t in matched(candidates[None], truth.boxes))
            if not p.share_location:  # each class's predictions answer for the objects of that class
                own = truth.labels.gather(1, index[:, 0].clamp(min=0))[:, None] == classes
                index = torch.where((index > UNMATCHED) & own, index, UNMATCHED)
            return index, overlap.expand_as(index)
        if p.share_location:
            index, overlap = matched(candidates[:, 0], truth.boxes)
            return index[:, None], overlap[:, None]
        own = (truth.labels[:, None] == classes) & (classes != p.background_label_id)  # (N, L, G)
        objects = torch.where(own[..., None], truth.boxes[:, None], 0)
        index, overlap = matched(candidates.flatten(0, 1), objects.flatten(0, 1))
        return index.view(candidates.shape[:3]), overlap.view(candidates.shape[:3])

    def _labels(self, index: torch.Tensor, truth: GroundTruth) -> torch.Tensor:
        """The class (N, P) that each prior should be given; of several classes matched, the last."""
        p = self.options
        found = truth.labels[:, None].expand(-1, index.shape[1], -1).gather(2, index.clamp(min=0))
        if p.map_object_to_agnostic:
            found = torch.full_like(found, p.background_label_id + 1)
        label = torch.where(index > UNMATCHED, found, UNMATCHED).amax(1)
        return torch.where(label == UNMATCHED, p.background_label_id, label)

    def _loc_losses(self, loc: torch.Tensor, index: torch.Tensor, truth: GroundTruth, priors: torch.Tensor) -> torch.Tensor:
        """Localisation loss (N, L, P) of every matched prediction, zero for the others."""
        p = self.options
        positive = index > UNMATCHED
        place = index.clamp(min=0).flatten(1)[..., None].expand(-1, -1, 4)
        variances = self._variances(priors)
        target = encode(truth.boxes.gather(1, place).view(loc.shape), priors[0], variances, p.code_type)
        counts = positive[..., None].expand_as(loc)
        if p.bp_inside:  # a side outside the image teaches nothing
            matched = priors[0] if p.use_prior_for_matching else decode(loc.detach(), priors[0], variances, p.code_type)
            counts = counts & (matched >= 0) & (matched <= 1)
        if p.encode_variance_in_target:  # the fork scales both here, and its gradient passes over the scaling
            target = target / priors[1]
            loc = pass_through(loc / priors[1], loc)
        difference = torch.where(counts, loc - target, 0)
        if p.loc_loss_type == Options.L2:
            return (difference * difference).sum(-1) / 2
        return F.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="none").sum(-1)

    def _class_losses(self, conf: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Softmax, focal or sigmoid loss (N, P) of each prior's class."""
        if self.options.conf_loss_type == Options.LOGISTIC:
            return _sigmoid_losses(conf, self._one_hot(label))
        log_p = F.log_softmax(conf, -1).gather(-1, label[..., None])[..., 0]
        log_p = pass_through(log_p.clamp(min=-_MAX_LOSS), log_p)
        if self.options.conf_loss_type == Options.FOCALLOSS:
            return -_FOCAL_ALPHA * (1 - log_p.exp()) ** _FOCAL_GAMMA * log_p
        return -log_p

    def _one_hot(self, label: torch.Tensor) -> torch.Tensor:
        return (label[..., None] == torch.arange(self.classes, device=label.device)).float()

    def _logistic_targets(self, index: torch.Tensor, label: torch.Tensor, selected: torch.Tensor | None) -> torch.Tensor:
        """Sigmoid targets (N, P, C) as the fork lays them out: filled with the background's number, then ones."""
        background = self.options.background_label_id
        if selected is not None:
            return torch.where(self._one_hot(label) > 0, 1.0, float(background))
        # Without mining, background gets no one, and image i's ones start at i * P instead of i * P * C (EncodeConfPrediction
        # moves its pointer by num_priors): the training run that Caffe makes is this one.
        images, loc_classes, count = index.shape
        targets = torch.full((images * count * self.classes + 1,), float(background), device=index.device)
        classes = torch.arange(loc_classes, device=index.device)[:, None] if loc_classes > 1 else label[:, None]
        if self.options.map_object_to_agnostic:
            classes = torch.full_like(classes, background + 1)
        image, prior = (torch.arange(n, device=index.device) for n in (images, count))
        place = image[:, None, None] * count + prior * self.classes + classes
        targets[torch.where(index > UNMATCHED, place, -1).flatten()] = 1.0
        return targets[:-1].view(images, count, self.classes)

    def _thinning(self, priors: torch.Tensor, predicted: torch.Tensor | None) -> Thinning | None:
        p = self.options
        if not self._thins:
            return None
        boxes = priors[None] if p.use_prior_for_nms or predicted is None else predicted[:, 0]
        return Thinning(boxes, p.nms_param.nms_threshold, p.nms_param.top_k)

    def _normalizer(self, positive: torch.Tensor, images: int, count: int) -> torch.Tensor | float:
        given = self.param.loss_param
        mode = given.normalization
        if given.HasField("normalize") and not given.HasField("normalization"):
            mode = pb.LossParameter.VALID if given.normalize else pb.LossParameter.BATCH_SIZE
        if mode == pb.LossParameter.VALID:
            return positive.sum().clamp(min=1)
        return float({pb.LossParameter.FULL: images * count, pb.LossParameter.BATCH_SIZE: images}.get(mode, 1))
