"""SSD's transformation of one image.

The steps: distort, expand, sample a window, resize, noise, crop, mirror, mean, scale. Order
and distributions are the fork's, but for these differences:

The fork encodes the image as JPEG again after each of distort, expand and crop, and so reads its
own compression artefacts. With `jpeg_recoding` a Transformer does the same; without it, steps pass
pixels on unchanged. In TEST the empty batch_sampler of the released test nets counts as a crop, so
published scores include the encoding: a small detector has an mAP of 0.1408 with it and of 0.1457
without it, in the fork and here.

Without the encoding, this module cuts the window out first, and distorts only the part of the image
in it. This changes nothing, since distortion works pixel by pixel and the geometry does not depend
on pixels; only OpenCV's HSV to BGR differs, by one grey level between its vectorised and its
scalar columns.

AREA scales an expanded image flipped where that saves work: fewer than one in 10,000 values differ,
by one grey level.

Raw (not encoded) images pass through the same steps and are never encoded; the fork does not
distort them and cannot resize them.

Source: weiliu89/caffe, branch ssd, src/caffe/data_transformer.cpp and
src/caffe/layers/annotated_data_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from netrun.data import distort, expand, noise
from netrun.data.boxes import Annotations, Box, mirrored, project
from netrun.data.datum import Sample, coded_as_jpeg
from netrun.data.distort import Distortion
from netrun.data.expand import Canvas, Rect
from netrun.data.resize import Resize
from netrun.data.sampler import BatchSamplers
from ssd_common.errors import CaffeError


class _View(NamedTuple):
    """The part of the image, or of the canvas around it, that the net sees.

    canvas: around the image, in its pixels; None where it is not expanded.
    window: what a sampler cut out, in pixels of the canvas or the image; None for all of it.
    cut: the part seen, in the image's pixels.
    found: the objects in it.
    """

    canvas: Rect | None
    window: Rect | None
    cut: Rect
    found: Annotations


class Transformer:
    """The transformation that transform_param and batch_samplers describe.

    It holds no random state, so any thread may call it.
    phase: pb.TRAIN crops (crop_size) at random, pb.TEST in the middle.
    mean: the contents of mean_file, (C, H, W) float32, or None.
    jpeg_recoding: whether to enencode images as JPEG again after each of distort, expand and
        crop, as the fork does.
    Raises CaffeError for parameters that the fork refuses.
    """

    def __init__(
        self,
        param: pb.TransformationParameter,
        samplers: Sequence[pb.BatchSampler],
        phase: int,
        mean: np.ndarray | None = None,
        *,
        jpeg_recoding: bool = False,
    ) -> None:
        self._param = param
        self._jpeg_recoding = jpeg_recoding
        self._phase = phase
        self._mean = mean
        _check(param, mean)
        self._samplers = BatchSamplers(samplers)
        self._emit: pb.EmitConstraint | None = None
        if param.HasField("emit_constraint"):
            self._emit = param.emit_constraint
        self.resize: Resize | None = None
        if param.HasField("resize_param"):
            self.resize = Resize(param.resize_param)
        self._crop = (param.crop_w, param.crop_h)
        if param.crop_size:
            self._crop = (param.crop_size, param.crop_size)
        self._canvas = Canvas(list(param.mean_value))
        self._scale = np.float32(param.scale)
        self._mean_value = np.array(param.mean_value or [0.0], np.float32)[:, None, None]

    @property
    def one_size(self) -> bool:
        """Whether all images get the same size, whatever their own."""
        if all(self._crop):
            return True
        if self.resize is None:
            return False
        return self.resize.param.resize_mode != pb.ResizeParameter.FIT_SMALL_SIZE

    @property
    def coding(self) -> str:
        """Say whether images are encoded as JPEG again, and whether that is as in the fork."""
        steps = []
        if self._param.HasField("distort_param"):
            steps.append("distort")
        if self._param.HasField("expand_param"):
            steps.append("expand")
        if self._samplers:
            steps.append("crop")
        if not steps:
            return (
                "images are not encoded as JPEG again, as in the fork (no distort, expand or crop)"
            )
        if self._jpeg_recoding:
            return f"images are encoded as JPEG again after {', '.join(steps)}, as in the fork"
        differs = f"images are not encoded as JPEG again; the fork does so after {', '.join(steps)}"
        if self._phase == pb.TRAIN:
            return f"{differs} (--jpeg-recoding does, too)"
        return differs

    @property
    def raw_coding(self) -> str:
        """Say of an LMDB of raw pixels what `coding` says, and what the fork cannot do with it."""
        steps = []
        if self._param.HasField("distort_param"):
            steps.append("distort")
        if self.resize:
            steps.append("resize")
        said = "images are raw pixels, never encoded as JPEG"
        if not steps:
            return f"{said}, as in the fork"
        return f"{said}; the fork cannot {' or '.join(steps)} them, netrun does"

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) that an image of this size gets without a window."""
        if self.resize:
            width, height = self.resize.size(width, height)
        return self._crop[0] or width, self._crop[1] or height

    def __call__(
        self,
        sample: Sample,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, Annotations]:
        """Transform an image, except for mean and scale, which `normalise` applies.

        Distortion overwrites the sample's image.
        Returns the (H, W, C) uint8 image and its objects.
        """
        param = self._param
        image = sample.image
        whole = Rect(0, 0, image.shape[1], image.shape[0])
        distortion = self._draw_distortion(image, rng)
        view = self._draw_view(whole, sample.annotations, rng)
        cut = view.cut
        found = view.found
        mirror = param.mirror and bool(rng.integers(2))
        interpolation = cv2.INTER_LINEAR
        if self.resize:
            interpolation = self.resize.interpolation(rng)

        if self._jpeg_recoding and sample.encoded:
            out = self._coded_view(image, distortion, view)
            if self.resize:
                out = self.resize(out, interpolation)
        else:
            out = self._plain_view(image, distortion, cut, interpolation)
        if param.HasField("noise_param"):
            out = noise.apply(out, param.noise_param, rng)
        out, kept = self._cropped(out, rng)
        if self.resize:
            found = self.resize.boxes(found, cut.width, cut.height)
        found = project(found, kept, self._emit)
        if mirror:
            out = cv2.flip(out, 1).reshape(out.shape)
            found = mirrored(found)
        if self.resize:
            found = self.resize.extrapolated(found, cut.width, cut.height, kept)
        return out, found

    def _draw_distortion(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
    ) -> Distortion | None:
        if not self._param.HasField("distort_param"):
            return None
        if image.shape[2] != 3:
            raise CaffeError("distort_param needs a colour image; set force_color")
        return distort.draw(self._param.distort_param, rng)

    def _draw_view(
        self,
        whole: Rect,
        found: Annotations,
        rng: np.random.Generator,
    ) -> _View:
        """Draw the part of the image, or of the canvas around it, that the net sees."""
        expanded = None
        canvas = whole
        if self._param.HasField("expand_param"):
            expand_param = self._param.expand_param
            expanded = expand.draw(expand_param, whole.width, whole.height, rng)
            if expanded:
                canvas = expanded
                found = project(found, _normalised(canvas, whole), self._emit)
        window = self._samplers.window(found, rng)
        if not window:
            return _View(expanded, None, canvas, found)
        inside = expand.pixels(window, canvas.width, canvas.height)
        left = canvas.left + inside.left
        top = canvas.top + inside.top
        cut = Rect(left, top, inside.width, inside.height)
        return _View(expanded, inside, cut, project(found, window, self._emit))

    def _plain_view(
        self,
        image: np.ndarray,
        distortion: Distortion | None,
        cut: Rect,
        interpolation: int,
    ) -> np.ndarray:
        """The part `cut`, distorted and resized, without JPEG between the steps."""
        seen = Rect(0, 0, image.shape[1], image.shape[0]).within(cut)
        pixels = seen.of(image)
        if distortion and pixels.size:
            pixels = distortion(pixels)
        if seen != cut:
            place = Rect(seen.left - cut.left, seen.top - cut.top, seen.width, seen.height)
            return self._on_canvas(pixels, place, (cut.width, cut.height), interpolation)
        if self.resize:
            return self.resize(pixels, interpolation)
        return pixels

    def _coded_view(
        self,
        image: np.ndarray,
        distortion: Distortion | None,
        view: _View,
    ) -> np.ndarray:
        """The part seen, distorted and not resized; each step's image is encoded as JPEG."""
        if distortion:
            image = self._coded(distortion(image))
        if view.canvas:
            size = (view.canvas.width, view.canvas.height)
            place = Rect(-view.canvas.left, -view.canvas.top, image.shape[1], image.shape[0])
            with self._canvas.window(size, image, place) as canvas:
                image = self._coded(canvas)
        if view.window:
            image = self._coded(view.window.of(image))
        return image

    def _coded(self, image: np.ndarray) -> np.ndarray:
        return coded_as_jpeg(image, self._param.force_color, self._param.force_gray)

    def _on_canvas(
        self,
        pixels: np.ndarray,
        place: Rect,
        size: tuple[int, int],
        interpolation: int,
    ) -> np.ndarray:
        """A canvas of `size` (width, height) with the pixels at `place`, resized."""
        flip = None
        if self.resize and pixels.size and self.resize.symmetric(interpolation, *size):
            place, flip = expand.turned(place, *size)
        with self._canvas.window(size, pixels, place, flip) as canvas:
            if self.resize is None:
                return canvas.copy()
            end = (place.left + place.width, place.top + place.height)
            return self.resize(canvas, interpolation, end, flip)

    def _cropped(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, Box]:
        """The part of the image inside crop_size, or crop_h and crop_w, and its window.

        crop_h or crop_w alone starts at the corner.
        """
        height, width = image.shape[:2]
        to_width = self._crop[0] or width
        to_height = self._crop[1] or height
        if to_width > width or to_height > height:
            raise CaffeError(
                f"transform_param: a crop of {to_width} x {to_height} is larger than the image, "
                f"{width} x {height} pixels"
            )
        top = 0
        left = 0
        if all(self._crop) and self._phase == pb.TRAIN:
            top = int(rng.integers(height - to_height + 1))
            left = int(rng.integers(width - to_width + 1))
        elif all(self._crop):
            top = (height - to_height) // 2
            left = (width - to_width) // 2
        kept = Rect(left, top, to_width, to_height)
        return kept.of(image), _normalised(kept, Rect(0, 0, width, height))

    def normalise(self, image: np.ndarray, out: np.ndarray) -> None:
        """Write (pixel - mean) * scale of an image into `out`.

        The mean is mean_file's or mean_value for a uint8 image, only mean_value for a float32 one.
        image: (H, W, C).
        out: (C, H, W) float32, contiguous.
        Raises CaffeError for a mean of another shape.
        """
        if self._mean is not None and image.dtype == np.uint8:
            mean = self._mean
            if mean.shape != out.shape:
                raise CaffeError(
                    f"transform_param: mean_file is {mean.shape} (channels, height, width), "
                    f"the data {out.shape}"
                )
        else:
            mean = self._mean_value
            if len(mean) not in (1, len(out)):
                wanted = "1 value"
                if len(out) > 1:
                    wanted += f" or {len(out)}, one per channel"
                raise CaffeError(f"transform_param: mean_value needs {wanted}, has {len(mean)}")
        # cv2.split and NumPy's transposed views are slower.
        planes = cv2.transpose(image.reshape(-1, image.shape[2]))
        np.subtract(planes.reshape(out.shape), mean, out=out)
        if self._scale != 1:
            np.multiply(out, self._scale, out=out)

    def restored(self, data: np.ndarray) -> np.ndarray:
        """Compute the image from which `normalise` made these data.

        data: (C, H, W) float32.
        Returns (H, W, C) uint8.
        """
        mean = self._mean_value
        if self._mean is not None:
            mean = self._mean
        levels = (data / self._scale + mean).round().clip(0, 255)
        return levels.astype(np.uint8).transpose(1, 2, 0)


def _check(param: pb.TransformationParameter, mean: np.ndarray | None) -> None:
    """Raise CaffeError for parameters that exclude each other or are out of range."""
    if mean is not None and param.mean_value:
        raise CaffeError("transform_param: mean_file and mean_value exclude each other")
    if param.force_color and param.force_gray:
        raise CaffeError("transform_param: force_color and force_gray exclude each other")
    if param.HasField("expand_param"):
        ratio = param.expand_param.max_expand_ratio
        if not ratio > 1:
            raise CaffeError(f"expand_param: max_expand_ratio must be above 1, is {ratio:g}")
        if mean is not None:
            raise CaffeError(
                "transform_param: expand_param needs mean_value: a mean_file is of one size, "
                "the expanded image of any"
            )
    distort.check(param.distort_param)
    noise.check(param.noise_param)


def _normalised(view: Rect, whole: Rect) -> Box:
    """A rectangle of pixels as a box, normalised to another rectangle that starts at the origin."""
    right = view.left + view.width
    bottom = view.top + view.height
    return (
        view.left / whole.width,
        view.top / whole.height,
        right / whole.width,
        bottom / whole.height,
    )
