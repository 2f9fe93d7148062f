"""Resize policies: WARP, FIT_SMALL_SIZE, FIT_LARGE_SIZE_AND_PAD, for pixels and for boxes.

Source of the semantics: weiliu89/caffe, branch ssd, src/caffe/util/im_transforms.cpp and bbox_util.cpp. resize_param.prob is
not looked at, as in the fork.
"""

from __future__ import annotations

from math import ceil, floor

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from netrun.data.boxes import Annotations, Box
from ssd_common.errors import CaffeError

R = pb.ResizeParameter
_INTERPOLATION = {
    R.LINEAR: cv2.INTER_LINEAR,
    R.AREA: cv2.INTER_AREA,
    R.NEAREST: cv2.INTER_NEAREST,
    R.CUBIC: cv2.INTER_CUBIC,
    R.LANCZOS4: cv2.INTER_LANCZOS4,
}
_BORDER = {R.CONSTANT: cv2.BORDER_CONSTANT, R.MIRRORED: cv2.BORDER_REFLECT_101, R.REPEAT_NEAREST: cv2.BORDER_REPLICATE}


def scaled(image: np.ndarray, size: tuple[int, int], interpolation: int, end: tuple[int, int] | None = None) -> np.ndarray:
    """The image at this (width, height). end: see Resize; what lies beyond costs next to nothing.

    The result is the same but for one grey level in fewer than one of 1,000 values of CUBIC and LANCZOS4 (OpenCV's own vector tails).
    """
    whole = (image.shape[1], image.shape[0])
    if end is None:
        return cv2.resize(image, size, interpolation=interpolation)
    # the widest kernel, LANCZOS4, reaches 4 pixels of the source to each side
    out = [min(ceil((e + 5) * to / n) + 1, to) for n, to, e in zip(whole, size, end, strict=True)]
    used = [min(ceil(o * n / to) + 8, n) for n, to, o in zip(whole, size, out, strict=True)]
    part = cv2.resize(image[: used[1], : used[0]], None, fx=size[0] / whole[0], fy=size[1] / whole[1], interpolation=interpolation)
    border = (0, size[1] - out[1], 0, size[0] - out[0])
    return cv2.copyMakeBorder(part[: out[1], : out[0]], *border, cv2.BORDER_CONSTANT, value=image[-1, -1].tolist())


class Resize:
    """One resize policy. Raises CaffeError for one that the fork refuses."""

    def __init__(self, param: pb.ResizeParameter) -> None:
        if not (param.height and param.width):
            raise CaffeError("resize_param: height and width must be positive")
        self.param = param
        self._modes = [_INTERPOLATION[mode] for mode in param.interp_mode] or [cv2.INTER_LINEAR]

    def interpolation(self, rng: np.random.Generator) -> int:
        """One of the policy's interpolation modes, with equal chance, as OpenCV's number."""
        return self._modes[int(rng.integers(len(self._modes)))] if len(self._modes) > 1 else self._modes[0]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of what comes out of an image of this size."""
        inner = self._inner(width, height)
        return inner if self.param.resize_mode == R.FIT_SMALL_SIZE else (self.param.width, self.param.height)

    def _inner(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) to which the image itself is scaled."""
        to_width, to_height = self.param.width, self.param.height
        if self.param.resize_mode == R.WARP:
            return to_width, to_height
        aspect = np.float32(width) / np.float32(height)
        target = np.float32(to_width) / np.float32(to_height)
        by_width = aspect > target if self.param.resize_mode == R.FIT_LARGE_SIZE_AND_PAD else aspect < target
        if by_width:
            return to_width, max(floor(np.float32(to_width) / aspect), 1)
        return max(floor(aspect * np.float32(to_height)), 1), to_height

    def symmetric(self, interpolation: int, width: int, height: int) -> bool:
        """Whether an image of this size, flipped, comes out flipped: AREA, which costs most, where it makes smaller both ways.

        Fewer than one of 10,000 values of many images differ, by one grey level, as floats are added up in another order.
        """
        to_width, to_height = self._inner(width, height)
        return interpolation == cv2.INTER_AREA and to_width <= width and to_height <= height

    def __call__(self, image: np.ndarray, interpolation: int, end: tuple[int, int] | None = None, flip: int | None = None) -> np.ndarray:
        """(H, W, C) uint8 -> resized and padded, channels kept.

        end: (x, y) from where on the image has the colour of its last pixel. flip: cv2.flip's code, undoes how the image was flipped.
        """
        inner = self._inner(image.shape[1], image.shape[0])
        out = scaled(image, inner, interpolation, end)
        if flip is not None:
            out = cv2.flip(out, flip)
        if self.param.resize_mode == R.FIT_LARGE_SIZE_AND_PAD:
            spare_x, spare_y = self.param.width - inner[0], self.param.height - inner[1]
            left, top = spare_x // 2, spare_y // 2
            values = list(self.param.pad_value)
            if len(values) not in (0, 1, image.shape[2]):
                raise CaffeError(f"resize_param: pad_value needs 1 value or {image.shape[2]}, one per channel, has {len(values)}")
            colour = values * (image.shape[2] if len(values) == 1 else 1) or [0.0]
            out = cv2.copyMakeBorder(out, top, spare_y - top, left, spare_x - left, _BORDER[self.param.pad_mode], value=colour)
        return out[:, :, None] if out.ndim == 2 else out

    def boxes(self, found: Annotations, width: int, height: int) -> Annotations:
        """The objects of an image of this size after the policy. The sides of the padding are not rounded to pixels, as in the fork."""
        to = np.array([self.param.width, self.param.height], np.float32)
        old = np.array([width, height], np.float32)
        aspect = old[0] / old[1]
        padding = np.zeros(2, np.float32)
        wider = bool(aspect > to[0] / to[1])
        if self.param.resize_mode == R.FIT_LARGE_SIZE_AND_PAD:
            axis = 1 if wider else 0
            padding[axis] = (to[1] - to[0] / aspect if wider else to[0] - aspect * to[1]) / 2
        elif self.param.resize_mode == R.FIT_SMALL_SIZE:
            if aspect < to[0] / to[1]:
                to[1] = to[0] / aspect
            else:
                to[0] = aspect * to[1]
        corners = found.boxes.reshape(-1, 2, 2) * old * (to - 2 * padding) / old
        corners[:, 0] = padding + np.maximum(corners[:, 0], 0)
        corners[:, 1] = padding + np.minimum(corners[:, 1], to)
        return Annotations((corners / to).reshape(-1, 4), found.sizes, found.ids)

    def extrapolated(self, found: Annotations, width: int, height: int, window: Box) -> Annotations:
        """FIT_SMALL_SIZE with height_scale and width_scale: boxes relative to that size instead of to the window that was cut out.

        width, height: of the image before the policy. window: what was cut out after it.
        Raises CaffeError when that is smaller than the scales.
        """
        scale = np.array([self.param.width_scale, self.param.height_scale], np.float32)
        if self.param.resize_mode != R.FIT_SMALL_SIZE or not scale.all():
            return found
        size = np.array([self.param.width, self.param.height], np.float32)
        aspect = np.float32(width) / np.float32(height)
        if aspect < size[0] / size[1]:
            size[1] = size[0] / aspect
        else:
            size[0] = size[1] * aspect
        view = np.array(window, np.float32)
        cut = size * (view[2:] - view[:2])
        if (cut < scale).any():
            raise CaffeError(f"resize_param: width_scale and height_scale must not exceed the {cut[0]:g} x {cut[1]:g} pixels cut out")
        return Annotations(found.boxes * np.tile(cut, 2) / np.tile(scale, 2), found.sizes, found.ids)
