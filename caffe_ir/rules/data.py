"""Layers without bottoms, and Python layers. A shape that only the data or other code knows is refused; `walk` can be told it."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import MANY, check, count_blobs, learned
from caffe_ir.rules.focal_loss import is_focal_loss
from caffe_ir.rules.registry import Facts, Param, Shape, rule
from ssd_common.errors import UnknownShape


@rule("Input")
def input_(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The shapes of input_param: one for all tops, or one each."""
    count_blobs(layer, bottoms, 0, (1, MANY))
    shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    if not shapes:
        raise _unknown(layer, "input_param.shape", "is not given")
    return Facts(_one_or_each(layer, shapes, "shape"))


@rule("DummyData")
def dummy_data(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The shapes of dummy_data_param, or its num, channels, height and width: one for all tops, or one each."""
    count_blobs(layer, bottoms, 0, (1, MANY))
    param, names = layer.dummy_data_param, ("num", "channels", "height", "width")
    fillers = len(param.data_filler)
    check(fillers in (0, 1, len(layer.top)), layer, "data_filler", f"must be given once or for each top, found {fillers}")
    for filler in param.data_filler:
        learned(layer, [], pb.ScaleParameter(filler=filler), "filler")
    if not any(getattr(param, name) for name in names):
        return Facts(_one_or_each(layer, [tuple(shape.dim) for shape in param.shape], "shape"))
    check(not param.shape, layer, "shape", "give either shape or num, channels, height and width")
    columns = [_one_or_each(layer, list(getattr(param, name)), name) for name in names]
    return Facts([tuple(shape) for shape in zip(*columns, strict=True)])


def _one_or_each(layer: pb.LayerParameter, values: list, field: str) -> list:
    tops = len(layer.top)
    check(len(values) in (1, tops), layer, field, f"must be given once or for each of {tops} tops, found {len(values)}")
    return values if len(values) == tops else values * tops


@rule("MemoryData")
def memory_data(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """batch_size x channels x height x width, and batch_size labels."""
    count_blobs(layer, bottoms, 0, 2)
    param = layer.memory_data_param
    shape = (param.batch_size, param.channels, param.height, param.width)
    check(min(shape) > 0, layer, "memory_data_param", "batch_size, channels, height and width must be specified and positive")
    return Facts([shape, (param.batch_size,)])


@rule("AnnotatedData")
def annotated_data(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """batch_size x 3 x H x W of transform_param, and ground truth 1 x 1 x boxes x 8; how many is known only when it runs, so 1 is given."""
    count_blobs(layer, bottoms, 0, (1, 2))
    resize = layer.transform_param.resize_param
    if layer.transform_param.HasField("resize_param") and resize.resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE:
        check(layer.data_param.batch_size == 1, layer, "batch_size", "must be 1 for FIT_SMALL_SIZE, whose images differ in size")
    return Facts([_images(layer, layer.data_param.batch_size), (1, 1, 1, 8)][: len(layer.top)])


@rule("Data", "VideoData")
def data(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """batch_size x 3 (1 with force_gray) x H x W of transform_param, and batch_size labels."""
    count_blobs(layer, bottoms, 0, (1, 2))
    batch = layer.data_param.batch_size
    return Facts([_images(layer, batch), (batch,)][: len(layer.top)])


@rule("ImageData")
def image_data(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """batch_size x 3 (1 without is_color) x the size of transform_param, or else new_height x new_width; and batch_size labels."""
    count_blobs(layer, bottoms, 0, 2)
    param = layer.image_data_param
    check(bool(param.new_height) == bool(param.new_width), layer, "new_height", "and new_width must be set together")
    size = (param.new_height, param.new_width) if param.new_height else None
    return Facts([_images(layer, param.batch_size, size, 3 if param.is_color else 1), (param.batch_size,)])


@rule("WindowData")
def window_data(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """batch_size x 3 x crop_size x crop_size, and batch_size labels."""
    count_blobs(layer, bottoms, 0, 2)
    batch, crop = layer.window_data_param.batch_size, layer.transform_param.crop_size
    check(batch > 0, layer, "batch_size", "must be specified and positive")
    check(crop > 0, layer, "crop_size", "must be specified and positive")
    return Facts([(batch, 3, crop, crop), (batch,)])


def _images(layer: pb.LayerParameter, batch: int, size: tuple[int, int] | None = None, channels: int | None = None) -> Shape:
    """The shape of a batch of images: size is what the layer itself gives them, before transform_param resizes and crops."""
    param, resize = layer.transform_param, layer.transform_param.resize_param
    check(batch > 0, layer, "batch_size", "must be specified and positive")
    check(not (param.force_color and param.force_gray), layer, "force_gray", "contradicts force_color")
    check(not param.crop_size or not (param.crop_h or param.crop_w), layer, "crop_size", "give either crop_size or crop_h and crop_w")
    if param.HasField("resize_param"):
        check(resize.height > 0 and resize.width > 0, layer, "resize_param", "height and width must be specified and positive")
        size = None if resize.resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE else (resize.height, resize.width)
    crop_h, crop_w = param.crop_size or param.crop_h, param.crop_size or param.crop_w
    if size:
        fits = crop_h <= size[0] and crop_w <= size[1]
        check(fits, layer, "crop_size", f"{crop_h}x{crop_w} is larger than the images, {size[0]}x{size[1]}")
    elif not (crop_h and crop_w):
        raise _unknown(layer, "transform_param", "fixes no size")
    height, width = size or (0, 0)
    return (batch, channels or (1 if param.force_gray else 3), crop_h or height, crop_w or width)


@rule("HDF5Data")
def hdf5_data(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """Never known: the shapes are the file's."""
    count_blobs(layer, bottoms, 0, (1, MANY))
    raise _unknown(layer, None, "the HDF5 file fixes the shapes")


@rule("HDF5Output")
def hdf5_output(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """No top. Bottoms: data, labels."""
    count_blobs(layer, bottoms, 2, 0)
    return Facts([])


@rule("Parameter")
def parameter(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """A learnable blob, zero at first, as top."""
    count_blobs(layer, bottoms, 0)
    shape = tuple(layer.parameter_param.shape.dim)
    return Facts([shape], [Param(shape)])


@rule("Python")
def python(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """Known for netgen's focal loss, a scalar; else the shapes are the code's. A layer without tops needs none."""
    if is_focal_loss(layer):
        count_blobs(layer, bottoms, 4)
        return Facts([()])
    if not layer.top:
        return Facts([])
    param = layer.python_param
    raise _unknown(layer, None, f"the Python class {param.module}.{param.layer} fixes the shapes")


def _unknown(layer: pb.LayerParameter, field: str | None, why: str) -> UnknownShape:
    tops = ", ".join(f"'{top}'" for top in layer.top)
    return UnknownShape(layer.name, f"{why}; the shape of {tops} must be given", field)
