"""Prepares images and arrays for nets, as pycaffe's caffe.io does.

It has Transformer, load_image, resize_image, and functions for arrays as protocol buffers.

pycaffe resizes with scikit-image (up to 0.13): linearly between pixel centres, without
smoothing. OpenCV's INTER_LINEAR, which this module uses, does the same: on images in [0, 1]
they agree to 1e-6. Only where an image is enlarged do pixels within half a source pixel of
its border differ: the scikit-image of pycaffe's time mixes in zeros there, and this module
repeats the outermost pixels.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import IO

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike, read_regular
from ssd_common.pictures import decoded
from ssd_common.suggest import suggest

caffe_pb2 = pb  # many scripts take it from caffe.io

# Weights of red, green and blue in grey, as in scikit-image's rgb2gray.
GREY = np.array([0.2125, 0.7154, 0.0721], np.float32)


def load_image(filename: PathLike | IO[bytes], color: bool = True) -> np.ndarray:
    """Read an image file, without its alpha channel.

    filename: its path, or an open file, such as io.BytesIO, which is read from where it stands.

    As in pycaffe, a photograph's orientation tag has no effect.
    Returns float32 in [0, 1], H x W x 3 in RGB order, or H x W x 1 in grey.
    Raises CaffeError for a file that is not an image.
    """
    data = _bytes_of(filename)
    try:
        image = decoded(data, cv2.IMREAD_UNCHANGED)
    except CaffeError as error:
        raise CaffeError(f"{filename}: {error}") from None
    if image is None:
        raise CaffeError(f"{filename}: not an image that OpenCV can read")
    scale = {"uint8": 255.0, "uint16": 65535.0}.get(image.dtype.name, 1.0)
    image = (image / scale).astype(np.float32)
    if image.ndim == 2:
        grey = image[:, :, np.newaxis]
        if color:
            return np.tile(grey, (1, 1, 3))
        return grey
    rgb = image[:, :, 2::-1]
    if color:
        return np.ascontiguousarray(rgb)
    return (rgb @ GREY)[:, :, np.newaxis]


def _bytes_of(source: PathLike | IO[bytes]) -> bytes:
    """The bytes of a file, which is given by its path or open. Raises CaffeError."""
    try:
        if isinstance(source, (str, os.PathLike)):
            return read_regular(source)
        return bytes(memoryview(source.read()))
    except OSError as error:
        raise CaffeError(f"{source}: {error.strerror or error}") from None
    except (AttributeError, TypeError):
        what = reprlib.repr(source)
        raise CaffeError(f"{what}: neither a path nor a file open for bytes") from None


def resize_image(
    im: np.ndarray,
    new_dims: Sequence[int] | np.ndarray,
    interp_order: int = 1,
) -> np.ndarray:
    """Resize an H x W x K array.

    One or three channels are scaled between pixel centres (see the module), other numbers
    from corner to corner, as in pycaffe, which uses SciPy's zoom for them.
    new_dims: height and width.
    interp_order: 1 linear, 0 nearest.
    Returns float32.
    Raises CaffeError for other orders: OpenCV lacks scikit-image's splines.
    """
    if interp_order not in (0, 1):
        raise CaffeError(f"resize_image: interp_order must be 0 or 1, not {interp_order}")
    height, width = (int(n) for n in new_dims)
    im = np.asarray(im, np.float32)
    channels = im.shape[-1]
    if channels in (1, 3):
        method = cv2.INTER_NEAREST_EXACT
        if interp_order:
            method = cv2.INTER_LINEAR
        image = np.ascontiguousarray(im)
        resized = cv2.resize(image, (width, height), interpolation=method)
        return resized.reshape(height, width, channels)
    im = _zoomed(im, 0, height, interp_order)
    return _zoomed(im, 1, width, interp_order)


def _zoomed(
    im: np.ndarray,
    axis: int,
    size: int,
    interp_order: int,
) -> np.ndarray:
    """Scale one axis from corner to corner."""
    at = np.linspace(0, im.shape[axis] - 1, size)
    if not interp_order:
        return im.take(np.floor(at + 0.5).astype(int), axis)
    low = np.minimum(at.astype(int), max(im.shape[axis] - 2, 0))
    high = np.minimum(low + 1, im.shape[axis] - 1)
    share = (at - low).astype(np.float32)
    share = share.reshape(-1, *[1] * (im.ndim - 1 - axis))
    return im.take(low, axis) * (1 - share) + im.take(high, axis) * share


def oversample(
    images: Sequence[np.ndarray] | np.ndarray,
    crop_dims: Sequence[int] | np.ndarray,
) -> np.ndarray:
    """Cut ten crops out of each H x W x K image.

    They are the four corners and the centre, then their mirror images.
    crop_dims: height and width.
    Returns (10 N, h, w, K) float32.
    """
    size = np.array(images[0].shape[:2])
    height, width = (int(n) for n in crop_dims)
    bottom, right = size - (height, width)
    centre = (size / 2.0 - np.array([height, width]) / 2.0).astype(int)
    starts = [(0, 0), (0, right), (bottom, 0), (bottom, right), tuple(centre)]
    crops = []
    for image in images:
        five = [image[y : y + height, x : x + width] for y, x in starts]
        crops += five
        crops += [crop[:, ::-1] for crop in five]
    return np.array(crops, np.float32)


class Transformer:
    """Turns images into the arrays that nets take, and back.

    inputs: the shapes of input blobs by name, N x K x H x W.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def _shape(self, in_: str) -> tuple[int, ...]:
        if in_ not in self.inputs:
            known = ", ".join(self.inputs)
            near = suggest(in_, self.inputs)
            raise CaffeError(f"Transformer: '{in_}' is not one of the inputs {known}{near}")
        return self.inputs[in_]

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of an image's axes in the blob: (2, 0, 1) for H x W x K.

        Raises CaffeError for another number of axes.
        """
        axes = len(self._shape(in_)) - 1
        if len(order) != axes:
            raise CaffeError(
                f"set_transpose: '{in_}' has {axes} axes an image, {order} {len(order)}"
            )
        self.transpose[in_] = tuple(order)

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of channels, after transposing: (2, 1, 0) from RGB to BGR.

        Raises CaffeError for another number of channels.
        """
        channels = self._shape(in_)[1]
        if len(order) != channels:
            raise CaffeError(
                f"set_channel_swap: '{in_}' has {channels} channels, {order} {len(order)}"
            )
        self.channel_swap[in_] = tuple(order)

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Set the factor before the mean: 255 for images in [0, 1]."""
        self._shape(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """Set the values to subtract.

        mean: a value per channel, H x W, or K x H x W; one of another size is resized.
        Raises CaffeError for another number of channels or axes.
        """
        wanted = self._shape(in_)[1:]
        mean = np.asarray(mean)
        if mean.ndim == 1:
            if len(mean) != wanted[0]:
                raise CaffeError(
                    f"set_mean: {len(mean)} values, but '{in_}' has {wanted[0]} channels"
                )
            self.mean[in_] = mean[:, np.newaxis, np.newaxis]
            return
        if mean.ndim == 2:
            mean = mean[np.newaxis]
        same_axes = mean.ndim == len(wanted) == 3 and mean.shape[0] == wanted[0]
        if same_axes and mean.shape != wanted:
            image = resize_image(mean.transpose(1, 2, 0), wanted[1:])
            mean = image.transpose(2, 0, 1)
        if mean.shape != wanted:
            raise CaffeError(
                f"set_mean: a mean of shape {mean.shape} does not fit '{in_}', {wanted}"
            )
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Set the factor to apply last."""
        self._shape(in_)
        self.input_scale[in_] = scale

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Turn an H' x W' x K image into K x H x W float32.

        The steps: resize, transpose, swap channels, times raw_scale, minus mean, times
        input_scale.
        """
        size = self._shape(in_)[2:]
        values = np.array(data, np.float32)
        if values.shape[:2] != size:
            values = resize_image(values, size)
        if in_ in self.transpose:
            values = values.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            values = values[list(self.channel_swap[in_])]
        if in_ in self.raw_scale:
            values *= np.float32(self.raw_scale[in_])
        if in_ in self.mean:
            values -= self.mean[in_].astype(np.float32)
        if in_ in self.input_scale:
            values *= np.float32(self.input_scale[in_])
        return values

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Turn a blob's K x H x W values into an image: `preprocess` undone, except resizing.

        Axes of size 1 are left out.
        """
        self._shape(in_)
        values = np.array(data).squeeze()
        if in_ in self.input_scale:
            values = values / values.dtype.type(self.input_scale[in_])
        if in_ in self.mean:
            values = values + self.mean[in_].astype(values.dtype)
        if in_ in self.raw_scale:
            values = values / values.dtype.type(self.raw_scale[in_])
        if in_ in self.channel_swap:
            values = values[np.argsort(self.channel_swap[in_])]
        if in_ in self.transpose:
            values = values.transpose(np.argsort(self.transpose[in_]))
        return values


