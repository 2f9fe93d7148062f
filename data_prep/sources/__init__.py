"""The kinds of data sets that data_prep reads. A module of a kind has HELP, EPILOG, add_flags(parser) and open_source(args)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Protocol

from data_prep.sources import annoset, coco, csv, ilsvrc, kitti, voc, yolo
from data_prep.sources.source import Source


class Kind(Protocol):
    """A kind of data set on the command line. HELP: a few words; EPILOG: what its files are, with examples of building."""

    HELP: str
    EPILOG: str

    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        """Where the data set lies, and what is special about its kind: positional `folder` or the like, and flags."""

    def open_source(self, args: argparse.Namespace) -> Source:
        """The data set that the flags name. Raises CaffeError if it is not there."""
        ...


KINDS: Mapping[str, Kind] = {"voc": voc, "coco": coco, "csv": csv, "yolo": yolo, "kitti": kitti, "ilsvrc": ilsvrc, "annoset": annoset}
