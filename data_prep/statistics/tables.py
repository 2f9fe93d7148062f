"""Statistics in tables: classes, objects per image, sizes, aspect ratios, prior boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from data_prep.statistics import clusters
from data_prep.statistics.object_table import ObjectTable
from data_prep.statistics.prior_coverage import MATCHED, Cover, NetPriors, at_input, cover
from ssd_common.tables import aligned

SIDES = (0, 8, 16, 32, 64, 128, 256)  # √area in pixels where a bin begins
ASPECTS = (0, 1 / 3, 1 / 2, 1 / 1.5, 1, 1.5, 2, 3)  # width/height where a bin begins
ASPECT_NAMES = ("below 1:3", "1:3 to 1:2", "1:2 to 1:1.5", "1:1.5 to 1:1", "1:1 to 1.5:1", "1.5:1 to 2:1", "2:1 to 3:1", "above 3:1")
COCO_SIZES = {"small": (0, 32), "medium": (32, 96), "large": (96, np.inf)}  # √area in pixels of the image, as COCO's metrics
THRESHOLDS = (0.5, 0.6, 0.7)
SAMPLE = 100_000  # objects that are held against prior boxes, drawn at random where there are more


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
    rows: list[Sequence[str | int | float]]

    def __str__(self) -> str:
        cells = [list(self.columns), *([_cell(value) for value in row] for row in self.rows)]
        return "\n".join([self.title, *(f"  {line}" for line in aligned(cells))])


def _cell(value: str | float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def side_bins() -> list[tuple[str, float, float]]:
    """Name, lower and upper bound of each range of √area."""
    ends = [*SIDES[1:], np.inf]
    return [(f"{low}-{high}" if np.isfinite(high) else f"{low} and more", low, high) for low, high in zip(SIDES, ends, strict=True)]


def summary(objects: ObjectTable) -> str:
    """Images, objects and classes in one line."""
    per_image = objects_per_image(objects)
    empty = int((per_image == 0).sum())
    return (f"{len(objects.images)} images, {len(objects)} objects of {len(np.unique(objects.label))} classes; "
            f"{per_image.mean():.1f} objects per image, {per_image.max()} at most, {empty} images without{left_out(objects)}")  # fmt: skip


def left_out(objects: ObjectTable) -> str:
    """How many images are not counted; "" for none."""
    return f"; {objects.unread} left out that cannot be read, or their annotations (data_prep check says why)" if objects.unread else ""


def objects_per_image(objects: ObjectTable) -> np.ndarray:
    """(m,) number of objects of every image."""
    return np.bincount(objects.image, minlength=len(objects.images))


def tables(objects: ObjectTable) -> Iterator[Table]:
    """What there is to say of objects without a net. There must be objects."""
    roots = np.sqrt(objects.pixels.prod(1))
    counts = np.bincount(objects.label, minlength=len(objects.names))
    images = [len(np.unique(objects.image[objects.label == i])) for i in range(len(counts))]
    yield Table("classes (√area in pixels of the image)", ("class", "objects", "share", "images", "median √area"), [
        (objects.names[i], int(counts[i]), _percent(counts[i] / len(objects)), images[i], float(np.median(roots[objects.label == i])))
        for i in np.argsort(-counts, kind="stable") if counts[i]
    ])  # fmt: skip
    per_image = objects_per_image(objects)
    ends = (0, 1, 2, 3, 5, 10, 20, 50, 100, 1 << 62)
    yield Table("objects per image", ("objects", "images", "share"), [
        (str(low) if high == low + 1 else f"{low}-{high - 1}" if high < ends[-1] else f"{low} and more", n, _percent(n / len(per_image)))
        for low, high in pairwise(ends) if (n := int(((per_image >= low) & (per_image < high)).sum()))
    ])  # fmt: skip
    rows = [(f"{name} ({low}-{high})" if np.isfinite(high) else f"{name} ({low} and more)", low, high)
            for name, (low, high) in COCO_SIZES.items()]  # fmt: skip
    yield Table("size: √area in pixels of the image", ("√area", "objects", "share"), [
        (name, n := int(((roots >= low) & (roots < high)).sum()), _percent(n / len(roots))) for name, low, high in [*rows, *side_bins()]
    ])  # fmt: skip
    wide, high_ = objects.pixels.T
    aspect = np.divide(wide, high_, out=np.full(len(wide), np.nan), where=(wide > 0) & (high_ > 0))
    found = np.digitize(aspect[np.isfinite(aspect)], ASPECTS) - 1
    yield Table("shape: width to height in the image", ("ratio", "objects", "share"), [
        (name, int((found == i).sum()), _percent((found == i).mean())) for i, name in enumerate(ASPECT_NAMES)
    ])  # fmt: skip
    yield Table("clusters by √area, in the image warped to a square (DSSD, Table 1); width and height in % of its side",
                ("cluster", "share", "width", "height", "W/H", "max(W/H, H/W)"), [
        (str(i), _percent(c.share), c.width, c.height, c.width / c.height, c.ratio) for i, c in enumerate(clusters.table(objects.sides), 1)
    ])  # fmt: skip


def advice(objects: ObjectTable) -> str:
    """Aspect ratios to give prior boxes, beside what the usual ones reach."""
    ours, sides = clusters.ratios(objects.sides), objects.sides[(objects.sides > 0).all(1)]
    if not len(sides):
        return "no object has an area"
    usual = "; ".join(f"{', '.join(map(str, r))} → {clusters.fit(sides, r):.3f}" for r in ((2,), (2, 3), (1.6, 2, 3)))
    mine = ", ".join(f"{r:.1f}" for r in ours.values) or "none beside the square"
    return f"aspect ratios to take: {mine} (mean overlap of the best shape {ours.fit:.3f}; with SSD's and DSSD's {usual})"


def covered(objects: ObjectTable, net: NetPriors) -> Covered:
    """How a net covers the objects, or a sample of very many, the same for each net."""
    chosen = np.arange(len(objects))
    if len(objects) > SAMPLE:
        chosen = np.sort(np.random.default_rng(0).choice(len(objects), SAMPLE, replace=False))
    corners = at_input(objects.corners[chosen], objects.images[objects.image[chosen]], net)
    found = cover(corners, net)
    at_net = np.sqrt((np.maximum(corners[:, 2:] - corners[:, :2], 0) * [net.width, net.height]).prod(1))
    in_image = np.sqrt(objects.pixels[chosen].prod(1))
    groups = [("all", np.ones(len(chosen), bool))]
    groups += [(f"COCO's {name}", (in_image >= low) & (in_image < high)) for name, (low, high) in COCO_SIZES.items()]
    groups += [(name, (at_net >= low) & (at_net < high)) for name, low, high in side_bins()]
    of = f" of {len(objects)}, drawn at random" if len(chosen) < len(objects) else ""
    title = (f"{len(net.boxes)} prior boxes of {net.name} over {len(chosen)} objects{of}; √area in pixels of the input,"
             f" {net.width}x{net.height}")  # fmt: skip
    columns = ("objects", "number", "best IoU", *(f">= {t}" for t in THRESHOLDS), f"priors >= {MATCHED}")
    by_size = Table(title, columns, [
        (name, int(m.sum()), float(found.best[m].mean()), *(_percent((found.best[m] >= t).mean()) for t in THRESHOLDS),
         float(found.matched[m].mean())) for name, m in groups if m.any()
    ])  # fmt: skip
    by_map = Table("which map has an object's best prior box", ("layer", "priors", "sides in pixels", "objects", "share"), [
        (name, len(priors), _sides(priors, net), n := int((found.map == i).sum()), _percent(n / max(len(chosen), 1)))
        for i, (name, priors) in enumerate(net.maps.items())
    ])  # fmt: skip
    return Covered(net, [by_size, by_map], found, at_net, in_image)


def _sides(priors: np.ndarray, net: NetPriors) -> str:
    """The smallest and largest √area of a map's prior boxes."""
    roots = np.sqrt(((priors[:, 2:] - priors[:, :2]) * [net.width, net.height]).prod(1))
    return f"{roots.min():.0f}-{roots.max():.0f}"
