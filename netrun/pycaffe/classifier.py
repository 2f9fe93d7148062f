"""pycaffe's Classifier: class probabilities of images, averaged over crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe_ir.caffe_ir_pb2 import TEST
from netrun.pycaffe import io
from netrun.pycaffe.net import Net


def transformer(net: Net, **settings: Any) -> io.Transformer:
    """Make a Transformer for a net's first input and H x W x K images.

    settings: the values of its set_* methods; None: not set.
    """
    name = net.inputs[0]
    made = io.Transformer({name: net.blobs[name].shape})
    made.set_transpose(name, (2, 0, 1))
    for setting, value in settings.items():
        if value is not None:
            getattr(made, f"set_{setting}")(name, value)
    return made


class Classifier(Net):
    """A net that classifies images.

    image_dims: height and width to resize images to before cropping; None: the input's.
    mean, input_scale, raw_scale, channel_swap: as io.Transformer takes them.
    """

    def __init__(  # noqa: PLR0917 (the order is pycaffe's)
        self,
        model_file: str,
        pretrained_file: str,
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = transformer(
            self,
            mean=mean,
            input_scale=input_scale,
            raw_scale=raw_scale,
            channel_swap=channel_swap,
        )
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = self.crop_dims.copy()
        if image_dims is not None:
            self.image_dims = np.array(image_dims)

    def predict(
        self,
        inputs: Sequence[np.ndarray],
        oversample: bool = True,
    ) -> np.ndarray:
        """Compute class probabilities of H x W x K images.

        oversample: average over ten crops of each image; False: take the centre.
        Returns (N, C).
        """
        images = np.array([io.resize_image(image, self.image_dims) for image in inputs])
        if oversample:
            found = self._scores(io.oversample(images, self.crop_dims))
            return found.reshape(len(found) // 10, 10, -1).mean(1)
        y, x = ((self.image_dims - self.crop_dims) / 2.0).astype(int)
        height, width = self.crop_dims
        return self._scores(images[:, y : y + height, x : x + width])

    def _scores(self, crops: np.ndarray) -> np.ndarray:
        """The net's first output for crops (M, h, w, K)."""
        name = self.inputs[0]
        inputs = np.array([self.transformer.preprocess(name, crop) for crop in crops])
        return self.forward_all(**{name: inputs})[self.outputs[0]]
