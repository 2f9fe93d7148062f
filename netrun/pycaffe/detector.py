"""pycaffe's Detector: detects as R-CNN does, by a classifier over windows of an image.

SSD nets need only Net.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from caffe_ir.caffe_ir_pb2 import TEST
from netrun.pycaffe import io
from netrun.pycaffe.classifier import transformer
from netrun.pycaffe.net import Net
from ssd_common.errors import CaffeError


class Detector(Net):
    """A net that scores windows.

    mean, input_scale, raw_scale, channel_swap: as io.Transformer takes them.
    context_pad: pixels of the net's input that show a window's surroundings (R-CNN: 16).
    """

    def __init__(  # noqa: PLR0917 (the order is pycaffe's)
        self,
        model_file: str,
        pretrained_file: str,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = transformer(
            self,
            mean=mean,
            input_scale=input_scale,
            raw_scale=raw_scale,
            channel_swap=channel_swap,
        )
        self.context_pad = context_pad
        channels, height, width = self.blobs[self.inputs[0]].shape[1:]
        self.crop_dims = np.array([height, width, channels])
        self.crop_mean = self._mean_image()

    def _mean_image(self) -> np.ndarray:
        """The mean as an image before preprocessing, H x W x K; it fills the area beyond images."""
        name = self.inputs[0]
        t = self.transformer
        mean = t.mean.get(name, np.zeros(1, np.float32))
        mean = np.broadcast_to(mean, self.blobs[name].shape[1:])
        if name in t.channel_swap:
            mean = mean[np.argsort(t.channel_swap[name])]
        image = mean.transpose(1, 2, 0).astype(np.float32)
        return image / t.raw_scale.get(name, 1)

    def detect_windows(
        self,
        images_windows: Iterable[tuple[str, Sequence[Any]]],
    ) -> list[dict[str, Any]]:
        """Score windows of image files.

        images_windows: for each file, its name and windows (ymin, xmin, ymax, xmax in pixels).
        Returns a list of dicts with filename, window and prediction.
        """
        named: list[tuple[str, np.ndarray]] = []
        for name, windows in images_windows:
            named += [(name, np.asarray(window)) for window in windows]
        names = dict.fromkeys(name for name, _ in named)
        images = {name: io.load_image(name) for name in names}
        blob = self.inputs[0]
        crops = (self.crop(images[name], window) for name, window in named)
        inputs = np.array([self.transformer.preprocess(blob, crop) for crop in crops])
        found = self.forward_all(**{blob: inputs})[self.outputs[0]]
        return [
            {"window": window, "prediction": prediction, "filename": name}
            for (name, window), prediction in zip(named, found, strict=True)
        ]

    def detect_selective_search(self, image_fnames: Sequence[str]) -> list[dict[str, Any]]:
        """Refuse, since pycaffe calls MATLAB here.

        Raises CaffeError.
        """
        raise CaffeError(
            "Detector: selective search needs MATLAB; "
            "find windows otherwise and give them to detect_windows"
        )

    def crop(self, im: np.ndarray, window: np.ndarray) -> np.ndarray:
        """Cut a window out of an image.

        With context_pad, the result has the size of the net's input and shows the window's
        surroundings, with the mean beyond the image's border.
        """
        if not self.context_pad:
            y0, x0, y1, x1 = (int(v) for v in window)
            return im[y0:y1, x0:x1]
        side = int(self.crop_dims[1])
        half = (window[2:] - window[:2] + 1) / 2.0
        centre = window[:2] + half
        half = half * side / (side - 2.0 * self.context_pad)
        box = np.round(np.concatenate([centre - half, centre + half]))
        scale = side / (box[2:] - box[:2] + 1)
        pad = np.round(np.maximum(0, -box[:2]) * scale).astype(int)
        box = np.clip(box, 0, np.tile(im.shape[:2], 2)).astype(int)
        scaled = np.round((box[2:] - box[:2] + 1) * scale).astype(int)
        size = np.minimum(scaled, side - pad)
        end = pad + size
        whole = self.crop_mean.copy()
        inside = io.resize_image(im[box[0] : box[2], box[1] : box[3]], size)
        whole[pad[0] : end[0], pad[1] : end[1]] = inside
        return whole
