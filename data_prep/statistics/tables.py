"""Statistics in tables: classes, objects per image, sizes, aspect ratios, prior boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from data_prep.statistics import clusters
from data_prep.statistics.object_table import ObjectTable
from data_prep.statistics.prior_coverage import MATCHED, Cover, NetPriors, at_input, cover
from ssd_common.tables import aligned

SIDES = (0, 8, 16, 32, 64, 128, 256)  # √area in pixels where a bin begins
ASPECTS = (0, 1 / 3, 1 / 2, 1 / 1.5, 1, 1.5, 2, 3)  # width/height where a bin begins
ASPECT_NAMES = (
    "below 1:3",
    "1:3 to 1:2",
    "1:2 to 1:1.5",
    "1:1.5 to 1:1",
    "1:1 to 1.5:1",
    "1.5:1 to 2:1",
    "2:1 to 3:1",
    "above 3:1",
)
# √area in pixels of the image, as COCO's metrics have it.
COCO_SIZES: Mapping[str, tuple[float, float]] = {
    "small": (0, 32),
    "medium": (32, 96),
    "large": (96, np.inf),
}
PER_IMAGE = (0, 1, 2, 3, 5, 10, 20, 50, 100, 1 << 62)  # objects per image where a bin begins
THRESHOLDS = (0.5, 0.6, 0.7)
SAMPLE = 100_000  # objects that are held against prior boxes, drawn at random where there are more

Row = Sequence[str | int | float]


class Covered(NamedTuple):
    """How a net covers objects.

    tables: by size and by map
    cover: the overlaps
    at_input: (n,) √area in pixels of the net's input
    in_image: (n,) √area in pixels of the image
    """

    net: NetPriors
    tables: list[Table]
    cover: Cover
    at_input: np.ndarray
    in_image: np.ndarray


class Table(NamedTuple):
    """A heading, the names of the columns (the first is that of the rows), and the rows."""

    title: str
    columns: Sequence[str]
    rows: list[Row]

    def __str__(self) -> str:
        cells = [list(self.columns)]
        cells += [list(map(_cell, row)) for row in self.rows]
        return "\n".join([self.title, *(f"  {line}" for line in aligned(cells))])


def _cell(value: str | float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _range(low: int, high: int) -> str:
    """A range of whole numbers, high not among them."""
    if high == low + 1:
        return str(low)
    return f"{low}-{high - 1}" if high < PER_IMAGE[-1] else f"{low} and more"


def side_bins() -> list[tuple[str, float, float]]:
    """Name, lower and upper bound of each range of √area."""
    ends = [*SIDES[1:], np.inf]
    return [(_sides_range(low, high), low, high) for low, high in zip(SIDES, ends, strict=True)]


def _sides_range(low: float, high: float) -> str:
    """A range of sides in words."""
    return f"{low}-{high}" if np.isfinite(high) else f"{low} and more"


def summary(objects: ObjectTable) -> str:
    """Images, objects and classes in one line."""
    per_image = objects_per_image(objects)
    empty = int((per_image == 0).sum())
    classes = len(np.unique(objects.label))
    return (
        f"{len(objects.images)} images, {len(objects)} objects of {classes} classes;"
        f" {per_image.mean():.1f} objects per image, {per_image.max()} at most,"
        f" {empty} images without{left_out(objects)}"
    )


def left_out(objects: ObjectTable) -> str:
    """How many images are not counted; "" for none."""
    if not objects.unread:
        return ""
    which = "that cannot be read, or their annotations (data_prep check says why)"
    return f"; {objects.unread} left out {which}"


def objects_per_image(objects: ObjectTable) -> np.ndarray:
    """(m,) number of objects of every image."""
    return np.bincount(objects.image, minlength=len(objects.images))


def tables(objects: ObjectTable) -> list[Table]:
    """Everything about objects without a net: classes, objects per image, sizes, shapes, clusters.

    objects: at least one
    """
    return [
        _classes(objects),
        _per_image(objects),
        _sizes(objects),
        _shapes(objects),
        _clusters(objects),
    ]


def _classes(objects: ObjectTable) -> Table:
    roots = np.sqrt(objects.pixels.prod(1))
    counts = np.bincount(objects.label, minlength=len(objects.names))
    rows: list[Row] = []
    for i in np.argsort(-counts, kind="stable"):
        if not counts[i]:
            continue
        own = objects.label == i
        images = len(np.unique(objects.image[own]))
        share = _percent(counts[i] / len(objects))
        rows.append((objects.names[i], int(counts[i]), share, images, float(np.median(roots[own]))))
    columns = ("class", "objects", "share", "images", "median √area")
    return Table("classes (√area in pixels of the image)", columns, rows)


def _per_image(objects: ObjectTable) -> Table:
    per_image = objects_per_image(objects)
    rows: list[Row] = []
    for low, high in pairwise(PER_IMAGE):
        if count := int(((per_image >= low) & (per_image < high)).sum()):
            rows.append((_range(low, high), count, _percent(count / len(per_image))))
    return Table("objects per image", ("objects", "images", "share"), rows)


def _sizes(objects: ObjectTable) -> Table:
    roots = np.sqrt(objects.pixels.prod(1))
    bins = [(f"{name} ({_sides_range(*ends)})", *ends) for name, ends in COCO_SIZES.items()]
    rows: list[Row] = []
    for name, low, high in [*bins, *side_bins()]:
        count = int(((roots >= low) & (roots < high)).sum())
        rows.append((name, count, _percent(count / len(roots))))
    return Table("size: √area in pixels of the image", ("√area", "objects", "share"), rows)


def _shapes(objects: ObjectTable) -> Table:
    wide, high = objects.pixels.T
    unknown = np.full(len(wide), np.nan)
    aspect = np.divide(wide, high, out=unknown, where=(wide > 0) & (high > 0))
    found = np.digitize(aspect[np.isfinite(aspect)], ASPECTS) - 1
    rows: list[Row] = []
    for i, name in enumerate(ASPECT_NAMES):
        rows.append((name, int((found == i).sum()), _percent((found == i).mean())))
    return Table("shape: width to height in the image", ("ratio", "objects", "share"), rows)


def _clusters(objects: ObjectTable) -> Table:
    rows: list[Row] = []
    for i, c in enumerate(clusters.table(objects.sides), 1):
        rows.append((str(i), _percent(c.share), c.width, c.height, c.width / c.height, c.ratio))
    title = (
        "clusters by √area, in the image warped to a square (DSSD, Table 1);"
        " width and height in % of its side"
    )
    columns = ("cluster", "share", "width", "height", "W/H", "max(W/H, H/W)")
    return Table(title, columns, rows)


def advice(objects: ObjectTable) -> str:
    """Aspect ratios to give prior boxes, beside what the usual ones reach."""
    ours, sides = clusters.ratios(objects.sides), objects.sides[(objects.sides > 0).all(1)]
    if not len(sides):
        return "no object has an area"
    usual = "; ".join(
        f"{', '.join(map(str, r))} → {clusters.fit(sides, r):.3f}"
        for r in ((2,), (2, 3), (1.6, 2, 3))
    )
    mine = ", ".join(f"{r:.1f}" for r in ours.values) or "none beside the square"
    return (
        f"aspect ratios to take: {mine} (mean overlap of the best shape {ours.fit:.3f};"
        f" with SSD's and DSSD's {usual})"
    )


def covered(objects: ObjectTable, net: NetPriors) -> Covered:
    """How a net covers the objects, or a sample of very many, the same for each net."""
    chosen = np.arange(len(objects))
    if len(objects) > SAMPLE:
        chosen = np.sort(np.random.default_rng(0).choice(len(objects), SAMPLE, replace=False))
    corners = at_input(objects.corners[chosen], objects.images[objects.image[chosen]], net)
    found = cover(corners, net)
    at_net = np.sqrt(
        (np.maximum(corners[:, 2:] - corners[:, :2], 0) * [net.width, net.height]).prod(1)
    )
    in_image = np.sqrt(objects.pixels[chosen].prod(1))
    by_size = _by_size(net, found, at_net, in_image, len(objects))
    return Covered(net, [by_size, _by_map(net, found)], found, at_net, in_image)


def _by_size(
    net: NetPriors, found: Cover, at_net: np.ndarray, in_image: np.ndarray, total: int
) -> Table:
    """How objects are covered by their size, in their images and at the net's input."""
    groups = [("all", np.ones(len(at_net), bool))]
    for name, (low, high) in COCO_SIZES.items():
        groups.append((f"COCO's {name}", (in_image >= low) & (in_image < high)))
    for name, low, high in side_bins():
        groups.append((name, (at_net >= low) & (at_net < high)))
    rows: list[Row] = []
    for name, chosen in groups:
        if not chosen.any():
            continue
        best = found.best[chosen]
        shares = [_percent((best >= threshold).mean()) for threshold in THRESHOLDS]
        matched = float(found.matched[chosen].mean())
        rows.append((name, int(chosen.sum()), float(best.mean()), *shares, matched))
    of = f" of {total}, drawn at random" if len(at_net) < total else ""
    title = (
        f"{len(net.boxes)} prior boxes of {net.name} over {len(at_net)} objects{of};"
        f" √area in pixels of the input, {net.width}x{net.height}"
    )
    limits = [f">= {threshold}" for threshold in THRESHOLDS]
    columns = ("objects", "number", "best IoU", *limits, f"priors >= {MATCHED}")
    return Table(title, columns, rows)


def _by_map(net: NetPriors, found: Cover) -> Table:
    """Which map has the best prior box of how many objects."""
    rows: list[Row] = []
    for i, (name, priors) in enumerate(net.maps.items()):
        count = int((found.map == i).sum())
        share = _percent(count / max(len(found.map), 1))
        rows.append((name, len(priors), _sides_of(priors, net), count, share))
    columns = ("layer", "priors", "sides in pixels", "objects", "share")
    return Table("which map has an object's best prior box", columns, rows)


def _sides_of(priors: np.ndarray, net: NetPriors) -> str:
    """The smallest and largest √area of a map's prior boxes."""
    roots = np.sqrt(((priors[:, 2:] - priors[:, :2]) * [net.width, net.height]).prod(1))
    return f"{roots.min():.0f}-{roots.max():.0f}"
