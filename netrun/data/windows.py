"""R-CNN's window files: boxes of images as foreground or background, cut out with some context (Girshick et al. 2014, appendix A)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.records import CorruptRecord
from netrun.data.boxes import Annotations
from netrun.data.datum import NO_OBJECTS, Sample, decode_image
from netrun.data.transform import Transformer
from ssd_common.errors import CaffeError
from ssd_common.files import read_bytes

_PICKS = 1 << 62  # the second words of Philox keys from here on choose windows


@dataclass(frozen=True)
class WindowSample(Sample):
    """window: x1, y1, x2, y2 of the box in the image, in pixels, both ends inside."""

    window: tuple[int, int, int, int] = (0, 0, 0, 0)


def _integers(words: Iterator[str], count: int) -> list[int]:
    """Take so many words as integers.

    Raises ValueError for a word that is none, StopIteration where words are missing: a list lets
    it through, a generator expression would make a RuntimeError of it.
    """
    return [int(next(words)) for _ in range(count)]


class WindowFile:
    """The windows of a file, background first. A batch holds fg_fraction of foreground, behind its background, drawn by the seed.

    Each image is `# index`, path, channels, height, width, a count, and so many rows `class overlap x1 y1 x2 y2`.
    Raises CaffeError, naming file and image, for another form, and where either kind is missing.
    """

    def __init__(self, param: pb.WindowDataParameter, seed: int) -> None:
        self.source, self._param, self._seed = param.source, param, seed
        self._images: list[str] = []
        background: list[tuple[int, int, list[int]]] = []
        foreground: list[tuple[int, int, list[int]]] = []
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
            raise CaffeError(f"{self.source}: image {index} is not '# index path channels height width count', then its windows") from None
        if not (background and foreground):
            kind = "background" if not background else "foreground"
            raise CaffeError(f"{self.source}: no window is {kind} by fg_threshold and bg_threshold")
        self._windows, self._background = background + foreground, len(background)

    def _read(self, words: Iterator[str], image: int, background: list, foreground: list) -> None:
        p = self._param
        _, _, count = _integers(words, 3)
        for _ in range(count):
            label = int(next(words))
            overlap = np.float32(next(words))
            corners = _integers(words, 4)
            if overlap >= p.fg_threshold:
                if label <= 0:
                    raise CaffeError(f"{self.source}: image {image} has a foreground window of class {label}; classes start at 1")
                foreground.append((image, label, corners))
            elif overlap < p.bg_threshold:
                background.append((image, 0, corners))

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def keys(self) -> list[bytes]:
        return [f"{self._images[image]} {corners}".encode("utf-8", "surrogateescape") for image, _, corners in self._windows]

    def order(self, index: int) -> int:
        """The window for a sample of the run."""
        p = self._param
        foreground = index % p.batch_size >= p.batch_size - int(np.float32(p.batch_size) * np.float32(p.fg_fraction))
        first, last = (self._background, len(self)) if foreground else (0, self._background)
        key = np.array([self._seed % (1 << 64), _PICKS + index], np.uint64)
        return int(np.random.Generator(np.random.Philox(key=key)).integers(first, last))

    def sample(self, record: int) -> WindowSample:
        image, label, (x1, y1, x2, y2) = self._windows[record]
        try:
            data = Path(self._images[image]).read_bytes()
        except OSError as error:
            raise CorruptRecord(error.strerror or str(error)) from None
        return WindowSample(decode_image(pb.Datum(encoded=True, data=data), True), NO_OBJECTS, label, window=(x1, y1, x2, y2))

    def close(self) -> None:
        """Nothing is held open."""


def _round(value: np.float32) -> int:
    """C's round: halves away from zero."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))


class WindowTransformer(Transformer):
    """A window, widened by context_pad and to a square if crop_mode says so, scaled to crop_size; zeros where the image does not reach."""

    def __init__(self, layer: pb.LayerParameter, phase: int, mean: np.ndarray | None) -> None:
        super().__init__(layer.transform_param, (), phase, mean)
        self._window, self._side = layer.window_data_param, layer.transform_param.crop_size
        if 2 * self._window.context_pad >= self._side:
            raise CaffeError(f"window_data_param: context_pad {self._window.context_pad} leaves nothing of crop_size {self._side}")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, Annotations]:
        assert isinstance(sample, WindowSample)
        mirror = self._param.mirror and bool(rng.integers(2))
        (x1, y1, x2, y2), (height, width), (left, top) = self._cut(sample, mirror)
        cut = sample.image[y1 : y2 + 1, x1 : x2 + 1]
        if not cut.size or min(x1, y1) < 0 or min(height, width) < 1:
            raise CaffeError(f"window {sample.window} does not lie in its image, {sample.image.shape[1]} x {sample.image.shape[0]} pixels")
        warped = cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR)
        if mirror:
            warped = cv2.flip(warped, 1)
        pixels = warped.astype(np.float32)
        if self._mean is not None:
            offset = (self._mean.shape[2] - self._side) // 2
            rows, columns = slice(offset + top, offset + top + height), slice(offset + left, offset + left + width)
            pixels -= self._mean[:, rows, columns].transpose(1, 2, 0)
        else:
            pixels -= np.array(self._param.mean_value or [0.0], np.float32)
        canvas = np.zeros((self._side, self._side, 3), np.float32)
        canvas[top : top + height, left : left + width] = pixels * np.float32(self._window.scale)
        return canvas, NO_OBJECTS

    def _cut(self, sample: WindowSample, mirror: bool) -> tuple[tuple[int, int, int, int], tuple[int, int], tuple[int, int]]:
        """What to cut out (both ends inside), its (height, width) once scaled, and its (left, top) on the canvas."""
        side, square = self._side, self._window.crop_mode == "square"
        x1, y1, x2, y2 = sample.window
        if not (self._window.context_pad or square):
            return sample.window, (side, side), (0, 0)
        f = np.float32
        context = f(side) / f(side - 2 * self._window.context_pad)
        half = [f(x2 - x1 + 1) / f(2), f(y2 - y1 + 1) / f(2)]
        centre = [f(x1) + half[0], f(y1) + half[1]]
        if square:
            half = [max(half)] * 2
        spans = []
        for middle, reach, size in zip(centre, half, sample.image.shape[1::-1], strict=True):
            low, high = _round(middle - reach * context), _round(middle + reach * context)
            before, behind = max(0, -low), max(0, high - size + 1)
            scale = f(side) / f(high - low + 1)
            low, high = low + before, high - behind
            scaled = _round(f(high - low + 1) * scale)
            spans.append((low, high, scaled, _round(f(before) * scale), _round(f(behind) * scale)))
        (x1, x2, width, left, right), (y1, y2, height, top, _) = spans
        left = right if mirror else left
        return (x1, y1, x2, y2), (min(height, side - top), min(width, side - left)), (left, top)

    def normalise(self, image: np.ndarray, out: np.ndarray) -> None:
        """All is done; only the axes change."""
        out[...] = image.transpose(2, 0, 1)
