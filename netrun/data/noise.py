"""noise_param: thirteen ways to spoil an image, applied after resizing.

Source of the semantics: weiliu89/caffe, branch ssd, src/caffe/util/im_transforms.cpp. noise_param.prob is not looked at, as in the
fork: whatever the parameter names is done to every image.
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
    """Raises CaffeError for salt and pepper without its colour, which the fork would read out of bounds, or of an impossible fraction."""
    values = len(param.saltpepper_param.value)
    if param.saltpepper and not 0 <= param.saltpepper_param.fraction <= 1:
        raise CaffeError(f"noise_param: saltpepper_param.fraction must lie in [0, 1], is {param.saltpepper_param.fraction:g}")
    if param.saltpepper and values not in (1, 3):
        raise CaffeError(f"noise_param: saltpepper needs saltpepper_param with 1 value or 3, one per channel, has {values}")


def apply(image: np.ndarray, param: pb.NoiseParameter, rng: np.random.Generator) -> np.ndarray:
    """(H, W, C) uint8 -> the same shape. Raises CaffeError for an option that needs a colour image and has a grey one."""
    if image.shape[2] == 1 and (param.decolorize or param.convert_to_hsv or param.convert_to_lab):
        raise CaffeError("noise_param: decolorize, convert_to_hsv and convert_to_lab need colour images; set force_color")
    if param.decolorize:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if param.gauss_blur:
        image = cv2.GaussianBlur(image, (7, 7), 1.5)
    if param.hist_eq:
        image = _luminance(image, cv2.equalizeHist)
    if param.clahe:
        image = _luminance(image, cv2.createCLAHE(clipLimit=4).apply)
    if param.jpeg > 0:
        colour = image.ndim == 3 and image.shape[2] == 3
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(param.jpeg)])
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE))
    if param.erode:
        image = cv2.erode(image, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3), (1, 1)))
    if param.posterize:
        image = cv2.LUT(image, _POSTERS)
    if param.inverse:
        image = cv2.bitwise_not(image)
    if param.saltpepper:
        image = _saltpepper(image, param.saltpepper_param, rng)
    if param.convert_to_hsv:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    if param.convert_to_lab:
        # the fork makes floats of it and then reads the first bytes of each row, as many as there are channels and columns: no Lab
        lab = cv2.cvtColor(image.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_BGR2Lab)
        image = lab.reshape(len(lab), -1).view(np.uint8)[:, : image.shape[1] * 3].reshape(image.shape)
    return image[:, :, None] if image.ndim == 2 else image


def _luminance(image: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Change the luminance of a colour image, or a grey image as it is."""
    if image.ndim == 2 or image.shape[2] == 1:
        return change(image)
    planes = list(cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)))
    planes[0] = change(planes[0])
    return cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2BGR)


def _saltpepper(image: np.ndarray, param: pb.SaltPepperParameter, rng: np.random.Generator) -> np.ndarray:
    """Pixels drawn with replacement, `fraction` of all, take the given value."""
    height, width = image.shape[:2]
    image = image.copy()
    count = floor(np.float32(param.fraction) * np.float32(width) * np.float32(height))
    rows, columns = rng.integers(height, size=count), rng.integers(width, size=count)
    values = np.array(param.value).astype(np.int64).astype(np.uint8)
    image[rows, columns] = values[0] if image.ndim == 2 or image.shape[2] == 1 else values
    return image
