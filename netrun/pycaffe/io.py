"""Images and arrays for nets, as pycaffe's caffe.io: Transformer, load_image, resize_image, and arrays as protocol buffers.

pycaffe resizes with scikit-image, linearly between pixel centres and without smoothing (scikit-image up to 0.13); so does OpenCV's
INTER_LINEAR, which is used here: on images in [0, 1] they agree to 1e-6. Only where an image is enlarged do pixels within half a
source pixel of its border differ: there the scikit-image of pycaffe's time mixes in zeros, and here the outermost pixels go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike
from ssd_common.suggest import suggest

caffe_pb2 = pb  # many scripts take it from caffe.io

GREY = np.array([0.2125, 0.7154, 0.0721], np.float32)  # of red, green, blue: scikit-image's rgb2gray


def load_image(filename: PathLike, color: bool = True) -> np.ndarray:
    """An image file as float32 in [0, 1], H x W x 3 in RGB order, or H x W x 1 in grey. An alpha channel is left away.

    As with pycaffe, a photograph's orientation tag is not heeded. Raises CaffeError for what is no image.
    """
    try:
        data = np.fromfile(filename, np.uint8)
    except OSError as error:
        raise CaffeError(f"{filename}: {error.strerror or error}") from None
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise CaffeError(f"{filename}: not an image that OpenCV can read")
    scale = {"uint8": 255.0, "uint16": 65535.0}.get(image.dtype.name, 1.0)
    image = (image / scale).astype(np.float32)
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
        return np.tile(image, (1, 1, 3)) if color else image
    rgb = image[:, :, 2::-1]
    return np.ascontiguousarray(rgb) if color else (rgb @ GREY)[:, :, np.newaxis]


def resize_image(im: np.ndarray, new_dims: Sequence[int] | np.ndarray, interp_order: int = 1) -> np.ndarray:
    """Resize an H x W x K array to new_dims, height and width; float32. interp_order: 1 linear, 0 nearest.

    One or three channels: between pixel centres (see the module). Other numbers, as pycaffe (which uses SciPy's zoom): corner to corner.
    Raises CaffeError for other orders: scikit-image's splines have no equal in OpenCV.
    """
    if interp_order not in (0, 1):
        raise CaffeError(f"resize_image: interp_order must be 0 or 1, not {interp_order}")
    height, width = (int(n) for n in new_dims)
    im = np.asarray(im, np.float32)
    if im.shape[-1] in (1, 3):
        method = cv2.INTER_LINEAR if interp_order else cv2.INTER_NEAREST_EXACT
        return cv2.resize(np.ascontiguousarray(im), (width, height), interpolation=method).reshape(height, width, im.shape[-1])
    for axis, size in enumerate((height, width)):
        at = np.linspace(0, im.shape[axis] - 1, size)
        if not interp_order:
            im = im.take(np.floor(at + 0.5).astype(int), axis)
            continue
        low = np.minimum(at.astype(int), max(im.shape[axis] - 2, 0))
        share = (at - low).astype(np.float32).reshape(-1, *[1] * (im.ndim - 1 - axis))
        high = np.minimum(low + 1, im.shape[axis] - 1)
        im = im.take(low, axis) * (1 - share) + im.take(high, axis) * share
    return im


def oversample(images: Sequence[np.ndarray] | np.ndarray, crop_dims: Sequence[int] | np.ndarray) -> np.ndarray:
    """Ten crops of each H x W x K image, (10 N, h, w, K) float32: the four corners and the centre, and then their mirror images."""
    size, (height, width) = np.array(images[0].shape[:2]), (int(n) for n in crop_dims)
    bottom, right = size - (height, width)
    centre = (size / 2.0 - np.array([height, width]) / 2.0).astype(int)
    starts = [(0, 0), (0, right), (bottom, 0), (bottom, right), tuple(centre)]
    crops = []
    for image in images:
        five = [image[y : y + height, x : x + width] for y, x in starts]
        crops += five + [crop[:, ::-1] for crop in five]
    return np.array(crops, np.float32)


class Transformer:
    """Makes images into what nets take, and back. inputs: the shapes of input blobs by name, N x K x H x W."""

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def _shape(self, in_: str) -> tuple[int, ...]:
        if in_ not in self.inputs:
            raise CaffeError(f"Transformer: '{in_}' is not one of the inputs {', '.join(self.inputs)}{suggest(in_, self.inputs)}")
        return self.inputs[in_]

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of an image's axes in the blob: (2, 0, 1) for H x W x K."""
        if len(order) != len(self._shape(in_)) - 1:
            raise CaffeError(f"set_transpose: '{in_}' has {len(self._shape(in_)) - 1} axes an image, {order} {len(order)}")
        self.transpose[in_] = tuple(order)

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of channels, after transposing: (2, 1, 0) from RGB to BGR."""
        if len(order) != self._shape(in_)[1]:
            raise CaffeError(f"set_channel_swap: '{in_}' has {self._shape(in_)[1]} channels, {order} {len(order)}")
        self.channel_swap[in_] = tuple(order)

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """What to multiply with before the mean: 255 for images in [0, 1]."""
        self._shape(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """What to subtract: a value per channel, H x W, or K x H x W. Raises CaffeError for another shape."""
        wanted = self._shape(in_)[1:]
        mean = np.asarray(mean)
        if mean.ndim == 1 and mean.shape[0] == wanted[0]:
            mean = mean[:, np.newaxis, np.newaxis]
        elif mean.ndim == 1:
            raise CaffeError(f"set_mean: {mean.shape[0]} values, but '{in_}' has {wanted[0]} channels")
        else:
            mean = mean[np.newaxis] if mean.ndim == 2 else mean
            if mean.shape != wanted:
                raise CaffeError(f"set_mean: a mean of shape {mean.shape} does not fit '{in_}', {wanted}")
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """What to multiply with after everything else."""
        self._shape(in_)
        self.input_scale[in_] = scale

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """An H' x W' x K image as K x H x W float32.

        In this order: resized, transposed, channels swapped, times raw_scale, minus mean, times input_scale.
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
        """The image of a blob's K x H x W values (axes of size 1 are left away): `preprocess` undone, but for the resizing."""
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
    """A stored blob's values, or its diff's, in its shape. Raises ValueError where their number is not the shape's, as pycaffe."""
    values = np.array(blob.diff if return_diff else blob.data)
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return values.reshape(blob.num, blob.channels, blob.height, blob.width)
    return values.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> pb.BlobProto:
    """An array of any shape, and a diff of the same, as a blob to store."""
    blob = pb.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(np.asarray(arr, np.float32).ravel().tolist())
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float32).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[np.ndarray]) -> bytes:
    """A serialized BlobProtoVector of arrays."""
    return pb.BlobProtoVector(blobs=[array_to_blobproto(arr) for arr in arraylist]).SerializeToString()


def blobprotovector_str_to_arraylist(data: bytes) -> list[np.ndarray]:
    """The arrays of a serialized BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in pb.BlobProtoVector.FromString(data).blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> pb.Datum:
    """A K x H x W array as a Datum: uint8 as bytes, others as floats. Raises ValueError for another number of axes, as pycaffe."""
    if arr.ndim != 3:
        raise ValueError(f"array_to_datum takes three axes, not {arr.ndim}")
    fields: dict[str, Any] = {"data": arr.tobytes()} if arr.dtype == np.uint8 else {"float_data": arr.ravel().tolist()}
    if label is not None:
        fields["label"] = int(label)
    return pb.Datum(channels=arr.shape[0], height=arr.shape[1], width=arr.shape[2], **fields)


def datum_to_array(datum: pb.Datum) -> np.ndarray:
    """A Datum's values, K x H x W, uint8 or float64; its label is datum.label. Raises CaffeError for one that holds an image file."""
    if datum.encoded:
        raise CaffeError("datum_to_array: the datum holds an encoded image; decode datum.data with cv2.imdecode")
    values = np.frombuffer(datum.data, np.uint8).copy() if datum.data else np.array(datum.float_data, np.float64)
    return values.reshape(datum.channels, datum.height, datum.width)
