"""The predictions of heads on source maps, and the prior boxes (Liu et al. 2016, §2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from netgen.blocks.convolution import conv
from netgen.blocks.normalisation import l2_norm
from netgen.graph import Blob, Net
from netgen.heads.priors import VARIANCE, Priors
from netgen.sources import Source
from ssd_common.errors import CaffeError


class Predictions(NamedTuple):
    """The predictions of all source maps.

    loc: offsets, N×(4·boxes).
    conf: class scores before softmax or sigmoid, N×(classes·boxes).
    boxes: prior boxes, 1×2×(4·boxes): corners, then variances.
    """

    loc: Blob
    conf: Blob
    boxes: Blob


def predictor(
    net: Net, name: str, x: Blob, num_output: int, *, lr_mult: float = 1, kernel_size: int = 3
) -> Blob:
    """Add SSD's head on one map: a 3×3 convolution."""
    pad = kernel_size // 2
    return conv(net, name, x, num_output, kernel_size, pad=pad, stride=1, lr_mult=lr_mult)


def multibox_head(
    net: Net,
    image: Blob,
    sources: Sequence[Source],
    priors: Sequence[Priors],
    num_classes: int,
    *,
    lr_mult: float = 1,
    predict: Callable[..., Blob] = predictor,
    suffix: str = "",
    grouped: bool = False,
    clip: bool = False,
    fractions: bool = False,
) -> Predictions:
    """Add a convolution for offsets, one for classes, and the prior boxes of each source.

    Boxes are ordered by source, row, column, and prior of a cell.

    num_classes: background included.
    lr_mult: learning rate of the convolutions, as a multiple of the solver's.
    predict: adds the convolution, with the arguments of `predictor`.
    suffix: end of the heads' names.
    grouped: write all predictions before the layers that only arrange them, as the DSSD fork does.
    clip: cut prior boxes at the image's border.
    fractions: see `prior_box`.

    Raises CaffeError where sources and priors differ in number.
    """
    _check_count(sources, priors)
    loc: list[Blob] = []
    conf: list[Blob] = []
    boxes: list[Blob] = []
    for source_map, prior in zip(sources, priors, strict=True):
        source = _normalised(net, source_map)
        fields: dict[str, Any] = {"lr_mult": lr_mult}
        if source.kernel_size:
            fields["kernel_size"] = source.kernel_size
        for kind, found, values in (("loc", loc, 4), ("conf", conf, num_classes)):
            name = f"{source.head_name}_mbox_{kind}{suffix}"
            y = predict(net, name, source.blob, prior.count * values, **fields)
            if not grouped:
                y = _arrange(net, y)
            found.append(y)
        boxes.append(prior_box(net, image, source, prior, clip=clip, fractions=fractions))
    return Predictions(
        _concat(net, "mbox_loc", loc, grouped),
        _concat(net, "mbox_conf", conf, grouped),
        net.add("Concat", "mbox_priorbox", *boxes, axis=2),
    )


def _check_count(sources: Sequence[Source], priors: Sequence[Priors]) -> None:
    if len(sources) == len(priors):
        return
    names = []
    for source in sources:
        height, width = source.blob.size
        names.append(f"{source.blob.name} ({height}x{width})")
    raise CaffeError(
        f"there are {len(sources)} source maps, {', '.join(names)}, "
        f"but prior boxes for {len(priors)}: choose another input size"
    )


def _normalised(net: Net, source: Source) -> Source:
    """Return the source, L2-normalised if its `l2_scale` is set."""
    if not source.l2_scale:
        return source
    name = f"{source.blob.name}_norm"
    return replace(source, blob=l2_norm(net, name, source.blob, source.l2_scale))


def _arrange(net: Net, y: Blob) -> Blob:
    """Turn N×C×H×W into N×(H·W·C), so that a cell's values lie together."""
    name = y.name
    y = net.add("Permute", f"{name}_perm", y, order=[0, 2, 3, 1])
    return net.add("Flatten", f"{name}_flat", y, axis=1)


def _concat(net: Net, name: str, blobs: Sequence[Blob], grouped: bool) -> Blob:
    if grouped:
        blobs = [_arrange(net, y) for y in blobs]
    return net.add("Concat", name, *blobs, axis=1)


def prior_box(
    net: Net,
    image: Blob,
    source: Source,
    prior: Priors,
    *,
    clip: bool = False,
    fractions: bool = False,
) -> Blob:
    """Add the prior boxes of every cell of a source's map: 1×2×(4·boxes).

    fractions: keep fractions of a pixel, which PriorBox cuts off sizes. Sizes, step and the image's
        size are then written in parts of a pixel, whole numbers of them.
    """
    parts = 1
    if fractions:
        parts = prior.parts
    box: dict[str, Any] = {"variance": VARIANCE}
    if parts > 1:
        prior = prior.in_parts(parts)
        box |= _image_fields(image, parts)
    box |= prior.fields
    if source.across and source.across != source.step:
        box["step_h"], box["step_w"] = source.step * parts, source.across * parts
    elif source.step:
        box["step"] = source.step * parts
    return net.add(
        "PriorBox",
        f"{source.head_name}_mbox_priorbox",
        source.blob,
        image,
        clip=clip,
        offset=source.offset,
        **box,
    )


def _image_fields(image: Blob, parts: int) -> dict[str, int]:
    """Return PriorBox's fields for the image's size, counted in parts of a pixel."""
    height, width = (side * parts for side in image.size)
    if height == width:
        return {"img_size": height}
    return {"img_h": height, "img_w": width}
