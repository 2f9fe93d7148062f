from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.data import distort, expand
from netrun.data.boxes import mirrored, project
from netrun.data.datum import Sample
from netrun.data.expand import Rect
from netrun.data.resize import Resize
from netrun.data.sampler import BatchSamplers
from ssd_common.errors import LayerError
from tests.netrun.data.augmentation import (
    AUGMENTED,
    BYTES_ONLY,
    RNG,
    SAMPLERS,
    objects,
    run,
    transformer,
)
from tests.netrun.data.records import layer, pixels


def distorted(image: np.ndarray, kind: str, amount: float) -> np.ndarray:
    """The fork's formula: float arithmetic, rounded and saturated, hue and saturation in OpenCV's
    byte HSV.
    """

    def to_bytes(x: np.ndarray) -> np.ndarray:
        return np.rint(x).clip(0, 255).astype(np.uint8)

    floats = image.astype(np.float32)
    if kind == "brightness":
        return to_bytes(floats + np.float32(amount))
    if kind == "contrast":
        return to_bytes(floats * np.float32(amount))
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    plane = (
        hsv[:, :, 1].astype(np.float32) * np.float32(amount)
        if kind == "saturation"
        else hsv[:, :, 0] + np.float32(amount)
    )
    hsv[:, :, 1 if kind == "saturation" else 0] = to_bytes(plane)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


@pytest.mark.parametrize(
    ("kind", "amounts"),
    [
        ("brightness", (-32.0, -7.4, -0.2, 0.0, 0.6, 31.9)),
        ("hue", (-18.0, -0.6, 3.2, 17.7)),
        ("contrast", (0.5, 0.777, 1.0, 1.234, 1.5)),
        ("saturation", (0.5, 0.777, 1.0, 1.234, 1.5)),
    ],
)
def test_distortions_are_the_forks_formulas(kind: str, amounts: tuple[float, ...]) -> None:
    image = pixels(256, 256)
    for amount in amounts:
        np.testing.assert_array_equal(
            getattr(distort, kind)(image.copy(), amount), distorted(image, kind, amount)
        )


def test_distortion_draws() -> None:
    """Chances, ranges, order: contrast is second or last, each in half of the cases.

    Channels come in each of six orders.
    """
    param = text.parse(
        "brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 "
        "contrast_lower: 0.5 contrast_upper: 1.5 hue_prob: 0.25 hue_delta: 18 "
        "saturation_prob: 0.75 saturation_lower: 0.5 saturation_upper: 1.5 random_order_prob: 0.1",
        pb.DistortionParameter,
    )
    rng, count = RNG(0), 8000
    seen: dict[str, list[float]] = {"brightness": [], "contrast": [], "saturation": [], "hue": []}
    second, orders, reordered = 0, set(), 0
    for _ in range(count):
        steps = distort.draw(param, rng).steps
        names = [getattr(step, "func", step).__name__ for step in steps]
        for name, step in zip(names, steps, strict=True):
            if name in seen:
                seen[name] += step.keywords.values()  # type: ignore[attr-defined]
        if "contrast" in names and "saturation" in names:
            second += names.index("contrast") < names.index("saturation")
        if "<lambda>" in names:
            assert names[-1] == "<lambda>"
            reordered += 1
            orders.add(tuple(steps[-1](np.arange(3, dtype=np.uint8).reshape(1, 1, 3)).ravel()))
        assert [n for n in names if n in ("brightness", "saturation", "hue")] == sorted(
            {"brightness", "saturation", "hue"} & set(names),
            key=["brightness", "saturation", "hue"].index,
        )
    # binomial counts lie within 4 standard deviations, sqrt(8000 * p * (1 - p)) <= 45
    expected = {
        "brightness": (0.5, -32, 32),
        "contrast": (0.5, 0.5, 1.5),
        "saturation": (0.75, 0.5, 1.5),
        "hue": (0.25, -18, 18),
    }
    for name, (chance, low, high) in expected.items():
        assert abs(len(seen[name]) - count * chance) < 180
        assert low <= min(seen[name]) < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < max(seen[name]) <= high
    assert abs(second - count * 0.5 * 0.75 / 2) < 180
    assert abs(reordered - count * 0.1) < 110
    assert len(orders) == 6


