"""DetectionOutput: from predictions over priors to the detections of each image."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Facts
from netrun.detection.boxes import decode, greedy_keep
from netrun.detection.result_files import ResultFiles
from netrun.detection.soft_nms import soft_nms
from netrun.detection.stable_topk import stable_topk
from netrun.layers.registry import Context, Layer, layer
from ssd_common.errors import CaffeError

log = logging.getLogger("netrun")

_LOWEST = -3.4028234663852886e38  # -FLT_MAX


@layer("DetectionOutput")
class DetectionOutput(Layer):
    """Decode, per class suppress the lesser of overlapping boxes, keep the best of each image.

    Bottoms: loc (N, P*L*4), conf (N, P*C) scores, priors (1, 2, P*4). Top: (1, 1, D, 7), rows [image, label, score, xmin, ymin, xmax,
    ymax] in order of image, label, falling score (equal ones in the order of their priors); where the whole batch has none, one
    row [image, -1, -1, -1, -1, -1, -1] an image. Source: detection_output_layer.cpp of weiliu89/caffe (ssd).
    With `soft_nms` among the run's options it lowers the scores of overlapping boxes instead, from nms_threshold on; Caffe cannot, so
    no prototxt says it.
    """

    has_backward = False
    no_gradient_to = frozenset({0, 1, 2, 3})

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = self.options = layer.detection_output_param
        if not p.num_classes:
            raise self.refuse("must say how many classes there are, background included", "num_classes")
        if p.nms_param.nms_threshold < 0:
            raise self.refuse("must not be negative", "nms_threshold")
        if not 0 < p.nms_param.eta <= 1:
            raise self.refuse("must be above 0 and at most 1", "eta")
        if p.visualize:
            raise self.refuse("netrun opens no windows; drop the field, and draw detections with 'netrun detect'", "visualize")
        self.labels = torch.tensor([c for c in range(p.num_classes) if c != p.background_label_id], device=context.device)
        self.files: ResultFiles | None = None
        save = p.save_output_param
        missing = [file for file in (save.label_map_file, save.name_size_file) if not Path(file).is_file()]
        if ResultFiles.wanted(save) and missing:  # a deploy net, or no data set at hand: the detections themselves need neither
            log.warning("layer '%s': %s: no such file; detections are not saved", layer.name, missing[0])
        elif ResultFiles.wanted(save):
            try:
                self.files = ResultFiles(p.save_output_param, p.background_label_id)
            except CaffeError as error:
                raise self.refuse(f"{error}; without save_output_param the layer writes no files", "save_output_param") from None

    @torch.no_grad()
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.options
        loc, conf = bottoms[:2]
        images, count = loc.shape[0], bottoms[2].shape[2] // 4
        loc_classes = 1 if p.share_location else p.num_classes
        for bottom, classes, what in ((loc, loc_classes * 4, "location"), (conf, p.num_classes, "confidence")):
            if bottom.numel() != images * count * classes:
                raise self.refuse(f"{count} priors need {count * classes} {what} predictions an image, not {bottom.numel() // images}")
        labels = self.labels.to(conf.device)
        scores = conf.reshape(images, count, p.num_classes).transpose(1, 2)[:, labels]  # (N, C', P)
        values, places = self._best(scores.flatten(0, 1))
        boxes = self._boxes(loc.reshape(images, count, loc_classes, 4), bottoms[2].reshape(2, 1, count, 1, 4), places, labels)
        if self.context.options.soft_nms:
            values, order = stable_topk(soft_nms(boxes, values, p.nms_param.nms_threshold), values.shape[1])
            boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
            keep = values > 0
        else:
            step = len(labels) if boxes.device.type == "cpu" else len(boxes)  # a GPU takes all images at once
            lists = (part.split(step) for part in (boxes, values > self._threshold, values))
            suppression = (p.nms_param.nms_threshold, p.nms_param.eta)
            keep = torch.cat([greedy_keep(b, v, *suppression, scores=s, limit=p.keep_top_k) for b, v, s in zip(*lists, strict=True)])
        keep = self._best_of_image(values.view(images, -1), keep.view(images, -1))

        image, entry = keep.nonzero(as_tuple=True)
        width = values.shape[1]
        rows = torch.cat(
            [
                torch.stack([image, labels[entry // max(1, width)]], 1).to(loc.dtype),
                values.view(images, -1)[image, entry][:, None].to(loc.dtype),
                boxes.view(images, -1, 4)[image, entry],
            ],
            1,
        )
        if self.files is not None:
            self._save(rows, image, images)
        if not len(rows):
            rows = rows.new_full((images, 7), -1)
            rows[:, 0] = torch.arange(images)
        return [rows[None, None]]

    @property
    def _threshold(self) -> float:
        return self.options.confidence_threshold if self.options.HasField("confidence_threshold") else _LOWEST

    def _best(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The top_k greatest scores above the threshold of each list (B, P), falling, and their places; -inf fills short lists."""
        above = scores > self._threshold
        longest = int(above.sum(1).max()) if above.numel() else 0
        nms = self.options.nms_param
        if nms.HasField("top_k") and nms.top_k > -1:
            longest = min(longest, nms.top_k)
        return stable_topk(scores.masked_fill(~above, -torch.inf), longest)

    def _boxes(self, loc: torch.Tensor, priors: torch.Tensor, places: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Boxes (B, K, 4) of the predictions at `places` (B, K), B counting images and, within, labels. loc: (N, P, L, 4)."""
        p = self.options
        decoded = decode(loc, priors[0], None if p.variance_encoded_in_target else priors[1], p.code_type)
        decoded = decoded.transpose(1, 2)  # (N, L, P, 4)
        lists = decoded.expand(-1, len(labels), -1, -1) if p.share_location else decoded[:, labels]
        images, width = len(loc), places.shape[1]
        index = places.view(images, len(labels), width, 1).expand(-1, -1, -1, 4)
        return lists.gather(2, index).flatten(0, 1)

    def _best_of_image(self, values: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """`keep` (N, C' * K) cut to the keep_top_k best of each image; of equal scores the lesser label, then the earlier prior."""
        limit = self.options.keep_top_k
        if not -1 < limit < keep.shape[1]:
            return keep
        _, places = stable_topk(values.masked_fill(~keep, -torch.inf), limit)
        return keep & torch.zeros_like(keep).scatter_(1, places, True)

    def _save(self, rows: torch.Tensor, image: torch.Tensor, images: int) -> None:
        assert self.files is not None
        table = rows.float().cpu().numpy()
        owner = image.cpu().numpy()
        try:
            for i in range(images):
                self.files.add(table[owner == i])
        except CaffeError as error:
            raise self.refuse(str(error), "save_output_param") from None
