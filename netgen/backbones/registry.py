"""A backbone and a neck on top of it, and which backbones may take each other's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from netgen.backbones.mobilenet_v1 import mobilenet_v1
from netgen.backbones.resnet101 import resnet101
from netgen.backbones.vgg16 import vgg16
from netgen.data_layer import VGG_PIXELS, Pixels
from netgen.graph import Blob, Net
from netgen.heads.multibox import Source
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

Maps = dict[str, Blob]


@dataclass(frozen=True)
class Backbone:
    """maps: the names of its last maps of stride 4, 8 and 16. weights: what it starts from, trained on ImageNet, on images
    whose values are made of `pixels`."""

    name: str
    build: Callable[[Net, Blob], Maps]
    maps: tuple[str, str, str]
    weights: str
    pixels: Pixels = VGG_PIXELS


VGG16 = Backbone("vgg16", vgg16, ("conv3_3", "conv4_3", "fc7"), "models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel")
RESNET101 = Backbone("resnet101", resnet101, ("res2c", "res3b3", "res5c"), "models/ResNet-101-model.caffemodel")
MOBILENET = Backbone(
    "mobilenet",
    partial(mobilenet_v1, layers=11),
    ("conv3", "conv5", "conv11"),
    "models/mobilenet.caffemodel",
    Pixels((127.5, 127.5, 127.5), 0.007843),
)
BACKBONES: Mapping[str, Backbone] = MappingProxyType({b.name: b for b in (VGG16, RESNET101, MOBILENET)})


@dataclass(frozen=True)
class Stack:
    """A detector's features: `neck` takes the net, the backbone's maps by name, and the image, and returns the maps for the heads.

    home: the backbone whose names the neck knows its maps by.
    """

    neck: Callable[[Net, Maps, Blob], list[Source]]
    home: Backbone = VGG16
    backbone: Backbone | None = None  # in its place

    def __call__(self, net: Net, image: Blob) -> list[Source]:
        if self.backbone is None:
            return self.neck(net, self.home.build(net, image), image)
        maps = self.backbone.build(net, image)
        return self.neck(net, maps | {there: maps[here] for here, there in zip(self.backbone.maps, self.home.maps, strict=True)}, image)

    def on(self, name: str) -> Stack:
        """The same neck on another backbone, whose maps of the same strides it takes. Raises CaffeError for one that there is not."""
        if name not in BACKBONES:
            raise CaffeError(f"no backbone '{name}'{suggest(name, BACKBONES)}; there are {', '.join(BACKBONES)}")
        return replace(self, backbone=None if name == self.home.name else BACKBONES[name])
