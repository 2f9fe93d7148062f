"""Backbones by name, and features: a backbone with a neck on top.

A backbone is one file of this folder, which registers itself with `register`; no list names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import netgen.backbones as package
from netgen.data_layer import VGG_PIXELS, Pixels
from netgen.graph import Blob, Net
from netgen.run import Run
from netgen.sources import Source
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

Maps = dict[str, Blob]  # by layer name


@dataclass(frozen=True)
class Backbone:
    """A net that was trained on ImageNet, without its classifier.

    name: as `--backbone` takes it.
    year: of its paper.
    build: image → maps by layer name.
    maps: stride in pixels → name of the last map of that stride.
    weights: the file that it starts from.
    pixels: what it was trained on.
    """

    name: str
    year: int
    build: Callable[[Net, Blob], Maps]
    maps: Mapping[int, str]
    weights: str
    pixels: Pixels = VGG_PIXELS

    def replaces(self, other: Backbone) -> bool:
        """Whether it has a map for every one that `other` has."""
        return self.maps.keys() >= other.maps.keys()


_REGISTERED: dict[str, Backbone] = {}


def register(backbone: Backbone) -> Backbone:
    """Register a backbone under its name, and return it.

    Raises CaffeError for a name that is taken.
    """
    if backbone.name in _REGISTERED:
        raise CaffeError(f"backbone '{backbone.name}' is registered twice")
    _REGISTERED[backbone.name] = backbone
    return backbone


@cache
def backbones() -> Mapping[str, Backbone]:
    """Return every backbone by name, the oldest first."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"netgen.backbones.{module.name}")
    by_age = sorted(_REGISTERED.values(), key=lambda backbone: (backbone.year, backbone.name))
    return {backbone.name: backbone for backbone in by_age}


@dataclass(frozen=True)
class NeckOnBackbone:
    """A detector's features: a neck over the maps of a backbone.

    neck: takes the net, the backbone's maps by name, and the image; returns the source maps.
    backbone: the one whose names the neck knows its maps by.
    replacement: another one in its place.
    """

    neck: Callable[[Net, Maps, Blob], list[Source]]
    backbone: Backbone
    replacement: Backbone | None = None

    def __call__(self, net: Net, image: Blob) -> list[Source]:
        """Add backbone and neck to `net` and return the source maps."""
        built = self.replacement or self.backbone
        maps = built.build(net, image)
        if self.replacement is not None:
            maps = maps | self._renamed(maps, self.replacement)
        return self.neck(net, maps, image)

    def _renamed(self, maps: Maps, replacement: Backbone) -> Maps:
        """The replacement's maps under the names that the neck knows for the same strides."""
        strides = self.backbone.maps.items()
        return {name: maps[replacement.maps[stride]] for stride, name in strides}

    def on(self, name: str) -> NeckOnBackbone:
        """Return the same neck on another backbone, whose maps of the same strides it takes.

        Raises CaffeError with the nearest name where there is no such backbone.
        """
        choices = interchangeable(self.backbone)
        if name not in choices:
            known = ", ".join(choices)
            raise CaffeError(f"no backbone '{name}'{suggest(name, choices)}; there are {known}")
        if name == self.backbone.name:
            return replace(self, replacement=None)
        return replace(self, replacement=choices[name])


def interchangeable(backbone: Backbone) -> Mapping[str, Backbone]:
    """Return the backbones that can take the place of one, itself included."""
    found = backbones()
    return {name: other for name, other in found.items() if other.replaces(backbone)}


def on_backbone(run: Run, name: str) -> Run:
    """Return the same neck and heads on another backbone, started from that one's weights.

    Raises CaffeError where there is no such backbone, or the neck is made for its own alone.
    """
    recipe = run.recipe
    if not isinstance(recipe.features, NeckOnBackbone):
        known = ", ".join(_with_all_strides())
        raise CaffeError(f"{run.id}: this neck is made for its own backbone; others take {known}")
    features = recipe.features.on(name)
    if features == recipe.features:
        return run
    backbone = backbones()[name]
    other = replace(
        recipe,
        features=features,
        name=f"{recipe.name}_{name}",
        weights=backbone.weights if run.weights else "",
        starts_from=None,
        needs_weights=False,
        pixels=backbone.pixels,
    )
    return replace(run, recipe=other)


def _with_all_strides() -> list[str]:
    """The backbones that have a map of every stride that some backbone has."""
    found = backbones().values()
    strides = set().union(*(backbone.maps for backbone in found))
    return [backbone.name for backbone in found if backbone.maps.keys() == strides]
