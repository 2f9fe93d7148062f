"""Layers that map each value by itself."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from netrun.layers.draws import DrawingLayer
from netrun.layers.registry import Layer, Tensors, layer


@layer("ReLU")
class ReLU(Layer):
    """The rectifier, leaky where the prototxt gives a negative_slope.

    Source: weiliu89/caffe (ssd), relu_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """x where positive, else negative_slope (0 by default) times x."""
        slope = self.param.relu_param.negative_slope
        if slope:
            return [F.leaky_relu(bottoms[0], slope, inplace=self.overwrite)]
        return [F.relu(bottoms[0], inplace=self.overwrite)]


@layer("ReLU6")
class ReLU6(Layer):
    """The rectifier, cut at 6.

    Source: chuanqi305/ssd, relu6_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """min(max(x, 0), 6); the gradient is 0 at 0 and at 6, as in Caffe."""
        return [F.hardtanh(bottoms[0], 0.0, 6.0, inplace=self.overwrite)]


@layer("PReLU")
class PReLU(Layer):
    """The rectifier with learned slopes: one per channel, or one for all.

    Source: weiliu89/caffe (ssd), prelu_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """x where positive, else the learned slope times x."""
        return [F.prelu(bottoms[0], self.blobs[0].flatten())]


@layer("ELU")
class ELU(Layer):
    """The exponential linear unit.

    Source: weiliu89/caffe (ssd), elu_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """x where positive, else alpha * (exp(x) - 1)."""
        return [F.elu(bottoms[0], self.param.elu_param.alpha)]


@layer("Sigmoid")
class Sigmoid(Layer):
    """The logistic function.

    Source: weiliu89/caffe (ssd), sigmoid_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """1 / (1 + exp(-x))."""
        return [torch.sigmoid(bottoms[0])]


@layer("TanH")
class TanH(Layer):
    """The hyperbolic tangent.

    Source: weiliu89/caffe (ssd), tanh_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """tanh(x)."""
        return [torch.tanh(bottoms[0])]


@layer("AbsVal")
class AbsVal(Layer):
    """The absolute value.

    Source: weiliu89/caffe (ssd), absval_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """|x|."""
        return [bottoms[0].abs()]


@layer("BNLL")
class BNLL(Layer):
    """The binomial normal log likelihood, also called softplus.

    Source: weiliu89/caffe (ssd), bnll_layer.cpp.
    """

    @property
    def needs_bottom(self) -> bool:
        """Always: the gradient is a sigmoid of the bottom."""
        return True

    def forward(self, bottoms: Tensors) -> Tensors:
        """log(1 + exp(x))."""
        return [F.softplus(bottoms[0], threshold=50)]


@layer("Power")
class Power(Layer):
    """A power of a linear function.

    Source: weiliu89/caffe (ssd), power_layer.cpp.
    """

    @property
    def needs_bottom(self) -> bool:
        """Where the function is not linear."""
        return self.param.power_param.power != 1

    def forward(self, bottoms: Tensors) -> Tensors:
        """(shift + scale * x) ** power."""
        p = self.param.power_param
        y = bottoms[0] * p.scale + p.shift
        if p.power == 1:
            return [y]
        return [y**p.power]


def _log(base: float) -> float:
    """The natural logarithm of a base; -1 stands for e."""
    return 1.0 if base == -1 else math.log(base)


@layer("Exp")
class Exp(Layer):
    """A base to the power of a linear function; base -1 stands for e.

    Source: weiliu89/caffe (ssd), exp_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """base ** (shift + scale * x)."""
        p = self.param.exp_param
        log_base = _log(p.base)
        factor = math.exp(log_base * p.shift)
        return [torch.exp(bottoms[0] * (log_base * p.scale)) * factor]


@layer("Log")
class Log(Layer):
    """The logarithm of a linear function; base -1 stands for e.

    Source: weiliu89/caffe (ssd), log_layer.cpp.
    """

    @property
    def needs_bottom(self) -> bool:
        """Always: the gradient divides by shift + scale * x."""
        return True

    def forward(self, bottoms: Tensors) -> Tensors:
        """log(shift + scale * x) to the base of the prototxt."""
        p = self.param.log_param
        return [torch.log(bottoms[0] * p.scale + p.shift) / _log(p.base)]


@layer("Threshold")
class Threshold(Layer):
    """A step function.

    Source: weiliu89/caffe (ssd), threshold_layer.cpp.
    """

    has_backward = False

    def forward(self, bottoms: Tensors) -> Tensors:
        """1 where x exceeds the threshold, else 0."""
        x = bottoms[0]
        return [(x > self.param.threshold_param.threshold).to(x.dtype)]


@layer("Dropout")
class Dropout(DrawingLayer):
    """Random zeros in TRAIN, nothing in TEST.

    Source: weiliu89/caffe (ssd), dropout_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """In TRAIN, x / (1 - dropout_ratio), or 0 with probability dropout_ratio; in TEST, x."""
        x = bottoms[0]
        if not self.context.train:
            return [x.view_as(x)]
        keep = 1.0 - self.param.dropout_param.dropout_ratio
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.draws.next())
        return [x * mask.div_(keep)]
