"""Backbones by name, and features: a backbone with a neck on top.

Each backbone is one file of this folder that calls `register`; no list names the files.
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
from ssd_common.errors import CaffeError, UsageError
from ssd_common.suggest import suggest

Maps = dict[str, Blob]  # by layer name


@dataclass(frozen=True)
class Backbone:
    """A net that was trained on ImageNet, without its classifier.

    name: the value of `--backbone`.
    year: year of its paper.
    build: image → maps by layer name.
    maps: stride in pixels → name of the last map of that stride.
    weights: file of the weights that training starts from.
    pixels: how those weights' training images were normalised.
    """

    name: str
    year: int
    build: Callable[[Net, Blob], Maps]
    maps: Mapping[int, str]
    weights: str
    pixels: Pixels = VGG_PIXELS

    def replaces(self, other: Backbone) -> bool:
        """Return whether it has a map of every stride that `other` has."""
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

    neck: net, maps by name, image → source maps.
    backbone: the backbone whose names the neck asks for.
    replacement: another backbone in its place.
    own: backbones that the detector has in a form of its own, in place of the registered ones of
        their names.
    """

    neck: Callable[[Net, Maps, Blob], list[Source]]
    backbone: Backbone
    replacement: Backbone | None = None
    own: tuple[Backbone, ...] = ()

    def __call__(self, net: Net, image: Blob) -> list[Source]:
        """Add backbone and neck to `net` and return the source maps."""
        built = self.replacement or self.backbone
        maps = built.build(net, image)
        if self.replacement is not None:
            maps = maps | self._renamed(maps, self.replacement)
        return self.neck(net, maps, image)

    def _renamed(self, maps: Maps, replacement: Backbone) -> Maps:
        """Return the replacement's maps under the names that the neck asks for."""
        strides = self.backbone.maps.items()
        return {name: maps[replacement.maps[stride]] for stride, name in strides}

    def on(self, name: str) -> NeckOnBackbone:
        """Return the same neck on another backbone, over the maps of the same strides.

        Raises UsageError with the nearest name for an unknown backbone.
        """
        choices = interchangeable(self.backbone)
        choices = choices | {form.name: form for form in self.own if form.name in choices}
        if name not in choices:
            known = ", ".join(choices)
            near = suggest(name, choices)
            raise UsageError(f"no backbone '{name}'{near}; there are {known}")
        if name == self.backbone.name:
            return replace(self, replacement=None)
        return replace(self, replacement=choices[name])


def interchangeable(backbone: Backbone) -> dict[str, Backbone]:
    """Return the backbones that can replace a backbone, itself included."""
    found = backbones()
    return {name: other for name, other in found.items() if other.replaces(backbone)}


def on_backbone(run: Run, name: str) -> Run:
    """Return the same neck and heads on another backbone, which starts from its own weights.

    Raises CaffeError for an unknown backbone, and for a neck that fits its own backbone only.
    """
    recipe = run.recipe
    if not isinstance(recipe.features, NeckOnBackbone):
        known = ", ".join(with_all_strides())
        raise CaffeError(f"{run.id}: this neck is made for its own backbone; others take {known}")
    features = recipe.features.on(name)
    if features == recipe.features:
        return run
    backbone = backbones()[name]
    weights = ""
    if run.weights:
        weights = backbone.weights
    other = replace(
        recipe,
        features=features,
        name=f"{recipe.name}_{name}",
        weights=weights,
        starts_from=None,
        weights_from="",
        needs_weights=False,
        pixels=backbone.pixels,
    )
    return replace(run, recipe=other)


def with_all_strides() -> list[str]:
    """Return the names of the backbones with a map of every stride that any backbone has."""
    found = backbones().values()
    strides = set().union(*(backbone.maps for backbone in found))
    return [backbone.name for backbone in found if backbone.maps.keys() == strides]
