"""Layers without bottoms, and Python layers.

Where only the data or other code knows a shape, the rule raises UnknownShape; `walk` takes such
shapes as `inputs`.
"""

from __future__ import annotations

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import MANY, check, check_positive, count_blobs, learned
from caffe_ir.rules.focal_loss import is_focal_loss
from caffe_ir.rules.registry import Facts, Layer, Param, Shape, Shapes, rule
from ssd_common.errors import UnknownShape


@rule("Input")
def input_(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops have the shapes of input_param: one for all, or one each."""
    count_blobs(layer, bottoms, 0, (1, MANY))
    shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    if not shapes:
        raise _unknown(layer, "input_param.shape", "is not given")
    return Facts(_one_or_each(layer, shapes, "shape"))


@rule("DummyData")
def dummy_data(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops have the shapes of dummy_data_param: one for all, or one each.

    The older form of a shape is num, channels, height and width.
    """
    count_blobs(layer, bottoms, 0, (1, MANY))
    param = layer.dummy_data_param
    names = ("num", "channels", "height", "width")
    fillers = len(param.data_filler)
    check(
        fillers in (0, 1, len(layer.top)),
        layer,
        "data_filler",
        f"must be given once or for each top, found {fillers}",
    )
    for filler in param.data_filler:
        learned(layer, [], pb.ScaleParameter(filler=filler), "filler")
    if not any(getattr(param, name) for name in names):
        shapes = [tuple(shape.dim) for shape in param.shape]
        return Facts(_one_or_each(layer, shapes, "shape"))
    check(
        not param.shape,
        layer,
        "shape",
        "give either shape or num, channels, height and width",
    )
    columns = [_one_or_each(layer, list(getattr(param, name)), name) for name in names]
    return Facts([tuple(shape) for shape in zip(*columns, strict=True)])


def _one_or_each(layer: Layer, values: list, field: str) -> list:
    """Return a value for each top, from a field that is given once or for each top."""
    tops = len(layer.top)
    wanted = f"must be given once or for each of {tops} tops"
    check(len(values) in (1, tops), layer, field, f"{wanted}, found {len(values)}")
    if len(values) == tops:
        return values
    return values * tops


@rule("MemoryData")
def memory_data(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are batch_size x channels x height x width, and batch_size labels."""
    count_blobs(layer, bottoms, 0, 2)
    param = layer.memory_data_param
    shape = (param.batch_size, param.channels, param.height, param.width)
    wanted = "batch_size, channels, height and width must be specified and positive"
    check(min(shape) > 0, layer, "memory_data_param", wanted)
    return Facts([shape, (param.batch_size,)])


@rule("AnnotatedData")
def annotated_data(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are batch_size x 3 x H x W of transform_param, and ground truth 1 x 1 x boxes x 8.

    Only a run of the net knows how many boxes there are; the shape here has 1.
    """
    count_blobs(layer, bottoms, 0, (1, 2))
    batch = layer.data_param.batch_size
    if _keeps_ratio(layer):
        message = "must be 1 for FIT_SMALL_SIZE, whose images differ in size"
        check(batch == 1, layer, "batch_size", message)
    return Facts([_images(layer, batch), (1, 1, 1, 8)][: len(layer.top)])


@rule("Data", "VideoData")
def data(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are batch_size x C x H x W of transform_param, and batch_size labels.

    C is 3, or 1 with force_gray.
    """
    count_blobs(layer, bottoms, 0, (1, 2))
    batch = layer.data_param.batch_size
    return Facts([_images(layer, batch), (batch,)][: len(layer.top)])


@rule("ImageData")
def image_data(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are batch_size x C x H x W, and batch_size labels.

    C is 3, or 1 without is_color. H and W are those of transform_param, or else new_height and
    new_width.
    """
    count_blobs(layer, bottoms, 0, 2)
    param = layer.image_data_param
    together = bool(param.new_height) == bool(param.new_width)
    check(together, layer, "new_height", "and new_width must be set together")
    size = (param.new_height, param.new_width) if param.new_height else None
    channels = 3 if param.is_color else 1
    images = _images(layer, param.batch_size, size, channels)
    return Facts([images, (param.batch_size,)])


@rule("WindowData")
def window_data(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are batch_size x 3 x crop_size x crop_size, and batch_size labels."""
    count_blobs(layer, bottoms, 0, 2)
    batch = layer.window_data_param.batch_size
    crop = layer.transform_param.crop_size
    check_positive(layer, "batch_size", batch)
    check_positive(layer, "crop_size", crop)
    return Facts([(batch, 3, crop, crop), (batch,)])


def _images(
    layer: Layer,
    batch: int,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> Shape:
    """Return the shape of a batch of images.

    size: height and width that the layer itself gives them, before transform_param resizes and
        crops; None where the layer gives none.
    channels: None where only force_gray decides.
    """
    param = layer.transform_param
    check_positive(layer, "batch_size", batch)
    contradict = param.force_color and param.force_gray
    check(not contradict, layer, "force_gray", "contradicts force_color")
    both = param.crop_size and (param.crop_h or param.crop_w)
    check(not both, layer, "crop_size", "give either crop_size or crop_h and crop_w")
    if param.HasField("resize_param"):
        size = (param.resize_param.height, param.resize_param.width)
        wanted = "height and width must be specified and positive"
        check(min(size) > 0, layer, "resize_param", wanted)
    if _keeps_ratio(layer):
        size = None
    crop_h = param.crop_size or param.crop_h
    crop_w = param.crop_size or param.crop_w
    if size:
        fits = crop_h <= size[0] and crop_w <= size[1]
        larger = f"{crop_h}x{crop_w} is larger than the images, {size[0]}x{size[1]}"
        check(fits, layer, "crop_size", larger)
    elif not (crop_h and crop_w):
        raise _unknown(layer, "transform_param", "fixes no size")
    height, width = size or (0, 0)
    if channels is None:
        channels = 1 if param.force_gray else 3
    return (batch, channels, crop_h or height, crop_w or width)


def _keeps_ratio(layer: Layer) -> bool:
    """Tell whether resizing keeps each image's aspect ratio, so that sizes differ."""
    param = layer.transform_param
    small_side = param.resize_param.resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE
    return param.HasField("resize_param") and small_side


@rule("HDF5Data")
def hdf5_data(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops' shapes are those of the file, so they are never known here."""
    count_blobs(layer, bottoms, 0, (1, MANY))
    raise _unknown(layer, None, "the HDF5 file fixes the shapes")


@rule("HDF5Output")
def hdf5_output(layer: Layer, bottoms: Shapes) -> Facts:
    """The layer has no top. Bottoms: data, labels."""
    count_blobs(layer, bottoms, 2, 0)
    return Facts([])


@rule("Parameter")
def parameter(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is a learnable blob, zero at first, of the shape that parameter_param gives."""
    count_blobs(layer, bottoms, 0)
    shape = tuple(layer.parameter_param.shape.dim)
    return Facts([shape], [Param(shape)])


@rule("Python")
def python(layer: Layer, bottoms: Shapes) -> Facts:
    """The top of netgen's focal loss is a scalar; other tops have shapes that only the code knows.

    A layer without tops needs no shapes.
    """
    if is_focal_loss(layer):
        count_blobs(layer, bottoms, 4)
        return Facts([()])
    if not layer.top:
        return Facts([])
    param = layer.python_param
    code = f"the Python class {param.module}.{param.layer}"
    raise _unknown(layer, None, f"{code} fixes the shapes")


def _unknown(layer: Layer, field: str | None, why: str) -> UnknownShape:
    """Return the error for a layer that needs given shapes."""
    tops = ", ".join(f"'{top}'" for top in layer.top)
    return UnknownShape(layer.name, f"{why}; the shape of {tops} must be given", field)
