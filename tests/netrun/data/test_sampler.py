from __future__ import annotations

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.data.sampler import BatchSamplers
from tests.netrun.data.augmentation import RNG, objects


def overlap(a: tuple[float, ...], b: tuple[float, ...], of: str) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(wide, 0) * max(high, 0)
    window, box = ((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return (
        common
        / {
            "jaccard_overlap": window + box - common,
            "sample_coverage": window,
            "object_coverage": box,
        }[of]
    )


@pytest.mark.parametrize("kind", ["jaccard_overlap", "sample_coverage", "object_coverage"])
@pytest.mark.parametrize(("low", "high"), [(0.2, None), (None, 0.05), (0.1, 0.4)])
def test_windows_meet_their_constraint(kind: str, low: float | None, high: float | None) -> None:
    limits = f"min_{kind}: {low} " if low is not None else ""
    limits += f"max_{kind}: {high}" if high is not None else ""
    # No box can meet this one: the fork does not look at it.
    later = "min_object_coverage: 2 " if kind == "jaccard_overlap" else ""
    prototxt = (
        "batch_sampler { max_sample: 1 max_trials: 50 "
        "sampler { min_scale: 0.3 max_scale: 0.9 min_aspect_ratio: 0.5 max_aspect_ratio: 2 } "
        f"sample_constraint {{ {limits} {later} }} }}"
    )
    samplers = BatchSamplers(text.parse(prototxt, pb.AnnotatedDataParameter).batch_sampler)
    boxes = [(0.1, 0.1, 0.4, 0.5), (0.5, 0.3, 0.95, 0.9)]
    drawn = [samplers.window(objects(*boxes), RNG(seed)) for seed in range(200)]
    found = [w for w in drawn if w]
    assert len(found) > 100
    for window in found:
        assert 0 <= window[0] < window[2] <= 1
        assert 0 <= window[1] < window[3] <= 1
        scale = ((window[2] - window[0]) * (window[3] - window[1])) ** 0.5
        ratio = (window[2] - window[0]) / (window[3] - window[1])
        assert 0.3 - 1e-5 <= scale <= 0.9 + 1e-5
        assert max(0.5, scale**2) - 1e-4 <= ratio <= min(2, scale**-2) + 1e-4
        parts = [overlap(window, box, kind) for box in boxes]
        assert any(
            (low is None or p >= low - 1e-5) and (high is None or p <= high + 1e-5) for p in parts
        )


def test_samplers_share_the_draw() -> None:
    """A whole-image sampler and one of scale 0.5 that always succeeds: two windows of the second
    for one of the first.
    """
    prototxt = (
        "batch_sampler { max_sample: 1 max_trials: 1 } "
        "batch_sampler { max_sample: 2 max_trials: 9 sampler { min_scale: 0.5 max_scale: 0.5 } } "
        "batch_sampler { max_trials: 5 sample_constraint { min_jaccard_overlap: 0.9 } "
        "sampler { min_scale: 0.1 max_scale: 0.1 } } "
        "batch_sampler { use_original_image: false }"
    )
    samplers = BatchSamplers(text.parse(prototxt, pb.AnnotatedDataParameter).batch_sampler)
    windows = [samplers.window(objects((0, 0, 1, 1)), RNG(seed)) for seed in range(900)]
    whole = windows.count((0, 0, 1, 1))
    assert abs(whole - 300) < 4 * (900 * 2 / 9) ** 0.5
    assert BatchSamplers([]).window(objects(), RNG(0)) is None


def test_no_object_meets_no_constraint() -> None:
    prototxt = "batch_sampler { sample_constraint { max_jaccard_overlap: 1 } }"
    assert (
        BatchSamplers(text.parse(prototxt, pb.AnnotatedDataParameter).batch_sampler).window(
            objects(), RNG(0)
        )
        is None
    )
