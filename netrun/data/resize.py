"""Resize policies: WARP, FIT_SMALL_SIZE, FIT_LARGE_SIZE_AND_PAD, for pixels and for boxes.

Like the fork, this module ignores resize_param.prob.
Source: weiliu89/caffe, branch ssd, src/caffe/util/im_transforms.cpp and bbox_util.cpp.
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
_BORDER = {
    R.CONSTANT: cv2.BORDER_CONSTANT,
    R.MIRRORED: cv2.BORDER_REFLECT_101,
    R.REPEAT_NEAREST: cv2.BORDER_REPLICATE,
}


def scaled(
    image: np.ndarray,
    size: tuple[int, int],
    interpolation: int,
    end: tuple[int, int] | None = None,
) -> np.ndarray:
    """Scale an image to `size`, without the work on a margin of one colour.

    With `end`, fewer than one in 1,000 values of CUBIC and LANCZOS4 differ, by one grey level,
    because of OpenCV's own vector tails.
    size: (width, height).
    end: (x, y) from which on the image has the colour of its last pixel; None: no such margin.
    """
    if end is None:
        return cv2.resize(image, size, interpolation=interpolation)
    whole = (image.shape[1], image.shape[0])
    out = []
    used = []
    # The widest kernel, LANCZOS4, extends over 4 pixels of the source on each side.
    for length, to, edge in zip(whole, size, end, strict=True):
        changing = min(ceil((edge + 5) * to / length) + 1, to)
        out.append(changing)
        used.append(min(ceil(changing * length / to) + 8, length))
    part = cv2.resize(
        image[: used[1], : used[0]],
        None,
        fx=size[0] / whole[0],
        fy=size[1] / whole[1],
        interpolation=interpolation,
    )
    return cv2.copyMakeBorder(
        part[: out[1], : out[0]],
        0,
        size[1] - out[1],
        0,
        size[0] - out[0],
        cv2.BORDER_CONSTANT,
        value=image[-1, -1].tolist(),
    )


class Resize:
    """One resize policy.

    Raises CaffeError for a policy that the fork refuses.
    """

    def __init__(self, param: pb.ResizeParameter) -> None:
        if not (param.height and param.width):
            raise CaffeError("resize_param: height and width must be positive")
        self.param = param
        modes = [_INTERPOLATION[mode] for mode in param.interp_mode]
        self._modes = modes or [cv2.INTER_LINEAR]

    def interpolation(self, rng: np.random.Generator) -> int:
        """Draw one of the policy's interpolation modes, with equal chance, as OpenCV numbers it."""
        if len(self._modes) == 1:
            return self._modes[0]
        return self._modes[int(rng.integers(len(self._modes)))]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) that an image of this size is resized to."""
        if self.param.resize_mode == R.FIT_SMALL_SIZE:
            return self._inner(width, height)
        return self.param.width, self.param.height

    def _inner(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) of the scaled image, without padding."""
        to_width = self.param.width
        to_height = self.param.height
        if self.param.resize_mode == R.WARP:
            return to_width, to_height
        aspect = np.float32(width) / np.float32(height)
        target = np.float32(to_width) / np.float32(to_height)
        by_width = aspect < target
        if self.param.resize_mode == R.FIT_LARGE_SIZE_AND_PAD:
            by_width = aspect > target
        if by_width:
            return to_width, max(floor(np.float32(to_width) / aspect), 1)
        return max(floor(aspect * np.float32(to_height)), 1), to_height

    def symmetric(self, interpolation: int, width: int, height: int) -> bool:
        """Tell whether a flipped image of this size gives the flipped result.

        True for AREA, the costliest mode, where the image shrinks both ways. Fewer than one in
        10,000 values differ, by one grey level, because floats add up in another order.
        """
        to_width, to_height = self._inner(width, height)
        return interpolation == cv2.INTER_AREA and to_width <= width and to_height <= height

    def __call__(
        self,
        image: np.ndarray,
        interpolation: int,
        end: tuple[int, int] | None = None,
        flip: int | None = None,
    ) -> np.ndarray:
        """Resize and pad an (H, W, C) uint8 image, keeping its channels.

        end: (x, y) from which on the image has the colour of its last pixel; None: no margin flip:
        cv2.flip's code to undo the image's flip; None: the image is not flipped.
        Raises CaffeError for a pad_value with another number of channels.
        """
        inner = self._inner(image.shape[1], image.shape[0])
        out = scaled(image, inner, interpolation, end)
        if flip is not None:
            out = cv2.flip(out, flip)
        if self.param.resize_mode == R.FIT_LARGE_SIZE_AND_PAD:
            out = self._padded(out, inner, image.shape[2])
        if out.ndim == 2:
            return out[:, :, None]
        return out

    def _padded(
        self,
        image: np.ndarray,
        inner: tuple[int, int],
        channels: int,
    ) -> np.ndarray:
        """The image, of size `inner`, padded on all sides to the policy's size."""
        values = list(self.param.pad_value)
        if len(values) not in (0, 1, channels):
            raise CaffeError(
                f"resize_param: pad_value needs 1 value or {channels}, one per channel, "
                f"has {len(values)}"
            )
        if len(values) == 1:
            values = values * channels
        spare_x = self.param.width - inner[0]
        spare_y = self.param.height - inner[1]
        left = spare_x // 2
        top = spare_y // 2
        return cv2.copyMakeBorder(
            image,
            top,
            spare_y - top,
            left,
            spare_x - left,
            _BORDER[self.param.pad_mode],
            value=values or [0.0],
        )

    def boxes(
        self,
        found: Annotations,
        width: int,
        height: int,
    ) -> Annotations:
        """Move the objects of an image of this size to where the policy puts them.

        As in the fork, the padding's sides are not rounded to pixels.
        """
        to = np.array([self.param.width, self.param.height], np.float32)
        old = np.array([width, height], np.float32)
        aspect = old[0] / old[1]
        padding = np.zeros(2, np.float32)
        if self.param.resize_mode == R.FIT_LARGE_SIZE_AND_PAD:
            if aspect > to[0] / to[1]:
                padding[1] = (to[1] - to[0] / aspect) / 2
            else:
                padding[0] = (to[0] - aspect * to[1]) / 2
        elif self.param.resize_mode == R.FIT_SMALL_SIZE:
            if aspect < to[0] / to[1]:
                to[1] = to[0] / aspect
            else:
                to[0] = aspect * to[1]
        corners = found.boxes.reshape(-1, 2, 2) * old * (to - 2 * padding) / old
        corners[:, 0] = padding + np.maximum(corners[:, 0], 0)
        corners[:, 1] = padding + np.minimum(corners[:, 1], to)
        return Annotations((corners / to).reshape(-1, 4), found.sizes, found.ids)

    def extrapolated(
        self,
        found: Annotations,
        width: int,
        height: int,
        window: Box,
    ) -> Annotations:
        """Make boxes relative to height_scale and width_scale, not to the window cut out.

        Only FIT_SMALL_SIZE with both scales does so; other policies return the objects as
        they are.
        width, height: the image's size before the policy.
        window: the part cut out of the image after the policy.
        Raises CaffeError where the window is smaller than the scales.
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
            raise CaffeError(
                "resize_param: width_scale and height_scale must not exceed "
                f"the {cut[0]:g} x {cut[1]:g} pixels cut out"
            )
        boxes = found.boxes * np.tile(cut, 2) / np.tile(scale, 2)
        return Annotations(boxes, found.sizes, found.ids)
