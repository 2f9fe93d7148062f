"""noise_param: thirteen ways to spoil an image, applied after resizing.

Like the fork, this module ignores noise_param.prob and changes every image in each way that the
parameter names.
Source: weiliu89/caffe, branch ssd, src/caffe/util/im_transforms.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError

_POSTERS = (np.arange(256) // 64 * 64 + 32).astype(np.uint8)


def check(param: pb.NoiseParameter) -> None:
    """Refuse salt and pepper of an impossible fraction, or without a colour.

    Without a colour, the fork reads out of bounds.
    Raises CaffeError for either.
    """
    if not param.saltpepper:
        return
    fraction = param.saltpepper_param.fraction
    if not 0 <= fraction <= 1:
        raise CaffeError(
            f"noise_param: saltpepper_param.fraction must lie in [0, 1], is {fraction:g}"
        )
    values = len(param.saltpepper_param.value)
    if values not in (1, 3):
        raise CaffeError(
            "noise_param: saltpepper needs saltpepper_param with 1 value or 3, "
            f"one per channel, has {values}"
        )


def apply(
    image: np.ndarray,
    param: pb.NoiseParameter,
    rng: np.random.Generator,
) -> np.ndarray:
    """Spoil an (H, W, C) uint8 image; its shape stays.

    Raises CaffeError for an option that needs a colour image and has a grey one.
    """
    needs_colour = param.decolorize or param.convert_to_hsv or param.convert_to_lab
    if image.shape[2] == 1 and needs_colour:
        raise CaffeError(
            "noise_param: decolorize, convert_to_hsv and convert_to_lab need colour images; "
            "set force_color"
        )
    for field, change in _CHANGES:
        if getattr(param, field):
            image = change(image, param)
    if param.saltpepper:
        image = _saltpepper(image, param.saltpepper_param, rng)
    if param.convert_to_hsv:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    if param.convert_to_lab:
        image = _first_bytes_of_lab(image)
    if image.ndim == 2:
        return image[:, :, None]
    return image


def _decolorize(image: np.ndarray, _: pb.NoiseParameter) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def _gauss_blur(image: np.ndarray, _: pb.NoiseParameter) -> np.ndarray:
    return cv2.GaussianBlur(image, (7, 7), 1.5)


def _hist_eq(image: np.ndarray, _: pb.NoiseParameter) -> np.ndarray:
    return _luminance(image, cv2.equalizeHist)


def _clahe(image: np.ndarray, _: pb.NoiseParameter) -> np.ndarray:
    return _luminance(image, cv2.createCLAHE(clipLimit=4).apply)


def _jpeg(image: np.ndarray, param: pb.NoiseParameter) -> np.ndarray:
    """Encode the image as a JPEG of the given quality and decode it; below 0, do nothing."""
    if not param.jpeg > 0:
        return image
    flag = cv2.IMREAD_GRAYSCALE
    if image.ndim == 3 and image.shape[2] == 3:
        flag = cv2.IMREAD_COLOR
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(param.jpeg)]
    _, coded = cv2.imencode(".jpg", image, quality)
    return np.asarray(cv2.imdecode(coded, flag))


def _erode(image: np.ndarray, _: pb.NoiseParameter) -> np.ndarray:
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3), (1, 1))
    return cv2.erode(image, element)


def _posterize(image: np.ndarray, _: pb.NoiseParameter) -> np.ndarray:
    return cv2.LUT(image, _POSTERS)


def _inverse(image: np.ndarray, _: pb.NoiseParameter) -> np.ndarray:
    return cv2.bitwise_not(image)


# Fields of noise_param and what they do, in the fork's order.
_CHANGES: list[tuple[str, Callable[[np.ndarray, pb.NoiseParameter], np.ndarray]]] = [
    ("decolorize", _decolorize),
    ("gauss_blur", _gauss_blur),
    ("hist_eq", _hist_eq),
    ("clahe", _clahe),
    ("jpeg", _jpeg),
    ("erode", _erode),
    ("posterize", _posterize),
    ("inverse", _inverse),
]


def _luminance(image: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Change the luminance of a colour image, or the values of a grey one."""
    if image.ndim == 2 or image.shape[2] == 1:
        return change(image)
    ycrcb = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)
    planes = list(cv2.split(ycrcb))
    planes[0] = change(planes[0])
    return cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2BGR)


def _saltpepper(
    image: np.ndarray,
    param: pb.SaltPepperParameter,
    rng: np.random.Generator,
) -> np.ndarray:
    """Set a `fraction` of the pixels, drawn with replacement, to the parameter's value."""
    height, width = image.shape[:2]
    image = image.copy()
    count = floor(np.float32(param.fraction) * np.float32(width) * np.float32(height))
    rows = rng.integers(height, size=count)
    columns = rng.integers(width, size=count)
    values = np.array(param.value).astype(np.int64).astype(np.uint8)
    if image.ndim == 2 or image.shape[2] == 1:
        image[rows, columns] = values[0]
    else:
        image[rows, columns] = values
    return image


def _first_bytes_of_lab(image: np.ndarray) -> np.ndarray:
    """The fork's convert_to_lab, whose result is not Lab.

    The fork converts to floats, then reads the first columns times channels bytes of each row.
    """
    floats = image.astype(np.float32) * np.float32(1 / 255)
    lab = cv2.cvtColor(floats, cv2.COLOR_BGR2Lab)
    rows = lab.reshape(len(lab), -1).view(np.uint8)
    return rows[:, : image.shape[1] * 3].reshape(image.shape)
