"""Makes tables of statistics: classes, objects per image, sizes, aspect ratios, prior boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from data_prep.statistics import clusters
from data_prep.statistics.object_table import ObjectTable
from data_prep.statistics.prior_coverage import MATCHED, Cover, NetPriors, at_input, cover
from data_prep.statistics.sample import sample
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
# Objects per image where a bin begins.
PER_IMAGE = (0, 1, 2, 3, 5, 10, 20, 50, 100, 1 << 62)
THRESHOLDS = (0.5, 0.6, 0.7)  # overlaps (IoU) in the table of coverage
USUAL_RATIOS = ((2,), (2, 3), (1.6, 2, 3))  # of SSD and DSSD
# Objects to compare with prior boxes; of more objects, this many are drawn at random.
SAMPLE = 100_000

Row = Sequence[str | int | float]


class Covered(NamedTuple):
    """How a net covers objects.

    net: its prior boxes.
    tables: coverage by size, and by map.
    cover: the overlaps.
    at_input: (n,) √area in pixels of the net's input.
    in_image: (n,) √area in pixels of the image.
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
    """Write a value of a table, fractions with two digits."""
    if isinstance(value, float):
        return f"{value:.2f}"
    return str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _range(low: int, high: int) -> str:
    """Write a range of whole numbers, without high itself."""
    if high == low + 1:
        return str(low)
    if high >= PER_IMAGE[-1]:
        return f"{low} and more"
    return f"{low}-{high - 1}"


def side_bins() -> list[tuple[str, float, float]]:
    """List name, lower and upper bound of each range of √area."""
    bounds = pairwise([*SIDES, np.inf])
    return [(_sides_range(low, high), low, high) for low, high in bounds]


def _sides_range(low: float, high: float) -> str:
    """Write a range of sides."""
    if np.isfinite(high):
        return f"{low}-{high}"
    return f"{low} and more"


def summary(objects: ObjectTable) -> str:
    """Summarise images, objects and classes in one line."""
    per_image = objects_per_image(objects)
    empty = int((per_image == 0).sum())
    classes = len(np.unique(objects.label))
    return (
        f"{len(objects.images)} images, {len(objects)} objects of {classes} classes;"
        f" {per_image.mean():.1f} objects per image, {per_image.max()} at most,"
        f" {empty} images without{left_out(objects)}"
    )


def left_out(objects: ObjectTable) -> str:
    """Say how many images are not counted; "" for none."""
    if not objects.unread:
        return ""
    return (
        f"; {objects.unread} left out that cannot be read,"
        " or their annotations (data_prep check says why)"
    )


def objects_per_image(objects: ObjectTable) -> np.ndarray:
    """Count the objects of every image (m,)."""
    return np.bincount(objects.image, minlength=len(objects.images))


