"""PriorBox: the default boxes of one feature map.

Source: SSD section 2.2, "Choosing scales and aspect ratios for default boxes".
"""

from __future__ import annotations

import torch
from torch import Tensor

from caffe_ir.prior_boxes import prior_boxes
from caffe_ir.rules.checks import legacy
from netrun.layers.registry import Layer, Tensors, layer


@layer("PriorBox")
class PriorBox(Layer):
    """The default boxes at each place of a feature map, with their variances.

    Bottoms: the feature map (N, C, H, W) and the image blob (N, 3, h, w); only shapes count.
    Top: (1, 2, H*W*A*4). With img_size, or img_h and img_w, the image may be left out. An axis
    that a bottom lacks has size 1.
    Source: weiliu89/caffe (ssd), prior_box_layer.cpp.
    """

    has_backward = False
    no_gradient_to = frozenset({0, 1})
    _key: tuple = ()
    _top: Tensor

    def forward(self, bottoms: Tensors) -> Tensors:
        """The boxes and variances, computed again only when shapes or device change."""
        # The last is the image, or again the feature map if fields give the image's size.
        feature = legacy(self.param, bottoms[0].shape)[2:]
        image = legacy(self.param, bottoms[-1].shape)[2:]
        device = bottoms[0].device
        key = (feature, image, device)
        if key != self._key:
            table = prior_boxes(self.param.prior_box_param, feature, image)
            self._top = torch.from_numpy(table[None]).to(device)
            self._key = key
        return [self._top]
