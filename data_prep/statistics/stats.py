"""Gathers statistics of annotated data: its objects, and how nets' prior boxes cover them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.sources.source import Source
from data_prep.statistics import object_table, prior_coverage, tables
from data_prep.statistics.object_table import ObjectTable
from data_prep.statistics.prior_coverage import NetPriors
from data_prep.statistics.tables import Covered, Table
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike


class Statistics(NamedTuple):
    """Statistics of annotated data; str() gives all of them as text.

    objects: every object, as arrays.
    tables: classes, objects per image, sizes, shapes, clusters.
    advice: aspect ratios to give prior boxes.
    covered: how each net covers the objects.
    """

    objects: ObjectTable
    tables: list[Table]
    advice: str
    covered: list[Covered]

    def __str__(self) -> str:
        parts = [tables.summary(self.objects), *map(str, self.tables), self.advice]
        for covered in self.covered:
            parts += map(str, covered.tables)
        return "\n\n".join(parts)

    def draw(self, path: PathLike) -> None:
        """Draw everything as one picture.

        path: ends in .png, .svg or .pdf.
        Raises UsageError for other names.
        """
        # matplotlib takes half a second to import.
        from data_prep.statistics import figure  # noqa: PLC0415

        figure.write(Path(path), self.objects, self.covered)


def stats(
    data: Source | PathLike | Iterable[PathLike],
    *,
    image_list: str | None = None,
    labelmap: str | None = None,
    nets: Sequence[str | NetPriors] = (),
) -> Statistics:
    """Gather statistics of an LMDB, of several together, or of a data set that is not yet built.

    data: an annotated LMDB, several LMDBs, or a data set, see data_prep.open_source.
    image_list: the images of a data set to read; None for all.
    labelmap: names the classes of LMDBs; None for the labelmap.prototxt beside each.
    nets: zoo ids or prototxts, whose prior boxes are compared with the objects; or what
      prior_coverage.read_net has read of them.
    Raises CaffeError for data without an object, for damaged data, and for a net without prior
      boxes.
    """
    priors = [_priors(net) for net in nets]
    objects = _objects(data, image_list, labelmap)
    if not len(objects):
        unread = tables.left_out(objects)
        raise CaffeError(f"{len(objects.images)} images, and not one object{unread}")
    covered = [tables.covered(objects, net) for net in priors]
    return Statistics(objects, tables.tables(objects), tables.advice(objects), covered)


def _priors(net: str | NetPriors) -> NetPriors:
    if isinstance(net, str):
        return prior_coverage.read_net(net)
    return net


def _objects(
    data: Source | PathLike | Iterable[PathLike],
    image_list: str | None,
    labelmap: str | None,
) -> ObjectTable:
    if isinstance(data, (str, os.PathLike)):
        return object_table.of_lmdbs([Path(data)], labelmap)
    if isinstance(data, Iterable):
        return object_table.of_lmdbs([Path(path) for path in data], labelmap)
    if image_list:
        return object_table.of_source(data, data.read_list(image_list))
    return object_table.of_source(data, data.items())
