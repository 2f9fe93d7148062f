"""Finds the aspect ratios that prior boxes should have (DSSD section 3.3, Table 1)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data_prep.statistics.sample import sample

# Clusters: another is added while it lowers the error by more than this share.
GAIN = 0.2
LEAST = 2
MOST = 20
ROUNDS = 300  # of k-means, unless it stands still before
# Aspect ratios: combinations of up to RATIOS candidates are tried on TRIED boxes. Another ratio is
# added while it raises the mean overlap by at least RATIO_GAIN.
CANDIDATES = [round(1.2 + i / 10, 1) for i in range(29)]  # up to 4
RATIOS = 3
TRIED = 2000
RATIO_GAIN = 0.01


class Cluster(NamedTuple):
    """A cluster of boxes.

    share: of all boxes.
    width, height: means, in percent of the image's side.
    ratio: mean of max(W/H, H/W).
    """

    share: float
    width: float
    height: float
    ratio: float


class Ratios(NamedTuple):
    """Aspect ratios for prior boxes beside the square ones.

    values: the ratios, each above 1.
    fit: mean overlap (IoU) of a box with the best prior box, of the same area and centre.
    """

    values: list[float]
    fit: float


def kmeans(values: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Cluster numbers by Lloyd's algorithm, which starts from evenly spread quantiles.

    values: (n,) sorted.
    Returns (count,) centres, and the sum of squared distances of the values from them.
    """
    sums = _running_sums(values)
    squares = _running_sums(values**2)
    edges = np.linspace(0, len(values), count + 1).round().astype(int)
    centres = np.empty(count)
    for _ in range(ROUNDS):
        sizes = np.diff(edges)
        means = np.diff(sums[edges]) / np.maximum(sizes, 1)
        firsts = values[np.minimum(edges[:-1], len(values) - 1)]
        centres = np.where(sizes > 0, means, firsts)
        middles = (centres[1:] + centres[:-1]) / 2
        inner = np.searchsorted(values, middles)
        moved = np.concatenate([[0], inner, [len(values)]])
        if (moved == edges).all():
            break
        edges = moved
    sizes = np.diff(edges)
    total = np.diff(sums[edges])
    error = np.diff(squares[edges]) - total**2 / np.maximum(sizes, 1)
    return centres, float(max(error.sum(), 0))


def _running_sums(values: np.ndarray) -> np.ndarray:
    """Return the sums (n + 1,) of the first 0, 1, … n values."""
    return np.concatenate([[0.0], np.cumsum(values)])


def grow(values: np.ndarray) -> np.ndarray:
    """Add clusters while each lowers the error of k-means by more than 20 % (DSSD's rule).

    values: (n,).
    Returns the centres.
    """
    values = np.sort(values)
    most = min(MOST, len(np.unique(values)))
    centres, error = kmeans(values, min(LEAST, most))
    while len(centres) < most:
        more, less = kmeans(values, len(centres) + 1)
        if less > (1 - GAIN) * error:
            break
        centres = more
        error = less
    return centres


def table(sides: np.ndarray) -> list[Cluster]:
    """Cluster boxes by the square root of their area, as in DSSD's Table 1.

    sides: (n, 2) width and height as shares of the sides of the image warped to a square, as the
      net sees it.
    Returns the clusters, smallest boxes first; none without boxes.
    """
    sides = sides[(sides > 0).all(1)]
    if not len(sides):
        return []
    feature = np.sqrt(sides.prod(1))
    nearest = np.abs(feature[:, None] - grow(feature)).argmin(1)
    elongation = sides.max(1) / sides.min(1)
    found: list[Cluster] = []
    for i in range(nearest.max() + 1):
        members = nearest == i
        if not members.any():
            continue
        width, height = 100 * sides[members].mean(0)
        share = float(members.mean())
        ratio = float(elongation[members].mean())
        found.append(Cluster(share, float(width), float(height), ratio))
    return found


def ratios(sides: np.ndarray) -> Ratios:
    """Choose up to three aspect ratios for prior boxes, beside the square that every map has.

    These are the ratios, in steps of a tenth, whose shapes overlap the boxes best on average.
    Another is added while it gains a hundredth. Each is above 1 and stands for its inverse, too.

    sides: (n, 2) width and height of the boxes.
    """
    sides = sides[(sides > 0).all(1)]
    if not len(sides):
        return Ratios([], 0.0)
    some = sample(sides, TRIED)
    square = overlaps(some, [1.0]).max(1)
    each = [overlaps(some, [ratio]).max(1) for ratio in CANDIDATES]
    chosen: tuple[int, ...] = ()
    reached = float(square.mean())
    for count in range(1, RATIOS + 1):
        tried = itertools.combinations(range(len(CANDIDATES)), count)
        best, found = max((_mean_best(square, each, ids), ids) for ids in tried)
        if best < reached + RATIO_GAIN:
            break
        reached = best
        chosen = found
    values = [CANDIDATES[i] for i in chosen]
    return Ratios(values, fit(sides, values))


def _mean_best(square: np.ndarray, each: list[np.ndarray], ids: tuple[int, ...]) -> float:
    """Return the mean overlap of boxes with the best of the square and some candidates.

    square: (n,) overlaps with the square.
    each: (n,) overlaps with every candidate.
    ids: indices of the candidates.
    """
    overlaps_of_all = [square, *(each[i] for i in ids)]
    return float(np.max(overlaps_of_all, axis=0).mean())


def fit(sides: np.ndarray, values: Sequence[float]) -> float:
    """Return the mean overlap (IoU) of boxes with the best prior box of the same area and centre.

    sides: (n, 2) width and height.
    values: aspect ratios; their inverses and a square are prior boxes, too.
    """
    return float(overlaps(sides, [1.0, *values]).max(1).mean())


def overlaps(sides: np.ndarray, values: Sequence[float]) -> np.ndarray:
    """Return the overlap (IoU) of boxes with prior boxes of the same area and centre.

    sides: (n, 2) width and height.
    values: m aspect ratios; their inverses count, too.
    Returns (n, 2 m).
    """
    roots = np.sqrt(np.array([*values, *(1 / v for v in values)]))
    area = sides.prod(1)[:, None]
    root = np.sqrt(area)
    width = np.minimum(sides[:, :1], root * roots)
    height = np.minimum(sides[:, 1:], root / roots)
    common = width * height
    return common / (2 * area - common)
