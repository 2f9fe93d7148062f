"""Which aspect ratios prior boxes should have (DSSD section 3.3, Table 1)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

GAIN = 0.2  # another cluster is taken while it lowers the error by more than this
MOST = 20  # clusters
CANDIDATES = [round(1.2 + i / 10, 1) for i in range(29)]  # aspect ratios to choose from, up to 4
TRIED = 2000  # boxes that combinations of them are tried on


class Cluster(NamedTuple):
    """Boxes alike.

    share: of all boxes
    width, height: means, in percent of the image's side
    ratio: mean of max(W/H, H/W)
    """

    share: float
    width: float
    height: float
    ratio: float


class Ratios(NamedTuple):
    """Aspect ratios for prior boxes beside the square ones.

    fit: mean overlap (IoU) of a box with the best of them, of the same area and centre
    """

    values: list[float]
    fit: float


def kmeans(values: np.ndarray, count: int, rounds: int = 300) -> tuple[np.ndarray, float]:
    """(count,) centres of sorted values (n,) and the sum of squared distances to them.

    Lloyd's algorithm from evenly spread quantiles.
    """
    sums, squares = (np.concatenate([[0.0], np.cumsum(v)]) for v in (values, values**2))
    edges = np.linspace(0, len(values), count + 1).round().astype(int)
    centres = np.empty(count)
    for _ in range(rounds):
        sizes = np.diff(edges)
        centres = np.where(sizes > 0, np.diff(sums[edges]) / np.maximum(sizes, 1), values[np.minimum(edges[:-1], len(values) - 1)])
        moved = np.concatenate([[0], np.searchsorted(values, (centres[1:] + centres[:-1]) / 2), [len(values)]])
        if (moved == edges).all():
            break
        edges = moved
    sizes, total = np.diff(edges), np.diff(sums[edges])
    error = np.diff(squares[edges]) - total**2 / np.maximum(sizes, 1)
    return centres, float(max(error.sum(), 0))


def grow(values: np.ndarray, least: int = 2) -> np.ndarray:
    """Centres of k-means: one more while each lowers the error by more than 20 % (DSSD's rule).

    values: (n,)
    least: clusters to begin with
    """
    values = np.sort(values)
    most = min(MOST, len(np.unique(values)))
    centres, error = kmeans(values, min(least, most))
    while len(centres) < most:
        more, less = kmeans(values, len(centres) + 1)
        if less > (1 - GAIN) * error:
            break
        centres, error = more, less
    return centres


def table(sides: np.ndarray) -> list[Cluster]:
    """Clusters of boxes by the square root of their area, as DSSD's Table 1 has them.

    sides: (n, 2) width and height as shares of the sides of the image warped to a square, as the
      net sees it
    Returns the clusters, those of the smallest boxes first; none without boxes.
    """
    sides = sides[(sides > 0).all(1)]
    if not len(sides):
        return []
    feature = np.sqrt(sides.prod(1))
    nearest = np.abs(feature[:, None] - grow(feature)).argmin(1)
    longer = sides.max(1) / sides.min(1)
    found = [(nearest == i) for i in range(nearest.max() + 1)]
    means = [(float(m.mean()), *(100 * sides[m].mean(0)), float(longer[m].mean())) for m in found if m.any()]
    return [Cluster(share, float(width), float(height), ratio) for share, width, height, ratio in means]


def ratios(sides: np.ndarray) -> Ratios:
    """Up to three aspect ratios for boxes, beside the square that every map has.

    They are the ones in steps of a tenth whose shapes overlap the boxes best on average; another is
    taken for as long as it gains a hundredth. Each is above 1 and stands for its inverse, too.

    sides: (n, 2) width and height
    """
    sides = sides[(sides > 0).all(1)]
    if not len(sides):
        return Ratios([], 0.0)
    some = sides
    if len(sides) > TRIED:
        some = sides[np.random.default_rng(0).choice(len(sides), TRIED, replace=False)]
    square, *each = (overlaps(some, [ratio]).max(1) for ratio in (1.0, *CANDIDATES))
    chosen: tuple[int, ...] = ()
    reached = float(square.mean())
    for count in range(1, 4):
        tried = itertools.combinations(range(len(CANDIDATES)), count)
        gained, found = max((_mean_best(square, each, ids), ids) for ids in tried)
        if gained < reached + 0.01:
            break
        reached, chosen = gained, found
    values = [CANDIDATES[i] for i in chosen]
    return Ratios(values, fit(sides, values))


def _mean_best(square: np.ndarray, each: list[np.ndarray], ids: tuple[int, ...]) -> float:
    """Mean overlap of boxes with the best of the square and the candidates of these indices."""
    return float(np.max([square, *(each[i] for i in ids)], axis=0).mean())


def fit(sides: np.ndarray, values: Sequence[float]) -> float:
    """Mean overlap of boxes with the best of prior boxes of the same area and centre.

    sides: (n, 2) width and height
    values: aspect ratios; their inverses and a square are prior boxes, too
    """
    return float(overlaps(sides, [1.0, *values]).max(1).mean())


def overlaps(sides: np.ndarray, values: Sequence[float]) -> np.ndarray:
    """Overlap (IoU) of boxes with boxes of the same area and centre.

    sides: (n, 2) width and height
    values: m aspect ratios; their inverses count, too
    Returns (n, 2 m).
    """
    roots = np.sqrt(np.array([*values, *(1 / v for v in values)]))
    area = sides.prod(1)[:, None]
    root = np.sqrt(area)
    common = np.minimum(sides[:, :1], root * roots) * np.minimum(sides[:, 1:], root / roots)
    return common / (2 * area - common)
