"""Layers that map each value by itself."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from netrun.layers.draws import DrawingLayer
from netrun.layers.registry import Layer, layer


@layer("ReLU")
class ReLU(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        slope = self.param.relu_param.negative_slope
        if slope:
            return [F.leaky_relu(bottoms[0], slope, inplace=self.overwrite)]
        return [F.relu(bottoms[0], inplace=self.overwrite)]


@layer("PReLU")
class PReLU(Layer):
    """x where positive, else a learned slope times x: one slope per channel, or one for all."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [F.prelu(bottoms[0], self.blobs[0].flatten())]


@layer("ELU")
class ELU(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [F.elu(bottoms[0], self.param.elu_param.alpha)]


@layer("Sigmoid")
class Sigmoid(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [torch.sigmoid(bottoms[0])]


@layer("TanH")
class TanH(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [torch.tanh(bottoms[0])]


@layer("AbsVal")
class AbsVal(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [bottoms[0].abs()]


@layer("BNLL")
class BNLL(Layer):
    """log(1 + exp(x))."""

    @property
    def needs_bottom(self) -> bool:
        return True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [F.softplus(bottoms[0], threshold=50)]


@layer("Power")
class Power(Layer):
    """(shift + scale * x) ** power."""

    @property
    def needs_bottom(self) -> bool:
        return self.param.power_param.power != 1

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.power_param
        y = bottoms[0] * p.scale + p.shift
        return [y if p.power == 1 else y**p.power]


@layer("Exp")
class Exp(Layer):
    """base ** (shift + scale * x); base -1 stands for e."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.exp_param
        log_base = 1.0 if p.base == -1 else math.log(p.base)
        return [torch.exp(bottoms[0] * (log_base * p.scale)) * math.exp(log_base * p.shift)]


@layer("Log")
class Log(Layer):
    """Logarithm of shift + scale * x; base -1 stands for e."""

    @property
    def needs_bottom(self) -> bool:
        return True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.log_param
        return [torch.log(bottoms[0] * p.scale + p.shift) / (1.0 if p.base == -1 else math.log(p.base))]


@layer("Threshold")
class Threshold(Layer):
    has_backward = False

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [(bottoms[0] > self.param.threshold_param.threshold).to(bottoms[0].dtype)]


@layer("Dropout")
class Dropout(DrawingLayer):
    """In TRAIN each value is dropped with probability dropout_ratio and the others are scaled up; in TEST nothing happens."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x = bottoms[0]
        if not self.context.train:
            return [x.view_as(x)]
        keep = 1.0 - self.param.dropout_param.dropout_ratio
        return [x * torch.empty_like(x).bernoulli_(keep, generator=self.draws.next()).div_(keep)]
