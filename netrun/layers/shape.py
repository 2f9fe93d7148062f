"""Layers that only move values, from Concat and Slice to Filter and Silence."""

from __future__ import annotations

import torch

from netrun.layers.registry import Layer, Tensors, layer


@layer("Concat")
class Concat(Layer):
    """Joins blobs along an axis.

    Source: weiliu89/caffe (ssd), concat_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The bottoms joined along `axis`, or the older concat_dim."""
        if len(bottoms) == 1:
            return [bottoms[0].view_as(bottoms[0])]
        p = self.param.concat_param
        axis = p.concat_dim if p.HasField("concat_dim") else p.axis
        return [torch.cat(bottoms, axis)]


@layer("Slice")
class Slice(Layer):
    """Cuts a blob along an axis.

    Source: weiliu89/caffe (ssd), slice_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The bottom's parts along `axis`, or the older slice_dim."""
        p = self.param.slice_param
        axis = p.slice_dim if p.HasField("slice_dim") else p.axis
        sizes = [shape[axis] for shape in self.facts.tops]
        return list(bottoms[0].split(sizes, axis))


@layer("Split")
class Split(Layer):
    """One blob under several names.

    Source: weiliu89/caffe (ssd), split_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """A view of the bottom for each top."""
        return [bottoms[0].view_as(bottoms[0]) for _ in self.param.top]


@layer("Flatten", "Reshape")
class Reshape(Layer):
    """The same values in another shape.

    Source: weiliu89/caffe (ssd), flatten_layer.cpp and reshape_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The bottom in the top's shape."""
        return [bottoms[0].reshape(self.facts.tops[0])]


@layer("Permute")
class Permute(Layer):
    """Reorders axes; those that `order` leaves out follow in their own order.

    Source: weiliu89/caffe (ssd), permute_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The bottom with its axes permuted."""
        order = list(self.param.permute_param.order)
        rest = [axis for axis in range(bottoms[0].dim()) if axis not in order]
        return [bottoms[0].permute(order + rest)]


@layer("Crop")
class Crop(Layer):
    """Cuts a blob to another's size.

    Source: weiliu89/caffe (ssd), crop_layer.cpp.
    """

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: Tensors) -> Tensors:
        """The bottom cut at the offsets, from `axis` on, to the second bottom's size."""
        x = bottoms[0]
        p = self.param.crop_param
        first = p.axis % x.dim()
        offsets = list(p.offset) or [0]
        if len(offsets) == 1:
            offsets *= x.dim() - first
        for axis, offset in enumerate(offsets, first):
            x = x.narrow(axis, offset, bottoms[1].shape[axis])
        return [x]


@layer("Tile")
class Tile(Layer):
    """Repeats a blob along an axis.

    Source: weiliu89/caffe (ssd), tile_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The bottom, repeated `tiles` times along `axis`."""
        p = self.param.tile_param
        times = [1] * bottoms[0].dim()
        times[p.axis] = p.tiles
        return [bottoms[0].repeat(times)]


@layer("BatchReindex")
class BatchReindex(Layer):
    """Picks images of a batch by their numbers.

    Source: weiliu89/caffe (ssd), batch_reindex_layer.cpp.
    """

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: Tensors) -> Tensors:
        """The first bottom's images, in the order that the second bottom lists."""
        chosen = bottoms[1].detach().flatten().long()
        return [bottoms[0].index_select(0, chosen)]


@layer("Filter")
class Filter(Layer):
    """Keeps the images of a batch that a selector chooses.

    Source: weiliu89/caffe (ssd), filter_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """From every bottom but the last, the images where the last is not 0; possibly none."""
        *blobs, selector = bottoms
        chosen = selector.detach().flatten().nonzero().flatten()
        return [x.index_select(0, chosen) for x in blobs]


@layer("Silence")
class Silence(Layer):
    """Reads blobs that no other layer reads, so that they are not outputs of the net.

    Source: weiliu89/caffe (ssd), silence_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """No tops."""
        return []
