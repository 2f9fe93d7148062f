"""SSD's batch samplers: random windows of an image that meet a constraint on its objects.

Paper: SSD, section 2.2.
Source: weiliu89/caffe, branch ssd, src/caffe/util/sampler.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from netrun.data.boxes import Annotations, Box, intersections
from ssd_common.errors import CaffeError

_KINDS = ("jaccard_overlap", "sample_coverage", "object_coverage")
_ANY = (-np.inf, np.inf)  # bounds that let everything through
_NEVER = (np.inf, -np.inf)  # bounds that let nothing through
_TINY = np.finfo(np.float32).tiny


class BatchSamplers:
    """All samplers of a layer, tried together: an array has a row for every trial of every sampler.

    Each sampler makes max_trials windows and keeps the first max_sample of them that meet its
    constraint; then one of all kept windows is drawn. One object that meets a constraint is enough.
    If a constraint has several kinds, only the first of jaccard_overlap, sample_coverage,
    object_coverage counts: the fork accepts a window once an object passes that one.
    Raises CaffeError for scales or aspect ratios that the fork refuses.
    """

    def __init__(self, samplers: Sequence[pb.BatchSampler]) -> None:
        used = [s for s in samplers if s.use_original_image and s.max_trials]
        for sampler in used:
            _check(sampler.sampler)
        trials = [s.max_trials for s in used]
        self._starts = np.cumsum([0, *trials])
        self._most = [_most_windows(s) for s in used]
        ranges = np.array([_ranges(s.sampler) for s in used], np.float32).reshape(-1, 4)
        table = np.repeat(ranges, trials, axis=0).T
        self._low = table[::2].copy()
        self._span = table[1::2] - table[::2]
        bounds = [_limits(s.sample_constraint) for s in used]
        limits = np.array(bounds, np.float32).reshape(-1, 3, 2)
        limits = np.repeat(limits, trials, axis=0)
        self._limits = []
        for k in range(3):
            if (limits[:, k] != _NEVER).any():
                self._limits.append((k, limits[:, k, 0], limits[:, k, 1]))
        self._free = (limits == _NEVER).all((1, 2))

    def __bool__(self) -> bool:
        """Tell whether any sampler can give a window."""
        return bool(self._most)

    def window(
        self,
        found: Annotations,
        rng: np.random.Generator,
    ) -> Box | None:
        """Draw a window, inside [0, 1], of an image with these objects.

        Returns None where no sampler finds a window.
        """
        if not self._most:
            return None
        windows = self._windows(rng)
        met = np.flatnonzero(self._met(windows, found))
        bounds = met.searchsorted(self._starts).tolist()
        kept: list[int] = []
        for start, end, most in zip(bounds, bounds[1:], self._most, strict=False):
            kept.extend(range(start, min(end, start + most)))
        if not kept:
            return None
        drawn = met[kept[rng.integers(len(kept))]]
        left, top, right, bottom = windows[:, drawn].clip(0, 1).tolist()
        return left, top, right, bottom

    def _windows(self, rng: np.random.Generator) -> np.ndarray:
        """Every trial's window: lefts, tops, rights and bottoms, (4, trials)."""
        draws = rng.random((self._low.shape[1], 4), np.float32).T
        scale, ratio = self._low + draws[:2] * self._span
        square = scale * scale
        root = np.sqrt(np.minimum(np.maximum(ratio, square), 1 / square))
        sides = np.array([scale * root, scale / root])
        corner = draws[2:] * (1 - sides)
        return np.concatenate([corner, corner + sides])

    def _met(self, windows: np.ndarray, found: Annotations) -> np.ndarray:
        """The mask of the windows that meet their constraint.

        Every overlap is a matrix (objects, windows).
        """
        met = self._free.copy()
        if not (self._limits and len(found)):
            return met
        common = intersections(windows[:, None], found.boxes.T[:, :, None])
        whole = (windows[2] - windows[0]) * (windows[3] - windows[1])
        objects = found.areas()[:, None]
        for kind, low, high in self._limits:
            base = _denominator(kind, common, whole, objects)
            part = common / np.maximum(base, _TINY)
            met |= ((part >= low) & (part <= high)).any(0)
        return met


def _check(sampler: pb.Sampler) -> None:
    if not 0 < sampler.min_scale <= sampler.max_scale <= 1:
        raise CaffeError(
            "sampler: needs 0 < min_scale <= max_scale <= 1, "
            f"has {sampler.min_scale:g} and {sampler.max_scale:g}"
        )
    if not 0 < sampler.min_aspect_ratio <= sampler.max_aspect_ratio < np.inf:
        raise CaffeError(
            "sampler: needs 0 < min_aspect_ratio <= max_aspect_ratio, "
            f"has {sampler.min_aspect_ratio:g} and {sampler.max_aspect_ratio:g}"
        )


def _most_windows(sampler: pb.BatchSampler) -> int:
    if sampler.HasField("max_sample"):
        return sampler.max_sample
    return sampler.max_trials


def _ranges(sampler: pb.Sampler) -> tuple[float, float, float, float]:
    return (
        sampler.min_scale,
        sampler.max_scale,
        sampler.min_aspect_ratio,
        sampler.max_aspect_ratio,
    )


def _limits(constraint: pb.SampleConstraint) -> list[tuple[float, float]]:
    """The (least, most) of each kind; only the first kind in the constraint counts."""
    limits = [_NEVER] * 3
    for k, kind in enumerate(_KINDS):
        has_least = constraint.HasField(f"min_{kind}")
        has_most = constraint.HasField(f"max_{kind}")
        if not (has_least or has_most):
            continue
        least, most = _ANY
        if has_least:
            least = getattr(constraint, f"min_{kind}")
        if has_most:
            most = getattr(constraint, f"max_{kind}")
        limits[k] = (least, most)
        break
    return limits


def _denominator(
    kind: int,
    common: np.ndarray,
    whole: np.ndarray,
    objects: np.ndarray,
) -> np.ndarray:
    """The divisor of the common area for a kind of overlap: union, window or object."""
    if kind == 0:
        return whole + objects - common
    if kind == 1:
        return whole
    return objects
