"""DetectionOutput: turns predictions over priors into the detections of each image."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor

from netrun.data.video import way_for_video
from netrun.detection.boxes import decode, greedy_keep
from netrun.detection.result_files import ResultFiles
from netrun.detection.soft_nms import soft_nms
from netrun.detection.stable_topk import stable_topk
from netrun.layers.predictions import require_classes, require_predictions
from netrun.layers.registry import Layer, Tensors, layer
from ssd_common.errors import CaffeError

log = logging.getLogger("netrun")

_LOWEST = -3.4028234663852886e38  # -FLT_MAX


@layer("DetectionOutput")
class DetectionOutput(Layer):
    """Decodes boxes, suppresses those that overlap better ones of their class, keeps the best.

    Bottoms: loc (N, P*L*4), conf (N, P*C) scores, priors (1, 2, P*4), where L is 1 with
    share_location, else C. Top: (1, 1, D, 7), rows [image, label, score, xmin, ymin, xmax, ymax]
    by image, label and falling score; equal scores in the order of their priors. A batch
    without any detection gives one row [image, -1, -1, -1, -1, -1, -1] an image.

    If the run's options have `soft_nms`, the layer instead lowers the scores of boxes that overlap
    by nms_threshold or more. Caffe cannot do this, so a prototxt has no field for it.
    Source: weiliu89/caffe (ssd), detection_output_layer.cpp.
    """

    has_backward = False
    no_gradient_to = frozenset({0, 1, 2, 3})

    def set_up(self) -> None:
        """Read the options. Raises LayerError for those that Caffe or netrun refuses."""
        p = self.options = self.param.detection_output_param
        self._check_options()
        labels = [c for c in range(p.num_classes) if c != p.background_label_id]
        self.labels = torch.tensor(labels, dtype=torch.long, device=self.context.device)
        self.files = self._result_files()
        self._faults: list[str] = []

    def _check_options(self) -> None:
        p = self.options
        require_classes(self, p.num_classes)
        if p.nms_param.nms_threshold < 0:
            raise self.refuse("must not be negative", "nms_threshold")
        if not 0 < p.nms_param.eta <= 1:
            raise self.refuse("must be above 0 and at most 1", "eta")
        if p.visualize:
            what = "netrun opens no windows, but draws boxes on pictures or a video's frames"
            raise self.refuse(f"{what}: {way_for_video('CLIP')}", "visualize")

    def _result_files(self) -> ResultFiles | None:
        """The files to write detections to.

        None where the prototxt names none, as in a deploy net, or where a file that they need is
        missing, as without the data set. The detections themselves do not need these files.
        """
        save = self.options.save_output_param
        if not ResultFiles.wanted(save):
            return None
        for file in (save.label_map_file, save.name_size_file):
            if not Path(file).is_file():
                what = "no such file; detections are not saved"
                log.warning("layer '%s': %s: %s", self.name, file, what)
                return None
        try:
            return ResultFiles(save, self.options.background_label_id)
        except CaffeError as error:
            remedy = "without save_output_param the layer writes no files"
            raise self.refuse(f"{error}; {remedy}", "save_output_param") from None

    @torch.no_grad()
    def forward(self, bottoms: Tensors) -> Tensors:
        """Take each class's best scores, drop boxes that overlap better ones, and keep the best."""
        p = self.options
        loc, conf, priors = bottoms[:3]
        images = loc.shape[0]
        count = priors.shape[2] // 4
        loc_classes = 1 if p.share_location else p.num_classes
        loc_shape = (images, count, loc_classes * 4)
        conf_shape = (images, count, p.num_classes)
        require_predictions(self, loc, loc_shape, "location")
        require_predictions(self, conf, conf_shape, "confidence")

        labels = self.labels.to(conf.device)
        scores = conf.reshape(conf_shape).transpose(1, 2)[:, labels]  # (N, C', P)
        values, places = self._best(scores.flatten(0, 1))
        boxes = self._boxes(
            loc.reshape(images, count, loc_classes, 4),
            priors.reshape(2, 1, count, 1, 4),
            places,
            labels,
        )
        if self.context.options.soft_nms:
            values, boxes = self._soft_suppressed(values, boxes)
            keep = values > 0
        else:
            keep = self._suppressed(values, boxes)
        width = max(1, values.shape[1])
        values = values.view(images, -1)
        keep = self._best_of_image(values, keep.view(images, -1))

        image, entry = keep.nonzero(as_tuple=True)
        numbers = torch.stack([image, labels[entry // width]], 1)
        numbers = numbers.to(loc.dtype)
        score = values[image, entry][:, None].to(loc.dtype)
        box = boxes.view(images, -1, 4)[image, entry]
        rows = torch.cat([numbers, score, box], 1)
        self._save(rows, image, images)
        if not len(rows):
            rows = rows.new_full((images, 7), -1)
            rows[:, 0] = torch.arange(images)
        return [rows[None, None]]

    def take_faults(self) -> list[str]:
        """Which result files could not be written."""
        faults = self._faults
        self._faults = []
        return faults

    @property
    def _threshold(self) -> float:
        """The score that a detection must exceed."""
        if self.options.HasField("confidence_threshold"):
            return self.options.confidence_threshold
        return _LOWEST

    def _best(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The top_k greatest scores of each list above the threshold, falling, and their indices.

        scores: (B, P). Returns two tensors (B, K); -inf fills short lists.
        """
        above = scores > self._threshold
        longest = int(above.sum(1).max()) if above.numel() else 0
        nms = self.options.nms_param
        if nms.HasField("top_k") and nms.top_k > -1:
            longest = min(longest, nms.top_k)
        scores = scores.masked_fill(~above, -torch.inf)
        return stable_topk(scores, longest)

    def _boxes(
        self,
        loc: Tensor,
        priors: Tensor,
        places: Tensor,
        labels: Tensor,
    ) -> Tensor:
        """Decode the predictions at `places` (B, K), where B counts images and, within, labels.

        loc: (N, P, L, 4). priors: boxes and variances (2, 1, P, 1, 4). Returns boxes (B, K, 4).
        """
        p = self.options
        variances = None if p.variance_encoded_in_target else priors[1]
        decoded = decode(loc, priors[0], variances, p.code_type)
        lists = decoded.transpose(1, 2)  # (N, L, P, 4)
        if not p.share_location:
            lists = lists[:, labels]
        lists = lists.expand(-1, len(labels), -1, -1)
        index = places.view(len(loc), len(labels), places.shape[1], 1)
        chosen = lists.gather(2, index.expand(-1, -1, -1, 4))
        return chosen.flatten(0, 1)

    def _soft_suppressed(self, values: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """The scores (B, K) after soft NMS, falling, and boxes (B, K, 4) in the same order."""
        threshold = self.options.nms_param.nms_threshold
        lowered = soft_nms(boxes, values, threshold)
        values, order = stable_topk(lowered, values.shape[1])
        index = order[..., None].expand(-1, -1, 4)
        return values, boxes.gather(1, index)

    def _suppressed(self, values: Tensor, boxes: Tensor) -> Tensor:
        """Mark the boxes (B, K) that stay; those that overlap better ones of their class go."""
        p = self.options
        # The CPU goes image by image, a GPU takes all images at once.
        step = len(self.labels) if boxes.device.type == "cpu" else len(boxes)
        kept = []
        parts = zip(boxes.split(step), values.split(step), strict=True)
        for part, scores in parts:
            keep = greedy_keep(
                part,
                scores > self._threshold,
                p.nms_param.nms_threshold,
                p.nms_param.eta,
                scores=scores,
                limit=p.keep_top_k,
            )
            kept.append(keep)
        return torch.cat(kept)

    def _best_of_image(self, values: Tensor, keep: Tensor) -> Tensor:
        """Cut `keep` (N, C' * K) to the keep_top_k best of each image.

        Of equal scores, the smaller label counts as better, then the earlier prior.
        """
        limit = self.options.keep_top_k
        if not -1 < limit < keep.shape[1]:
            return keep
        values = values.masked_fill(~keep, -torch.inf)
        _, places = stable_topk(values, limit)
        best = torch.zeros_like(keep).scatter_(1, places, True)
        return keep & best

    def _save(self, rows: Tensor, image: Tensor, images: int) -> None:
        """Write detections to the result files. image: the image of each row.

        A file that cannot be written costs no run: `take_faults` tells of it.
        """
        if self.files is None:
            return
        table = rows.float().cpu().numpy()
        owner = image.cpu().numpy()
        for i in range(images):
            try:
                self.files.add(table[owner == i])
            except CaffeError as error:
                fault = self.refuse(str(error), "save_output_param")
                line = f"{fault}: detections are not saved"
                if line not in self._faults:
                    self._faults.append(line)
