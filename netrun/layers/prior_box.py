"""PriorBox: the default boxes of one feature map (SSD section 2.2, "Choosing scales and aspect ratios for default boxes")."""

from __future__ import annotations

import torch

from caffe_ir.prior_boxes import prior_boxes
from netrun.layers.registry import Layer, layer


@layer("PriorBox")
class PriorBox(Layer):
    """Bottoms: a feature map (N, C, H, W) and the image blob (N, 3, h, w), of which only the shapes count. Top: (1, 2, H*W*A*4).

    With img_size, or img_h and img_w, the image may be left out.
    """

    has_backward = False
    no_gradient_to = frozenset({0, 1})
    _key: tuple = ()
    _top: torch.Tensor

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        feature, image = bottoms[0], bottoms[-1]  # the fields say the image's size where there is none
        key = (feature.shape[2:], image.shape[2:], feature.device)
        if key != self._key:
            sizes = ((blob.shape[2], blob.shape[3]) for blob in (feature, image))
            table = prior_boxes(self.param.prior_box_param, *sizes)
            self._top, self._key = torch.from_numpy(table[None]).to(feature.device), key
        return [self._top]