def tables(objects: ObjectTable) -> list[Table]:
    """Make all tables that need no net: classes, objects per image, sizes, shapes, clusters.

    objects: at least one.
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
        median = float(np.median(roots[own]))
        name = objects.names[i]
        rows.append((name, int(counts[i]), share, images, median))
    columns = ("class", "objects", "share", "images", "median √area")
    return Table("classes (√area in pixels of the image)", columns, rows)


def _per_image(objects: ObjectTable) -> Table:
    per_image = objects_per_image(objects)
    rows: list[Row] = []
    for low, high in pairwise(PER_IMAGE):
        count = _count_between(per_image, low, high)
        if count:
            rows.append((_range(low, high), count, _percent(count / len(per_image))))
    columns = ("objects", "images", "share")
    return Table("objects per image", columns, rows)


def _sizes(objects: ObjectTable) -> Table:
    roots = np.sqrt(objects.pixels.prod(1))
    bins: list[tuple[str, float, float]] = []
    for name, (low, high) in COCO_SIZES.items():
        bins.append((f"{name} ({_sides_range(low, high)})", low, high))
    rows: list[Row] = []
    for name, low, high in [*bins, *side_bins()]:
        count = _count_between(roots, low, high)
        rows.append((name, count, _percent(count / len(roots))))
    columns = ("√area", "objects", "share")
    return Table("size: √area in pixels of the image", columns, rows)


def _count_between(values: np.ndarray, low: float, high: float) -> int:
    """Count the values from low, itself included, to high, itself excluded."""
    return int(((values >= low) & (values < high)).sum())


def _shapes(objects: ObjectTable) -> Table:
    wide, high = objects.pixels.T
    unknown = np.full(len(wide), np.nan)
    aspect = np.divide(wide, high, out=unknown, where=(wide > 0) & (high > 0))
    found = np.digitize(aspect[np.isfinite(aspect)], ASPECTS) - 1
    rows: list[Row] = []
    for i, name in enumerate(ASPECT_NAMES):
        own = found == i
        rows.append((name, int(own.sum()), _percent(own.mean())))
    columns = ("ratio", "objects", "share")
    return Table("shape: width to height in the image", columns, rows)


def _clusters(objects: ObjectTable) -> Table:
    rows: list[Row] = []
    for i, c in enumerate(clusters.table(objects.sides), 1):
        share = _percent(c.share)
        rows.append((str(i), share, c.width, c.height, c.width / c.height, c.ratio))
    title = (
        "clusters by √area, in the image warped to a square (DSSD, Table 1);"
        " width and height in % of its side"
    )
    columns = ("cluster", "share", "width", "height", "W/H", "max(W/H, H/W)")
    return Table(title, columns, rows)


def advice(objects: ObjectTable) -> str:
    """Advise aspect ratios for prior boxes, and compare them with the usual ones."""
    best = clusters.ratios(objects.sides)
    sides = objects.sides[(objects.sides > 0).all(1)]
    if not len(sides):
        return "no object has an area"
    usual = "; ".join(_fit_text(sides, values) for values in USUAL_RATIOS)
    advised = ", ".join(f"{ratio:.1f}" for ratio in best.values) or "none beside the square"
    return (
        f"aspect ratios to take: {advised} (mean overlap of the best shape {best.fit:.3f};"
        f" with SSD's and DSSD's {usual})"
    )


def _fit_text(sides: np.ndarray, values: Sequence[float]) -> str:
    """Write aspect ratios, and the mean overlap that they reach."""
    return f"{', '.join(map(str, values))} → {clusters.fit(sides, values):.3f}"


def covered(objects: ObjectTable, net: NetPriors) -> Covered:
    """Measure how a net covers objects, or a sample of very many, the same for each net."""
    numbers = np.arange(len(objects))
    chosen = np.sort(sample(numbers, SAMPLE))
    image_sizes = objects.images[objects.image[chosen]]
    corners = at_input(objects.corners[chosen], image_sizes, net)
    found = cover(corners, net)
    sides = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    at_net = np.sqrt((sides * [net.width, net.height]).prod(1))
    in_image = np.sqrt(objects.pixels[chosen].prod(1))
    by_size = _by_size(net, found, at_net, in_image, len(objects))
    return Covered(net, [by_size, _by_map(net, found)], found, at_net, in_image)


def _by_size(
    net: NetPriors,
    found: Cover,
    at_net: np.ndarray,
    in_image: np.ndarray,
    total: int,
) -> Table:
    """Tabulate how objects are covered by their size, in their images and at the net's input.

    at_net, in_image: (n,) √area in pixels.
    total: number of all objects, where only a sample was compared.
    """
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
        count = int(chosen.sum())
        rows.append((name, count, float(best.mean()), *shares, matched))
    compared = f"{len(at_net)} objects"
    if len(at_net) < total:
        compared += f" of {total}, drawn at random"
    title = (
        f"{len(net.boxes)} prior boxes of {net.name} over {compared};"
        f" √area in pixels of the input, {net.width}x{net.height}"
    )
    limits = [f">= {threshold}" for threshold in THRESHOLDS]
    columns = ("objects", "number", "best IoU", *limits, f"priors >= {MATCHED}")
    return Table(title, columns, rows)


def _by_map(net: NetPriors, found: Cover) -> Table:
    """Tabulate for how many objects each map has the best prior box."""
    rows: list[Row] = []
    for i, (name, priors) in enumerate(net.maps.items()):
        count = int((found.map == i).sum())
        share = _percent(count / max(len(found.map), 1))
        rows.append((name, len(priors), _sides_of(priors, net), count, share))
    columns = ("layer", "priors", "sides in pixels", "objects", "share")
    return Table("which map has an object's best prior box", columns, rows)


def _sides_of(priors: np.ndarray, net: NetPriors) -> str:
    """Write the smallest and largest √area of a map's prior boxes, in pixels."""
    sides = priors[:, 2:] - priors[:, :2]
    roots = np.sqrt((sides * [net.width, net.height]).prod(1))
    return f"{roots.min():.0f}-{roots.max():.0f}"
