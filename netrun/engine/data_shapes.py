"""Finds shapes of data layers' tops that the prototxt and the rule leave to the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Shape, facts
from netrun.layers import Context, create
from netrun.layers.hdf5 import HDF5Data
from netrun.layers.image_source import ImageSource
from ssd_common.errors import UnknownShape

TYPES = (
    "AnnotatedData",
    "Data",
    "HDF5Data",
    "ImageData",
    "VideoData",
)


class DataShapes:
    """Finds the facts of each data layer for `walk`, once, from the first record if necessary.

    A corrupt first record does not stop it, even in a strict run. The first forward then stops a
    strict run, or logs which record takes the corrupt one's place.
    """

    def __init__(self, context: Context, given: Mapping[str, Shape]) -> None:
        """given: shapes that the caller insists on, by top."""
        options = replace(context.options, strict=False)
        self._context = replace(context, options=options)
        self._given = given
        self._found: dict[str, Facts] = {}

    def __call__(self, layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
        """The facts of one data layer.

        Raises LayerError where Caffe would refuse the layer, CaffeError where its data cannot be
        read.
        """
        if layer.name not in self._found:
            self._found[layer.name] = self._facts(layer, bottoms)
        return self._found[layer.name]

    def _facts(self, layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
        if layer.top and self._given.keys() >= set(layer.top):
            return Facts([tuple(self._given[top]) for top in layer.top])
        with suppress(UnknownShape):
            ruled = facts(layer, bottoms)
            if layer.type != "Data":  # only its records say how many channels it has
                return ruled
        made = create(layer, Facts([]), self._context)
        assert isinstance(made, (ImageSource, HDF5Data))
        try:
            return Facts(made.shapes())
        finally:
            made.close()
