"""SSD's batch samplers: random windows of the image that meet a constraint on its objects (SSD paper, section 2.2).

Source of the semantics: weiliu89/caffe, branch ssd, src/caffe/util/sampler.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.errors import CaffeError
from netrun.data.boxes import Annotations, Box, intersections

_KINDS = ("jaccard_overlap", "sample_coverage", "object_coverage")


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
        starts = np.cumsum([0, *trials])
        self._spans = [
            (int(a), int(b), s.max_sample if s.HasField("max_sample") else None) for a, b, s in zip(starts, starts[1:], used, strict=False)
        ]
        ranges = [(s.sampler.min_scale, s.sampler.max_scale, s.sampler.min_aspect_ratio, s.sampler.max_aspect_ratio) for s in used]
        table = np.repeat(np.array(ranges, np.float32).reshape(-1, 4), trials, axis=0)
        self._low, self._span = table[:, ::2], table[:, 1::2] - table[:, ::2]
        limits = np.repeat(np.array([_limits(s.sample_constraint) for s in used], np.float32).reshape(-1, 3, 2), trials, axis=0)
        self._limits = [(k, limits[:, k, :1], limits[:, k, 1:]) for k in range(3) if not np.isnan(limits[:, k]).all()]
        self._free = np.isnan(limits).all((1, 2))

    def window(self, found: Annotations, rng: np.random.Generator) -> Box | None:
        """A random window of an image with these objects, inside [0, 1]; None where no sampler found one."""
        if not self._spans:
            return None
        windows = self._windows(rng)
        met = self._met(windows, found)
        kept = np.concatenate([np.flatnonzero(met[a:b])[:most] + a for a, b, most in self._spans])
        if not len(kept):
            return None
        left, top, right, bottom = windows[kept[rng.integers(len(kept))]].clip(0, 1).tolist()
        return left, top, right, bottom

    def _windows(self, rng: np.random.Generator) -> np.ndarray:
        draws = rng.random((len(self._low), 4), np.float32)
        drawn = self._low + draws[:, :2] * self._span
        scale, ratio = drawn[:, 0], drawn[:, 1]
        square = scale * scale
        root = np.sqrt(np.minimum(np.maximum(ratio, square), 1 / square))
        sides = np.stack([scale * root, scale / root], 1)
        corner = draws[:, 2:] * (1 - sides)
        return np.concatenate([corner, corner + sides], 1)

    def _met(self, windows: np.ndarray, found: Annotations) -> np.ndarray:
        """Mask over windows. All overlaps are (windows, objects) matrices."""
        met = self._free.copy()
        if self._limits and len(found):
            common = intersections(windows[:, None], found.boxes)
            sides = windows[:, 2:] - windows[:, :2]
            whole, objects = (sides[:, 0] * sides[:, 1])[:, None], found.areas()
            for kind, low, high in self._limits:
                with np.errstate(divide="ignore", invalid="ignore"):
                    part = common / (whole + objects - common if kind == 0 else whole if kind == 1 else objects)
                    part[common <= 0] = 0
                    # a bound that is not given is NaN, and no comparison with NaN refuses
                    met |= (~(part < low) & ~(part > high)).any(1) & ~(np.isnan(low) & np.isnan(high))[:, 0]
        return met


def _limits(constraint: pb.SampleConstraint) -> list[tuple[float, float]]:
    """(least, most) of each kind, NaN where it is not given, or not looked at because an earlier kind is given."""
    limits = [(np.nan, np.nan)] * 3
    for k, kind in enumerate(_KINDS):
        names = [f"min_{kind}", f"max_{kind}"]
        given = [getattr(constraint, n) if constraint.HasField(n) else np.nan for n in names]
        if not np.isnan(given).all():
            limits[k] = (given[0], given[1])
            break
    return limits
