"""R-CNN's window files: boxes of images, as foreground or background, with some context.

Paper: Girshick et al. 2014, appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.records import CorruptRecord
from netrun.data.boxes import Annotations
from netrun.data.datum import NO_OBJECTS, Sample, decode_image
from netrun.data.transform import Transformer
from ssd_common.errors import CaffeError
from ssd_common.files import read_bytes, read_regular

# Philox keys with a second word of this or more choose windows.
_PICKS = 1 << 62

# An image's number, a class, and the box's x1, y1, x2, y2 in pixels.
Window = tuple[int, int, list[int]]


@dataclass(frozen=True)
class WindowSample(Sample):
    """A sample that shows one box of its image.

    window: x1, y1, x2, y2 of the box in pixels, both ends inside.
    """

    window: tuple[int, int, int, int] = (0, 0, 0, 0)


def _integers(words: Iterator[str], count: int) -> list[int]:
    """Read the next `count` words as integers.

    Raises ValueError for a word that is not an integer, StopIteration where words are missing: a
    list passes that on, a generator expression would turn it into a RuntimeError.
    """
    return [int(next(words)) for _ in range(count)]


class WindowFile:
    """The windows of a file, background first.

    Each image is `# index`, path, channels, height, width, a count, and that many rows `class
    overlap x1 y1 x2 y2`. The seed draws the windows of a batch: first background, then fg_fraction
    of foreground.
    Raises CaffeError, naming file and image, for a file of another form, and for one without
    foreground or background.
    """

    def __init__(self, param: pb.WindowDataParameter, seed: int) -> None:
        self.source = param.source
        self._param = param
        self._seed = seed
        self._images: list[str] = []
        background: list[Window] = []
        foreground: list[Window] = []
        words = iter(read_bytes(self.source).decode("utf-8", "surrogateescape").split())
        index = 0
        try:
            while next(words, None) is not None:
                index = len(self._images)
                if int(next(words)) != index:
                    raise ValueError
                self._images.append(param.root_folder + next(words))
                if int(next(words)) != 3:
                    raise CaffeError(f"{self.source}: image {index} has not 3 channels")
                self._read(words, index, background, foreground)
        except (ValueError, StopIteration):
            raise CaffeError(
                f"{self.source}: image {index} is not '# index path channels height width count', "
                "then its windows"
            ) from None
        for kind, windows in (("background", background), ("foreground", foreground)):
            if not windows:
                raise CaffeError(
                    f"{self.source}: no window is {kind} by fg_threshold and bg_threshold"
                )
        self._windows = background + foreground
        self._background = len(background)

    def _read(
        self,
        words: Iterator[str],
        image: int,
        background: list[Window],
        foreground: list[Window],
    ) -> None:
        """Sort an image's windows into background and foreground."""
        p = self._param
        _, _, count = _integers(words, 3)
        for _ in range(count):
            label = int(next(words))
            overlap = np.float32(next(words))
            corners = _integers(words, 4)
            if overlap >= p.fg_threshold:
                if label <= 0:
                    raise CaffeError(
                        f"{self.source}: image {image} has a foreground window "
                        f"of class {label}; classes start at 1"
                    )
                foreground.append((image, label, corners))
            elif overlap < p.bg_threshold:
                background.append((image, 0, corners))

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def keys(self) -> list[bytes]:
        """The windows' images and corners, as text."""
        texts = (f"{self._images[image]} {corners}" for image, _, corners in self._windows)
        return [text.encode("utf-8", "surrogateescape") for text in texts]

    def order(self, index: int) -> int:
        """Draw the window for a sample of the run."""
        p = self._param
        foregrounds = int(np.float32(p.batch_size) * np.float32(p.fg_fraction))
        first = 0
        last = self._background
        if index % p.batch_size >= p.batch_size - foregrounds:
            first = self._background
            last = len(self)
        key = np.array([self._seed % (1 << 64), _PICKS + index], np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        return int(rng.integers(first, last))

    def sample(self, record: int) -> WindowSample:
        """Read a window's whole image and its label.

        Raises CorruptRecord for an image that cannot be read.
        """
        image, label, (x1, y1, x2, y2) = self._windows[record]
        try:
            data = read_regular(self._images[image])
        except OSError as error:
            raise CorruptRecord(error.strerror or str(error)) from None
        except CaffeError as error:
            raise CorruptRecord(str(error)) from None
        pixels = decode_image(pb.Datum(encoded=True, data=data), True)
        return WindowSample(pixels, NO_OBJECTS, label, window=(x1, y1, x2, y2))

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _round(value: np.float32) -> int:
    """Round as C does: halves away from zero."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))


class _Span(NamedTuple):
    """One axis of a window.

    low, high: what to cut out of the image, both ends inside.
    length: the length of that part, once scaled.
    before, behind: the empty margins on the canvas.
    """

    low: int
    high: int
    length: int
    before: int
    behind: int


class _Cut(NamedTuple):
    """What to cut out of the image, and where to put it on the canvas.

    x1, y1, x2, y2: the part to cut out, in the image's pixels, both ends inside.
    width, height: the part's size, once scaled.
    left, top: the part's place on the canvas.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    width: int
    height: int
    left: int = 0
    top: int = 0


class WindowTransformer(Transformer):
    """Cuts out windows, with context, and scales them to crop_size.

    context_pad widens the window, and crop_mode may widen it to a square. The result is zero beyond
    the image.
    """

    def __init__(
        self,
        layer: pb.LayerParameter,
        phase: int,
        mean: np.ndarray | None,
    ) -> None:
        super().__init__(layer.transform_param, (), phase, mean)
        self._window = layer.window_data_param
        self._side = layer.transform_param.crop_size
        if 2 * self._window.context_pad >= self._side:
            raise CaffeError(
                f"window_data_param: context_pad {self._window.context_pad} "
                f"leaves nothing of crop_size {self._side}"
            )

    def __call__(
        self,
        sample: Sample,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, Annotations]:
        """Cut a window out, scale it, mirror it at random, and apply mean and scale.

        Returns the (H, W, 3) float32 image and no objects.
        """
        assert isinstance(sample, WindowSample)
        mirror = self._param.mirror and bool(rng.integers(2))
        cut = self._cut(sample, mirror)
        part = sample.image[cut.y1 : cut.y2 + 1, cut.x1 : cut.x2 + 1]
        if not part.size or min(cut.x1, cut.y1) < 0 or min(cut.height, cut.width) < 1:
            height, width = sample.image.shape[:2]
            raise CaffeError(
                f"window {sample.window} does not lie in its image, {width} x {height} pixels"
            )
        warped = cv2.resize(part, (cut.width, cut.height), interpolation=cv2.INTER_LINEAR)
        if mirror:
            warped = cv2.flip(warped, 1)
        pixels = warped.astype(np.float32)
        pixels -= self._mean_of(cut)
        canvas = np.zeros((self._side, self._side, 3), np.float32)
        rows = slice(cut.top, cut.top + cut.height)
        columns = slice(cut.left, cut.left + cut.width)
        canvas[rows, columns] = pixels * np.float32(self._window.scale)
        return canvas, NO_OBJECTS

    def _mean_of(self, cut: _Cut) -> np.ndarray:
        """The mean to subtract: mean_value, or the cut's part of mean_file's central square."""
        if self._mean is None:
            return np.array(self._param.mean_value or [0.0], np.float32)
        offset = (self._mean.shape[2] - self._side) // 2
        top = offset + cut.top
        left = offset + cut.left
        part = self._mean[:, top : top + cut.height, left : left + cut.width]
        return part.transpose(1, 2, 0)

    def _cut(self, sample: WindowSample, mirror: bool) -> _Cut:
        side = self._side
        square = self._window.crop_mode == "square"
        x1, y1, x2, y2 = sample.window
        if not (self._window.context_pad or square):
            return _Cut(x1, y1, x2, y2, side, side)
        f = np.float32
        half_width = f(x2 - x1 + 1) / f(2)
        half_height = f(y2 - y1 + 1) / f(2)
        centre_x = f(x1) + half_width
        centre_y = f(y1) + half_height
        if square:
            half_width = half_height = max(half_width, half_height)
        image_height, image_width = sample.image.shape[:2]
        across = self._span(centre_x, half_width, image_width)
        down = self._span(centre_y, half_height, image_height)
        left = across.before
        if mirror:
            left = across.behind
        return _Cut(
            x1=across.low,
            y1=down.low,
            x2=across.high,
            y2=down.high,
            width=min(across.length, side - left),
            height=min(down.length, side - down.before),
            left=left,
            top=down.before,
        )

    def _span(self, middle: np.float32, half: np.float32, size: int) -> _Span:
        """Widen a window by its context along one axis of an image of `size` pixels."""
        f = np.float32
        context = f(self._side) / f(self._side - 2 * self._window.context_pad)
        low = _round(middle - half * context)
        high = _round(middle + half * context)
        before = max(0, -low)
        behind = max(0, high - size + 1)
        scale = f(self._side) / f(high - low + 1)
        low += before
        high -= behind
        return _Span(
            low,
            high,
            length=_round(f(high - low + 1) * scale),
            before=_round(f(before) * scale),
            behind=_round(f(behind) * scale),
        )

    def normalise(self, image: np.ndarray, out: np.ndarray) -> None:
        """Move the axes to (C, H, W); the call has applied mean and scale already."""
        out[...] = image.transpose(2, 0, 1)
