"""Layers that only move values: Concat, Slice, Split, Flatten, Reshape, Permute, Crop, Tile, BatchReindex, Filter, Silence."""

from __future__ import annotations

import torch

from netrun.layers.registry import Layer, layer


@layer("Concat")
class Concat(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.concat_param
        if len(bottoms) == 1:
            return [bottoms[0].view_as(bottoms[0])]
        return [torch.cat(bottoms, p.concat_dim if p.HasField("concat_dim") else p.axis)]


@layer("Slice")
class Slice(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.slice_param
        axis = p.slice_dim if p.HasField("slice_dim") else p.axis
        return list(bottoms[0].split([shape[axis] for shape in self.facts.tops], axis))


@layer("Split")
class Split(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [bottoms[0].view_as(bottoms[0]) for _ in self.param.top]


@layer("Flatten", "Reshape")
class Reshape(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [bottoms[0].reshape(self.facts.tops[0])]


@layer("Permute")
class Permute(Layer):
    """Axes in a new order; those that `order` leaves out follow in their own."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        order = list(self.param.permute_param.order)
        return [bottoms[0].permute(order + [axis for axis in range(bottoms[0].dim()) if axis not in order])]


@layer("Crop")
class Crop(Layer):
    """The bottom cut, from `axis` on, to the second bottom's size at the offsets."""

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.crop_param
        first = p.axis % x.dim()
        offsets = list(p.offset) if len(p.offset) > 1 else [p.offset[0] if p.offset else 0] * (x.dim() - first)
        for axis, offset in enumerate(offsets, first):
            x = x.narrow(axis, offset, bottoms[1].shape[axis])
        return [x]


@layer("Tile")
class Tile(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.tile_param
        times = [1] * bottoms[0].dim()
        times[p.axis] = p.tiles
        return [bottoms[0].repeat(times)]


@layer("BatchReindex")
class BatchReindex(Layer):
    """The images of the first bottom that the second names by number."""

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [bottoms[0].index_select(0, bottoms[1].detach().flatten().long())]


@layer("Filter")
class Filter(Layer):
    """Of every bottom but the last, the images where the last is not zero (perhaps none at all)."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        *blobs, selector = bottoms
        chosen = selector.detach().flatten().nonzero().flatten()
        return [x.index_select(0, chosen) for x in blobs]


@layer("Silence")
class Silence(Layer):
    """Takes blobs that nobody wants, so that they are no outputs of the net."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return []
