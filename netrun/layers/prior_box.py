"""PriorBox: the default boxes of one feature map (SSD section 2.2, "Choosing scales and aspect ratios for default boxes")."""

from __future__ import annotations

import torch

from caffe_ir.prior_boxes import prior_boxes
from caffe_ir.rules.checks import legacy
from netrun.layers.registry import Layer, layer


@layer("PriorBox")
class PriorBox(Layer):
    """Bottoms: a feature map (N, C, H, W) and the image blob (N, 3, h, w), of which only the shapes count. Top: (1, 2, H*W*A*4).

    With img_size, or img_h and img_w, the image may be left out. Sides of axes that a bottom lacks are 1.
    """

    has_backward = False
    no_gradient_to = frozenset({0, 1})
    _key: tuple = ()
    _top: torch.Tensor

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        # The last is the image, or the feature map again where the fields say the image's size.
        feature, image = (legacy(self.param, blob.shape)[2:] for blob in (bottoms[0], bottoms[-1]))
        key = (feature, image, bottoms[0].device)
        if key != self._key:
            table = prior_boxes(self.param.prior_box_param, feature, image)
            self._top, self._key = torch.from_numpy(table[None]).to(bottoms[0].device), key
        return [self._top]