def blobproto_to_array(blob: pb.BlobProto, return_diff: bool = False) -> np.ndarray:
    """Return a stored blob's values, or its diff's, in its shape.

    Raises ValueError where their number does not fit the shape, as in pycaffe.
    """
    stored = blob.data
    if return_diff:
        stored = blob.diff
    values = np.array(stored)
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return values.reshape(blob.num, blob.channels, blob.height, blob.width)
    return values.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> pb.BlobProto:
    """Make a blob to store from an array of any shape, and from a diff of the same shape."""
    blob = pb.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(np.asarray(arr, np.float32).ravel().tolist())
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float32).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[np.ndarray]) -> bytes:
    """Serialise arrays as a BlobProtoVector."""
    blobs = [array_to_blobproto(arr) for arr in arraylist]
    return pb.BlobProtoVector(blobs=blobs).SerializeToString()


def blobprotovector_str_to_arraylist(data: bytes) -> list[np.ndarray]:
    """Read the arrays of a serialised BlobProtoVector."""
    vector = pb.BlobProtoVector.FromString(data)
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> pb.Datum:
    """Make a Datum from a K x H x W array: uint8 as bytes, others as floats.

    Raises ValueError for another number of axes, as in pycaffe.
    """
    if arr.ndim != 3:
        raise ValueError(f"array_to_datum takes three axes, not {arr.ndim}")
    channels, height, width = arr.shape
    datum = pb.Datum(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.ravel().tolist())
    if label is not None:
        datum.label = int(label)
    return datum


def datum_to_array(datum: pb.Datum) -> np.ndarray:
    """Return a Datum's values, K x H x W, uint8 or float64; its label is datum.label.

    Raises CaffeError for a Datum that holds an image file.
    """
    if datum.encoded:
        raise CaffeError(
            "datum_to_array: the datum holds an encoded image; decode datum.data with cv2.imdecode"
        )
    values = np.array(datum.float_data, np.float64)
    if datum.data:
        values = np.frombuffer(datum.data, np.uint8).copy()
    return values.reshape(datum.channels, datum.height, datum.width)
