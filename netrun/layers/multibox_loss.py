"""MultiBoxLoss: SSD's loss (SSD section 2.2) with matching and mining.

It works on dense batches, so that a GPU never waits for the host.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun.detection.boxes import decode, encode
from netrun.detection.hard_examples import Thinning, hard_examples, max_negative
from netrun.detection.matching import IGNORED, UNMATCHED, GroundTruth, ground_truth
from netrun.layers.loss import normalization_mode
from netrun.layers.multibox_matching import Match, Matcher, class_numbers
from netrun.layers.predictions import require_classes, require_predictions
from netrun.layers.registry import Layer, Tensors, layer, pass_through
from ssd_common.errors import CaffeError

Options = pb.MultiBoxLossParameter
_MAX_LOSS = 87.33654475  # -log(FLT_MIN): Caffe never takes the logarithm of less
# FocalLossParameter's defaults; the fork always uses them in its inner FocalLoss.
_FOCAL_ALPHA = 0.25
_FOCAL_GAMMA = 2.0


def _sigmoid_losses(conf: Tensor, targets: Tensor) -> Tensor:
    losses = F.binary_cross_entropy_with_logits(
        conf,
        targets,
        reduction="none",
    )
    return losses.sum(-1)


@layer("MultiBoxLoss")
class MultiBoxLoss(Layer):
    """Localisation and confidence loss of a batch.

    Bottoms: loc (N, P*L*4), conf (N, P*C), priors (1, 2, P*4), labels (1, 1, R, 8), where L is 1
    with share_location, else C. Top: the loss, a scalar.
    Labels may stay on the CPU while the rest is on a GPU: then nothing synchronises, except where
    NMS thins the examples to mine.

    Raises LayerError for options that contradict each other or that the fork refuses.
    Source: weiliu89/caffe (ssd), multibox_loss_layer.cpp;
    FOCALLOSS: lzx1413/CAFFE_SSD (master), multibox_loss_layer.cpp.
    """

    no_gradient_to = frozenset({2, 3})

    def set_up(self) -> None:
        """Read the options. Raises LayerError for those that the fork refuses."""
        p = self.options = self.param.multibox_loss_param
        self._check_classes()
        self._check_mining()
        if p.map_object_to_agnostic and p.num_classes != 2:
            what = "needs num_classes: 2, background and object"
            raise self.refuse(what, "map_object_to_agnostic")
        if any(self.param.propagate_down[2:]) and self.context.train:
            what = "priors and labels take no gradient"
            raise self.refuse(what, "propagate_down")
        self.classes = p.num_classes
        self.loc_classes = 1 if p.share_location else p.num_classes
        self.matcher = Matcher(p, self.loc_classes)

    def _check_classes(self) -> None:
        p = self.options
        require_classes(self, p.num_classes)
        background = p.background_label_id
        if background >= p.num_classes:
            what = f"{background} is not one of the {p.num_classes} classes"
            raise self.refuse(what, "background_label_id")

    def _check_mining(self) -> None:
        p = self.options
        remedy = "use mining_type: NONE"
        contradicts = p.do_neg_mining != self._mines
        if p.HasField("do_neg_mining") and contradicts:
            what = "contradicts mining_type, which replaces it"
            raise self.refuse(what, "do_neg_mining")
        if self._mines and not p.share_location:
            what = "mining is defined for share_location: true only"
            raise self.refuse(f"{what}; {remedy}", "mining_type")
        if self._mines and p.conf_loss_type == Options.FOCALLOSS:
            what = "FOCALLOSS defines no loss to mine by (the fork stops too)"
            raise self.refuse(f"{what}; {remedy}", "conf_loss_type")
        if p.mining_type == Options.HARD_EXAMPLE and p.sample_size <= 0:
            raise self.refuse("must be positive", "sample_size")

    def forward(self, bottoms: Tensors) -> Tensors:
        """(loc_weight * localisation loss + confidence loss) / the normalizer.

        The layer matches priors with objects, mines the examples to learn from, and adds up their
        losses.
        """
        p = self.options
        images = bottoms[0].shape[0]
        count = bottoms[2].shape[2] // 4
        loc, conf, priors = self._shaped(bottoms, images, count)
        truth = self._truth(bottoms[3], images, loc.device)

        with torch.no_grad():
            predicted = self._predicted(loc, priors)
            candidates = priors[0]
            if predicted is not None and not p.use_prior_for_matching:
                candidates = predicted
            index, overlap = self.matcher.match(candidates, truth)
            label = self._labels(index, truth)
        loc_loss = self._loc_losses(loc, index, truth, priors)
        conf_loss = self._class_losses(conf, label)

        positive = index > UNMATCHED
        selected = None
        if self._mines:
            with torch.no_grad():
                thinning = self._thinning(priors[0], predicted)
                matches = (index[:, 0], overlap[:, 0])
                losses = (conf_loss, loc_loss[:, 0])
                selected = self._mined(matches, losses, truth, thinning)
                positive = positive & selected[:, None]
        if p.conf_loss_type == Options.LOGISTIC:
            # The loss for mining and the loss to learn from have different targets.
            targets = self._logistic_targets(index, label, selected)
            conf_loss = _sigmoid_losses(conf, targets)
        if selected is not None:
            conf_loss = torch.where(selected, conf_loss, 0)
        loc_loss = torch.where(positive, loc_loss, 0)
        terms = (loc_loss.sum() * p.loc_weight, conf_loss.sum())
        wanted = self.param.propagate_down[:2] or (True, True)
        total = conf.new_zeros(())
        for term, want in zip(terms, wanted, strict=True):
            if want:
                total = total + term
        return [total / self._normalizer(positive, images, count)]

    def _shaped(
        self,
        bottoms: Tensors,
        images: int,
        count: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Predictions and priors in their shapes.

        Returns loc (N, L, P, 4), conf (N, P, C), and boxes and variances of the priors (2, P, 4).
        Raises LayerError where there are too many or too few predictions.
        """
        loc, conf, priors = bottoms[:3]
        loc_shape = (images, count, self.loc_classes * 4)
        conf_shape = (images, count, self.classes)
        require_predictions(self, loc, loc_shape, "location")
        require_predictions(self, conf, conf_shape, "confidence")
        loc = loc.reshape(images, count, self.loc_classes, 4)
        priors = priors.detach().reshape(2, count, 4)
        return loc.transpose(1, 2), conf.reshape(conf_shape), priors

    @property
    def _mines(self) -> bool:
        """Whether the layer learns from some examples only."""
        return self.options.mining_type != Options.NONE

    @property
    def _thins(self) -> bool:
        """Whether NMS thins the examples to mine."""
        p = self.options
        if not self._mines or not p.HasField("nms_param"):
            return False
        return p.nms_param.nms_threshold > 0

    def _truth(
        self,
        labels: Tensor,
        images: int,
        device: torch.device,
    ) -> GroundTruth:
        p = self.options
        # Mining looks at classes before they are mapped.
        any_class = p.map_object_to_agnostic and not self._mines
        try:
            return ground_truth(
                labels,
                images,
                device,
                classes=None if any_class else self.classes,
                background=p.background_label_id,
                difficult=p.use_difficult_gt,
            )
        except CaffeError as error:
            raise self.refuse(str(error)) from None

    def _predicted(self, loc: Tensor, priors: Tensor) -> Tensor | None:
        """The predicted boxes (N, L, P, 4), if matching or thinning needs them."""
        p = self.options
        thinned = self._thins and not p.use_prior_for_nms
        if p.use_prior_for_matching and not thinned:
            return None
        variances = self._variances(priors)
        return decode(loc, priors[0], variances, p.code_type)

    def _variances(self, priors: Tensor) -> Tensor | None:
        if self.options.encode_variance_in_target:
            return None
        return priors[1]

    def _mined(
        self,
        matches: Match,
        losses: tuple[Tensor, Tensor],
        truth: GroundTruth,
        thinning: Thinning | None,
    ) -> Tensor:
        """Mark the priors (N, P) that the layer learns from.

        matches: objects and IoUs, each (N, P).
        losses: the confidence and the localisation losses, each (N, P).
        """
        p = self.options
        index, overlap = matches
        conf_loss, loc_loss = losses
        if p.mining_type == Options.HARD_EXAMPLE:
            total = conf_loss + loc_loss
            chosen = hard_examples(total, truth.present, p.sample_size, thinning)
            return chosen & (index != IGNORED)
        negative = max_negative(
            index,
            overlap,
            conf_loss,
            p.neg_pos_ratio,
            p.neg_overlap,
            thinning=thinning,
        )
        return (index > UNMATCHED) | negative

    def _labels(self, index: Tensor, truth: GroundTruth) -> Tensor:
        """The class (N, P) that each prior should get; of several classes matched, the last."""
        p = self.options
        background = p.background_label_id
        labels = truth.labels[:, None].expand(-1, index.shape[1], -1)
        found = labels.gather(2, index.clamp(min=0))
        if p.map_object_to_agnostic:
            found = torch.full_like(found, background + 1)
        found = torch.where(index > UNMATCHED, found, UNMATCHED)
        label = found.amax(1)
        return torch.where(label == UNMATCHED, background, label)

    def _loc_losses(
        self,
        loc: Tensor,
        index: Tensor,
        truth: GroundTruth,
        priors: Tensor,
    ) -> Tensor:
        """Localisation loss (N, L, P) of every matched prediction, zero for the others."""
        p = self.options
        boxes = priors[0]
        variances = self._variances(priors)
        place = index.clamp(min=0).flatten(1)[..., None]
        objects = truth.boxes.gather(1, place.expand(-1, -1, 4))
        objects = objects.view(loc.shape)
        target = encode(objects, boxes, variances, p.code_type)
        counts = (index > UNMATCHED)[..., None].expand_as(loc)
        if p.bp_inside:  # a side outside the image has no loss
            matched = boxes
            if not p.use_prior_for_matching:
                given = loc.detach()
                matched = decode(given, boxes, variances, p.code_type)
            counts = counts & (matched >= 0) & (matched <= 1)
        if p.encode_variance_in_target:
            # The fork scales both here, and its gradient passes over the scaling.
            target = target / priors[1]
            loc = pass_through(loc / priors[1], loc)
        difference = torch.where(counts, loc - target, 0)
        if p.loc_loss_type == Options.L2:
            return (difference * difference).sum(-1) / 2
        zeros = torch.zeros_like(difference)
        losses = F.smooth_l1_loss(difference, zeros, reduction="none")
        return losses.sum(-1)

    def _class_losses(self, conf: Tensor, label: Tensor) -> Tensor:
        """Softmax, focal or sigmoid loss (N, P) of each prior's class."""
        if self.options.conf_loss_type == Options.LOGISTIC:
            return _sigmoid_losses(conf, self._one_hot(label))
        every_log_p = F.log_softmax(conf, -1)
        log_p = every_log_p.gather(-1, label[..., None])[..., 0]
        log_p = pass_through(log_p.clamp(min=-_MAX_LOSS), log_p)
        if self.options.conf_loss_type == Options.FOCALLOSS:
            power = (1 - log_p.exp()) ** _FOCAL_GAMMA
            return -_FOCAL_ALPHA * power * log_p
        return -log_p

    def _one_hot(self, label: Tensor) -> Tensor:
        classes = torch.arange(self.classes, device=label.device)
        return (label[..., None] == classes).float()

    def _logistic_targets(
        self,
        index: Tensor,
        label: Tensor,
        selected: Tensor | None,
    ) -> Tensor:
        """Sigmoid targets (N, P, C) as the fork lays them out.

        The fork fills them with the background's number, then with ones.
        """
        background = self.options.background_label_id
        fill = float(background)
        if selected is not None:
            return torch.where(self._one_hot(label) > 0, 1.0, fill)
        # Without mining, background gets no 1, and the ones of image i start at i * P instead of i
        # * P * C (EncodeConfPrediction moves its pointer by num_priors). Caffe trains with these.
        images, loc_classes, count = index.shape
        device = index.device
        size = images * count * self.classes
        # The number behind the targets takes the ones of candidates without an object.
        targets = torch.full((size + 1,), fill, device=device)
        classes = label[:, None]
        if loc_classes > 1:
            classes = class_numbers(loc_classes, device)
        if self.options.map_object_to_agnostic:
            classes = torch.full_like(classes, background + 1)
        image = torch.arange(images, device=device)[:, None, None]
        prior = torch.arange(count, device=device)
        place = image * count + prior * self.classes + classes
        place = torch.where(index > UNMATCHED, place, -1)
        targets[place.flatten()] = 1.0
        return targets[:-1].view(images, count, self.classes)

    def _thinning(
        self,
        priors: Tensor,
        predicted: Tensor | None,
    ) -> Thinning | None:
        """How NMS thins the examples, and by which boxes; None where it does not."""
        if not self._thins:
            return None
        boxes = priors[None]
        if predicted is not None and not self.options.use_prior_for_nms:
            boxes = predicted[:, 0]
        nms = self.options.nms_param
        return Thinning(boxes, nms.nms_threshold, nms.top_k)

    def _normalizer(
        self,
        positive: Tensor,
        images: int,
        count: int,
    ) -> Tensor | float:
        """The divisor of the loss: matches, images, priors of all images, or 1."""
        given = self.param.loss_param
        mode = normalization_mode(given, given.VALID)
        if mode == given.VALID:
            return positive.sum().clamp(min=1)
        if mode == given.FULL:
            return float(images * count)
        if mode == given.BATCH_SIZE:
            return float(images)
        return 1.0
