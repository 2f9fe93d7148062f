"""SSD's data transformation of one image: distort, expand, sample a window, resize, noise, crop, mirror, mean, scale.

Source of the semantics: weiliu89/caffe, branch ssd, src/caffe/data_transformer.cpp and layers/annotated_data_layer.cpp: same order,
same distributions. One thing is not repeated: the fork codes the image as JPEG again after each of distort, expand and crop, and so
reads its own compression artefacts; here pixels pass from step to step as they are. (In TEST too: the empty batch_sampler of the
released test nets counts as a crop. A small detector had an mAP of 0.7076 in the fork, and 0.7135 here and in the fork without it.)
Since distortion works pixel by pixel and the geometry does not depend on pixels, the window is cut out first and only what it shows
is distorted, which changes nothing (but for OpenCV's HSV to BGR, whose vectorised and scalar columns differ by one grey level).
AREA scales an expanded image turned round where that spares work: one grey level in fewer than one of 10,000 values of many images.
Raw (not encoded) images take the same way; the fork does not distort those and cannot resize them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from netrun.data import distort, expand, noise
from netrun.data.boxes import Annotations, Box, mirrored, project
from netrun.data.datum import Sample
from netrun.data.expand import Canvas, Rect
from netrun.data.resize import Resize
from netrun.data.sampler import BatchSamplers
from ssd_common.errors import CaffeError


class Transformer:
    """The transformation that transform_param and batch_samplers ask for. Holds no random state: any thread may call it.

    phase: pb.TRAIN crops (crop_size) at random, pb.TEST in the middle. mean: what mean_file holds, (C, H, W) float32, or None.
    Raises CaffeError for parameters that the fork refuses.
    """

    def __init__(
        self, param: pb.TransformationParameter, samplers: Sequence[pb.BatchSampler], phase: int, mean: np.ndarray | None = None
    ) -> None:
        self._param, self._phase, self._mean = param, phase, mean
        if mean is not None and param.mean_value:
            raise CaffeError("transform_param: mean_file and mean_value exclude each other")
        if param.force_color and param.force_gray:
            raise CaffeError("transform_param: force_color and force_gray exclude each other")
        self._expand = param.expand_param if param.HasField("expand_param") else None
        if self._expand is not None and not self._expand.max_expand_ratio > 1:
            raise CaffeError(f"expand_param: max_expand_ratio must be above 1, is {self._expand.max_expand_ratio:g}")
        if self._expand is not None and mean is not None:
            raise CaffeError("transform_param: expand_param needs mean_value: a mean_file is of one size, the expanded image of any")
        distort.check(param.distort_param)
        noise.check(param.noise_param)
        self._emit = param.emit_constraint if param.HasField("emit_constraint") else None
        self._samplers = BatchSamplers(samplers)
        self.resize = Resize(param.resize_param) if param.HasField("resize_param") else None
        self._crop = (param.crop_size, param.crop_size) if param.crop_size else (param.crop_w, param.crop_h)
        self._canvas = Canvas(list(param.mean_value))
        self._scale = np.float32(param.scale)
        self._mean_value = np.array(param.mean_value or [0.0], np.float32)[:, None, None]

    @property
    def one_size(self) -> bool:
        """Whether all images come out at one size, whatever their own."""
        return all(self._crop) or (self.resize is not None and self.resize.param.resize_mode != pb.ResizeParameter.FIT_SMALL_SIZE)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of what comes out of an image of this size when no window is sampled."""
        if self.resize:
            width, height = self.resize.size(width, height)
        return self._crop[0] or width, self._crop[1] or height

    def __call__(self, sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, Annotations]:
        """The (H, W, C) uint8 image that the net will see, before mean and scale, and its objects. Distortion overwrites the sample's."""
        param, image, found = self._param, sample.image, sample.annotations
        whole = Rect(0, 0, image.shape[1], image.shape[0])
        distortion = None
        if param.HasField("distort_param"):
            if image.shape[2] != 3:
                raise CaffeError("distort_param needs a colour image; set force_color")
            distortion = distort.draw(param.distort_param, rng)
        canvas = expand.draw(self._expand, whole.width, whole.height, rng) if self._expand is not None else None
        if canvas:
            found = project(found, _seen(canvas, whole), self._emit)
        canvas = cut = canvas or whole
        window = self._samplers.window(found, rng)
        if window:
            inside = expand.pixels(window, canvas.width, canvas.height)
            cut = Rect(canvas.left + inside.left, canvas.top + inside.top, inside.width, inside.height)
            found = project(found, window, self._emit)
        mirror = param.mirror and bool(rng.integers(2))
        interpolation = self.resize.interpolation(rng) if self.resize else cv2.INTER_LINEAR

        seen = whole.within(cut)
        pixels = seen.of(image)
        if distortion and pixels.size:
            pixels = distortion(pixels)
        if seen == cut:
            out = self.resize(pixels, interpolation) if self.resize else pixels
        else:
            place = Rect(seen.left - cut.left, seen.top - cut.top, seen.width, seen.height)
            flip = None
            if self.resize and pixels.size and self.resize.symmetric(interpolation, cut.width, cut.height):
                place, flip = expand.turned(place, cut.width, cut.height)
            with self._canvas.window((cut.width, cut.height), pixels, place, flip) as canvas_pixels:
                end = (place.left + place.width, place.top + place.height)
                out = self.resize(canvas_pixels, interpolation, end, flip) if self.resize else canvas_pixels.copy()
        if param.HasField("noise_param"):
            out = noise.apply(out, param.noise_param, rng)
        out, kept = self._cropped(out, rng)
        if self.resize:
            found = self.resize.boxes(found, cut.width, cut.height)
        found = project(found, kept, self._emit)
        if mirror:
            out, found = cv2.flip(out, 1).reshape(out.shape), mirrored(found)
        if self.resize:
            found = self.resize.extrapolated(found, cut.width, cut.height, kept)
        return out, found

    def _cropped(self, image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Box]:
        """The part of the image that crop_size, or crop_h and crop_w, leave, and its window. One of the two alone starts at the corner."""
        height, width = image.shape[:2]
        to_width, to_height = self._crop[0] or width, self._crop[1] or height
        if to_width > width or to_height > height:
            raise CaffeError(f"transform_param: a crop of {to_width} x {to_height} is larger than the image, {width} x {height} pixels")
        top = left = 0
        if all(self._crop) and self._phase == pb.TRAIN:
            top, left = int(rng.integers(height - to_height + 1)), int(rng.integers(width - to_width + 1))
        elif all(self._crop):
            top, left = (height - to_height) // 2, (width - to_width) // 2
        kept = Rect(left, top, to_width, to_height)
        return kept.of(image), _seen(kept, Rect(0, 0, width, height))

    def normalise(self, image: np.ndarray, out: np.ndarray) -> None:
        """Write (pixel - mean) * scale of an (H, W, C) image into `out`, (C, H, W) float32 and contiguous.

        A uint8 image has the mean of mean_file taken off, or mean_value; a float32 one, mean_value only.
        """
        if self._mean is not None and image.dtype == np.uint8:
            mean = self._mean
            if mean.shape != out.shape:
                raise CaffeError(f"transform_param: mean_file is {mean.shape} (channels, height, width), the data {out.shape}")
        else:
            mean = self._mean_value
            if len(mean) not in (1, len(out)):
                raise CaffeError(f"transform_param: mean_value needs 1 value or {len(out)}, one per channel, has {len(mean)}")
        planes = cv2.transpose(image.reshape(-1, image.shape[2]))  # cv2.split and NumPy's transposed views are slower
        np.subtract(planes.reshape(out.shape), mean, out=out)
        if self._scale != 1:
            np.multiply(out, self._scale, out=out)

    def restored(self, data: np.ndarray) -> np.ndarray:
        """The (H, W, C) uint8 image of which `normalise` made these data, (C, H, W) float32."""
        mean = self._mean_value if self._mean is None else self._mean
        return (data / self._scale + mean).round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def _seen(view: Rect, whole: Rect) -> Box:
    """The box of one rectangle of pixels, normalised to another that starts at the origin."""
    right, bottom = view.left + view.width, view.top + view.height
    return view.left / whole.width, view.top / whole.height, right / whole.width, bottom / whole.height