@pytest.mark.parametrize(
    ("prototxt", "levels", "share"), [(BYTES_ONLY, 0, 0.001), (AUGMENTED, 4, 0.01)]
)
def test_equals_the_steps_done_one_by_one(prototxt: str, levels: int, share: float) -> None:
    """Distort everything, make the whole canvas, cut the window, resize, mirror: the same pixels
    and boxes as the short way.

    OpenCV's HSV to BGR rounds the last columns of a row differently, by one level, which later
    steps make a few.
    """
    param = text.parse(prototxt, pb.TransformationParameter)
    samplers = BatchSamplers(text.parse(SAMPLERS, pb.AnnotatedDataParameter).batch_sampler)
    whole = transformer(prototxt, SAMPLERS)
    resize = Resize(param.resize_param)
    beside = 0
    for seed in range(150):
        image, found = (
            pixels(90, 120, seed=seed),
            objects((0.1, 0.2, 0.5, 0.6), (0.4, 0.4, 0.9, 0.8), (0.7, 0.0, 1.0, 0.3)),
        )
        out, kept = whole(Sample(image.copy(), found, None), RNG(seed))
        rng = RNG(seed)
        step = distort.draw(param.distort_param, rng)(image)
        canvas = expand.draw(param.expand_param, 120, 90, rng)
        if canvas:
            larger = np.empty((canvas.height, canvas.width, 3), np.uint8)
            larger[:] = (104, 117, 123)
            larger[-canvas.top : 90 - canvas.top, -canvas.left : 120 - canvas.left] = step
            step = larger
            view = (
                canvas.left / 120,
                canvas.top / 90,
                (canvas.left + canvas.width) / 120,
                (canvas.top + canvas.height) / 90,
            )
            found = project(found, view, param.emit_constraint)
        window = samplers.window(found, rng)
        if window:
            cut = expand.pixels(window, step.shape[1], step.shape[0])
            step = cut.of(step)
            found = project(found, window, param.emit_constraint)
        mirror = bool(rng.integers(2))
        step = resize(np.ascontiguousarray(step), resize.interpolation(rng))
        step = step[:, ::-1] if mirror else step
        assert out.shape == step.shape
        assert (np.abs(out.astype(int) - step) > levels).mean() <= share
        found = mirrored(found) if mirror else found
        np.testing.assert_allclose(kept.boxes, found.boxes, atol=1e-6)
        np.testing.assert_array_equal(kept.ids, found.ids)
        beside += canvas is not None and (out == (104, 117, 123)).all(2).mean() > 0.3
    assert beside > 20


def test_expanded_pixels_and_boxes_stay_together() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[15:30, 20:60] = 255  # its box: 0.25 .. 0.75 across, 0.25 .. 0.5 down
    out, kept = run(
        "expand_param { prob: 1 max_expand_ratio: 3 } mean_value: 99.6",
        image,
        objects((0.25, 0.25, 0.75, 0.5)),
        seed=3,
    )
    height, width = out.shape[:2]
    assert height > 60
    assert set(np.unique(out)) == {0, 100, 255}
    rows, columns = np.nonzero((out == 255).all(2))
    expected = [
        columns.min() / width,
        rows.min() / height,
        (columns.max() + 1) / width,
        (rows.max() + 1) / height,
    ]
    np.testing.assert_allclose(kept.boxes[0], expected, atol=1e-6)


def test_pixels_of_a_window_are_never_none() -> None:
    assert expand.pixels((0.999, 0.999, 1.0, 1.0), 80, 60) == Rect(79, 59, 1, 1)
    assert expand.pixels((0.25, 0.5, 0.75, 1.0), 80, 60) == Rect(20, 30, 40, 30)


@pytest.mark.parametrize(
    ("param", "samplers", "message"),
    [
        ("resize_param { height: 300 }", "", "height and width must be positive"),
        ("expand_param { max_expand_ratio: 1 }", "", "max_expand_ratio must be above 1"),
        ("force_color: true force_gray: true", "", "exclude each other"),
        (
            "distort_param { contrast_prob: 0.5 contrast_lower: 2 contrast_upper: 1 }",
            "",
            "contrast_lower <= contrast_upper",
        ),
        ("distort_param { hue_prob: 0.5 hue_delta: -1 }", "", "hue_delta must not be negative"),
        ("noise_param { saltpepper: true }", "", "needs saltpepper_param"),
        (
            "noise_param { saltpepper: true saltpepper_param { value: 0 fraction: nan } }",
            "",
            "fraction must lie",
        ),
        (
            "",
            "batch_sampler { sampler { min_scale: 0.9 max_scale: 0.3 } }",
            "min_scale <= max_scale",
        ),
        (
            "",
            "batch_sampler { sampler { min_aspect_ratio: 0 } }",
            "min_aspect_ratio <= max_aspect_ratio",
        ),
    ],
)
def test_refuses_what_the_fork_refuses(
    tmp_path: Path, param: str, samplers: str, message: str
) -> None:
    with pytest.raises(LayerError, match=f"layer 'data'.*{message}"):
        layer(tmp_path, 1, param, samplers)
