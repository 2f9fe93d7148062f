"""SSD's batch samplers: random windows of the image that meet a constraint on its objects (SSD paper, section 2.2).

Source of the semantics: weiliu89/caffe, branch ssd, src/caffe/util/sampler.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from netrun.data.boxes import Annotations, Box, intersections
from ssd_common.errors import CaffeError

_KINDS = ("jaccard_overlap", "sample_coverage", "object_coverage")
_ANY, _NEVER = (-np.inf, np.inf), (np.inf, -np.inf)  # bounds that let everything and nothing through
_TINY = np.finfo(np.float32).tiny


class BatchSamplers:
    """All samplers of a layer, tried together: every trial of every sampler is one row of an array.

    Each sampler keeps its first max_sample windows that meet its constraint within max_trials; one of all windows kept is drawn.
    A constraint is met when one object meets it. Of several kinds in one constraint only the first of jaccard_overlap,
    sample_coverage, object_coverage counts: once an object has passed that one the fork calls the window found.
    Raises CaffeError for scales or aspect ratios that the fork refuses.
    """

    def __init__(self, samplers: Sequence[pb.BatchSampler]) -> None:
        used = [s for s in samplers if s.use_original_image and s.max_trials]
        for s in used:
            box = s.sampler
            if not 0 < box.min_scale <= box.max_scale <= 1:
                raise CaffeError(f"sampler: needs 0 < min_scale <= max_scale <= 1, has {box.min_scale:g} and {box.max_scale:g}")
            if not 0 < box.min_aspect_ratio <= box.max_aspect_ratio < np.inf:
                ratios = f"{box.min_aspect_ratio:g} and {box.max_aspect_ratio:g}"
                raise CaffeError(f"sampler: needs 0 < min_aspect_ratio <= max_aspect_ratio, has {ratios}")
        trials = [s.max_trials for s in used]
        self._starts = np.cumsum([0, *trials])
        self._most = [s.max_sample if s.HasField("max_sample") else s.max_trials for s in used]
        ranges = [(s.sampler.min_scale, s.sampler.max_scale, s.sampler.min_aspect_ratio, s.sampler.max_aspect_ratio) for s in used]
        table = np.repeat(np.array(ranges, np.float32).reshape(-1, 4), trials, axis=0).T
        self._low, self._span = table[::2].copy(), table[1::2] - table[::2]
        limits = np.repeat(np.array([_limits(s.sample_constraint) for s in used], np.float32).reshape(-1, 3, 2), trials, axis=0)
        self._limits = [(k, limits[:, k, 0], limits[:, k, 1]) for k in range(3) if (limits[:, k] != _NEVER).any()]
        self._free = (limits == _NEVER).all((1, 2))

    def window(self, found: Annotations, rng: np.random.Generator) -> Box | None:
        """A random window of an image with these objects, inside [0, 1]; None where no sampler found one."""
        if not self._most:
            return None
        windows = self._windows(rng)
        met = np.flatnonzero(self._met(windows, found))
        bounds = met.searchsorted(self._starts).tolist()
        kept = [k for a, b, most in zip(bounds, bounds[1:], self._most, strict=False) for k in range(a, min(b, a + most))]
        if not kept:
            return None
        left, top, right, bottom = windows[:, met[kept[rng.integers(len(kept))]]].clip(0, 1).tolist()
        return left, top, right, bottom

    def _windows(self, rng: np.random.Generator) -> np.ndarray:
        """(4, trials): the windows' left, top, right and bottom, each side by side in memory."""
        draws = rng.random((self._low.shape[1], 4), np.float32).T
        scale, ratio = self._low + draws[:2] * self._span
        square = scale * scale
        root = np.sqrt(np.minimum(np.maximum(ratio, square), 1 / square))
        sides = np.array([scale * root, scale / root])
        corner = draws[2:] * (1 - sides)
        return np.concatenate([corner, corner + sides])

    def _met(self, windows: np.ndarray, found: Annotations) -> np.ndarray:
        """Mask over windows. All overlaps are (objects, windows) matrices."""
        met = self._free.copy()
        if self._limits and len(found):
            common = intersections(windows[:, None], found.boxes.T[:, :, None])
            whole, objects = (windows[2] - windows[0]) * (windows[3] - windows[1]), found.areas()[:, None]
            for kind, low, high in self._limits:
                part = common / np.maximum(whole + objects - common if kind == 0 else whole if kind == 1 else objects, _TINY)
                met |= ((part >= low) & (part <= high)).any(0)
        return met


def _limits(constraint: pb.SampleConstraint) -> list[tuple[float, float]]:
    """(least, most) of each kind, _NEVER where it is not given, or not looked at because an earlier kind is given."""
    limits = [_NEVER] * 3
    for k, kind in enumerate(_KINDS):
        names = [f"min_{kind}", f"max_{kind}"]
        if any(map(constraint.HasField, names)):
            least, most = (getattr(constraint, n) if constraint.HasField(n) else unbound for n, unbound in zip(names, _ANY, strict=True))
            limits[k] = (least, most)
            break
    return limits
