from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.errors import CaffeError, LayerError
from netrun.data import distort, expand
from netrun.data.boxes import Annotations, mirrored, project
from netrun.data.datum import Sample
from netrun.data.expand import Rect
from netrun.data.resize import Resize, scaled
from netrun.data.sampler import BatchSamplers
from netrun.data.transform import Transformer
from tests.netrun.data.records import coded, layer, pixels, record, write

RNG = np.random.default_rng


def objects(*boxes: tuple[float, float, float, float]) -> Annotations:
    count = len(boxes)
    ids = np.array([(i + 1, i, i % 2) for i in range(count)], np.float32).reshape(-1, 3)
    return Annotations(np.array(boxes, np.float32).reshape(-1, 4), np.full(count, np.nan, np.float32), ids)


def transformer(param: str, samplers: str = "", phase: int = pb.TRAIN) -> Transformer:
    return Transformer(text.parse(param, pb.TransformationParameter), text.parse(samplers, pb.AnnotatedDataParameter).batch_sampler, phase)


def run(param: str, image: np.ndarray, found: Annotations, phase: int = pb.TEST, seed: int = 0) -> tuple[np.ndarray, Annotations]:
    return transformer(param, phase=phase)(Sample(image, found, None), RNG(seed))


# distortion


def distorted(image: np.ndarray, kind: str, amount: float) -> np.ndarray:
    """The fork's formula: float arithmetic, rounded and saturated, hue and saturation in OpenCV's byte HSV."""

    def to_bytes(x: np.ndarray) -> np.ndarray:
        return np.rint(x).clip(0, 255).astype(np.uint8)

    floats = image.astype(np.float32)
    if kind == "brightness":
        return to_bytes(floats + np.float32(amount))
    if kind == "contrast":
        return to_bytes(floats * np.float32(amount))
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    plane = hsv[:, :, 1].astype(np.float32) * np.float32(amount) if kind == "saturation" else hsv[:, :, 0] + np.float32(amount)
    hsv[:, :, 1 if kind == "saturation" else 0] = to_bytes(plane)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


@pytest.mark.parametrize(
    ("kind", "amounts"),
    [("brightness", (-32.0, -7.4, -0.2, 0.0, 0.6, 31.9)), ("hue", (-18.0, -0.6, 3.2, 17.7)), ("contrast", (0.5, 0.777, 1.0, 1.234, 1.5)),
     ("saturation", (0.5, 0.777, 1.0, 1.234, 1.5))],
)  # fmt: skip
def test_distortions_are_the_forks_formulas(kind: str, amounts: tuple[float, ...]) -> None:
    image = pixels(256, 256)
    for amount in amounts:
        np.testing.assert_array_equal(getattr(distort, kind)(image, amount), distorted(image, kind, amount))


def test_distortion_draws() -> None:
    """Chances, ranges, order: contrast second or last, each in half of the cases; channels in each of six orders."""
    param = text.parse(
        "brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5 hue_prob: 0.25 hue_delta: 18 "
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
            {"brightness", "saturation", "hue"} & set(names), key=["brightness", "saturation", "hue"].index
        )
    # binomial counts lie within 4 standard deviations, sqrt(8000 * p * (1 - p)) <= 45
    expected = {"brightness": (0.5, -32, 32), "contrast": (0.5, 0.5, 1.5), "saturation": (0.75, 0.5, 1.5), "hue": (0.25, -18, 18)}
    for name, (chance, low, high) in expected.items():
        assert abs(len(seen[name]) - count * chance) < 180
        assert low <= min(seen[name]) < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < max(seen[name]) <= high
    assert abs(second - count * 0.5 * 0.75 / 2) < 180
    assert abs(reordered - count * 0.1) < 110
    assert len(orders) == 6


# windows


def overlap(a: tuple[float, ...], b: tuple[float, ...], of: str) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(wide, 0) * max(high, 0)
    window, box = ((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return common / {"jaccard_overlap": window + box - common, "sample_coverage": window, "object_coverage": box}[of]


@pytest.mark.parametrize("kind", ["jaccard_overlap", "sample_coverage", "object_coverage"])
@pytest.mark.parametrize(("low", "high"), [(0.2, None), (None, 0.05), (0.1, 0.4)])
def test_windows_meet_their_constraint(kind: str, low: float | None, high: float | None) -> None:
    limits = (f"min_{kind}: {low} " if low is not None else "") + (f"max_{kind}: {high}" if high is not None else "")
    later = "min_object_coverage: 2 " if kind == "jaccard_overlap" else ""  # no box can: the fork does not look at it
    prototxt = (
        "batch_sampler { max_sample: 1 max_trials: 50 sampler { min_scale: 0.3 max_scale: 0.9 min_aspect_ratio: 0.5 max_aspect_ratio: 2 } "
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
        assert any((low is None or p >= low - 1e-5) and (high is None or p <= high + 1e-5) for p in parts)


def test_samplers_share_the_draw() -> None:
    """A whole-image sampler and one of scale 0.5 that always succeeds: two windows of the second for one of the first."""
    prototxt = (
        "batch_sampler { max_sample: 1 max_trials: 1 } "
        "batch_sampler { max_sample: 2 max_trials: 9 sampler { min_scale: 0.5 max_scale: 0.5 } } "
        "batch_sampler { max_trials: 5 sample_constraint { min_jaccard_overlap: 0.9 } sampler { min_scale: 0.1 max_scale: 0.1 } } "
        "batch_sampler { use_original_image: false }"
    )
    samplers = BatchSamplers(text.parse(prototxt, pb.AnnotatedDataParameter).batch_sampler)
    windows = [samplers.window(objects((0, 0, 1, 1)), RNG(seed)) for seed in range(900)]
    whole = windows.count((0, 0, 1, 1))
    assert abs(whole - 300) < 4 * (900 * 2 / 9) ** 0.5
    assert BatchSamplers([]).window(objects(), RNG(0)) is None


def test_no_object_meets_no_constraint() -> None:
    prototxt = "batch_sampler { sample_constraint { max_jaccard_overlap: 1 } }"
    assert BatchSamplers(text.parse(prototxt, pb.AnnotatedDataParameter).batch_sampler).window(objects(), RNG(0)) is None


# the whole chain


AUGMENTED = """
mirror: true mean_value: 104 mean_value: 117 mean_value: 123 emit_constraint { emit_type: CENTER }
resize_param { height: 48 width: 64 interp_mode: LINEAR interp_mode: AREA interp_mode: NEAREST interp_mode: CUBIC interp_mode: LANCZOS4 }
distort_param {
  brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 18
  saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5 random_order_prob: 0.3
}
expand_param { prob: 0.7 max_expand_ratio: 4.0 }
"""
BYTES_ONLY = AUGMENTED.replace("hue_prob: 0.5", "").replace("saturation_prob: 0.5", "")
SAMPLERS = """
batch_sampler { max_sample: 1 max_trials: 1 }
batch_sampler {
  max_sample: 1 max_trials: 50
  sampler { min_scale: 0.3 min_aspect_ratio: 0.5 max_aspect_ratio: 2 } sample_constraint { min_jaccard_overlap: 0.1 }
}
"""


@pytest.mark.parametrize(("prototxt", "levels", "share"), [(BYTES_ONLY, 0, 0.001), (AUGMENTED, 4, 0.01)])
def test_equals_the_steps_done_one_by_one(prototxt: str, levels: int, share: float) -> None:
    """Distort everything, make the whole canvas, cut the window, resize, mirror: the same pixels and boxes as the short way.

    OpenCV's HSV to BGR rounds the last columns of a row differently, by one level, which later steps make a few.
    """
    param = text.parse(prototxt, pb.TransformationParameter)
    samplers = BatchSamplers(text.parse(SAMPLERS, pb.AnnotatedDataParameter).batch_sampler)
    whole = transformer(prototxt, SAMPLERS)
    resize = Resize(param.resize_param)
    beside = 0
    for seed in range(150):
        image, found = pixels(90, 120, seed=seed), objects((0.1, 0.2, 0.5, 0.6), (0.4, 0.4, 0.9, 0.8), (0.7, 0.0, 1.0, 0.3))
        out, kept = whole(Sample(image, found, None), RNG(seed))
        rng = RNG(seed)
        step = distort.draw(param.distort_param, rng)(image)
        canvas = expand.draw(param.expand_param, 120, 90, rng)
        if canvas:
            larger = np.empty((canvas.height, canvas.width, 3), np.uint8)
            larger[:] = (104, 117, 123)
            larger[-canvas.top : 90 - canvas.top, -canvas.left : 120 - canvas.left] = step
            step = larger
            view = (canvas.left / 120, canvas.top / 90, (canvas.left + canvas.width) / 120, (canvas.top + canvas.height) / 90)
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
    out, kept = run("expand_param { prob: 1 max_expand_ratio: 3 } mean_value: 99.6", image, objects((0.25, 0.25, 0.75, 0.5)), seed=3)
    height, width = out.shape[:2]
    assert height > 60
    assert set(np.unique(out)) == {0, 100, 255}
    rows, columns = np.nonzero((out == 255).all(2))
    expected = [columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height]
    np.testing.assert_allclose(kept.boxes[0], expected, atol=1e-6)


# boxes


def test_project_by_hand() -> None:
    """Window 0.5 .. 1 across, 0 .. 0.5 down: (0.6 - 0.5) / 0.5 = 0.2 and so on. The second object lies beside it, the third touches it."""
    found = objects((0.6, 0.1, 1.0, 0.7), (0.1, 0.1, 0.4, 0.4), (0.2, 0.0, 0.5, 0.5))
    kept = project(found, (0.5, 0.0, 1.0, 0.5), None)
    np.testing.assert_allclose(kept.boxes, [[0.2, 0.2, 1.0, 1.0]], atol=1e-6)
    assert kept.ids.tolist() == [[1, 0, 0]]
    assert len(project(objects(), (0, 0, 1, 1), pb.EmitConstraint())) == 0


@pytest.mark.parametrize(
    ("emit", "kept"),
    [("CENTER", [1, 2]), ("MIN_OVERLAP emit_overlap: 0.5", [1]), ("MIN_OVERLAP emit_overlap: 0.2", [1, 2, 3])],
)
def test_emit_constraints(emit: str, kept: list[int]) -> None:
    """The left half of the image: object 1 lies inside; of 2 exactly half, its centre on the edge; of 3 a quarter."""
    found = objects((0.1, 0.1, 0.3, 0.3), (0.25, 0.25, 0.75, 0.75), (0.375, 0.25, 0.875, 0.75))
    assert project(found, (0.0, 0.0, 0.5, 1.0), text.parse(f"emit_type: {emit}", pb.EmitConstraint)).ids[:, 0].tolist() == kept


def test_mirrored_by_hand() -> None:
    np.testing.assert_allclose(mirrored(objects((0.1, 0.2, 0.4, 0.6))).boxes, [[0.6, 0.2, 0.9, 0.6]], atol=1e-6)


# resize


@pytest.mark.parametrize(
    ("mode", "old", "size", "box"),
    [  # a box of 0.25 .. 0.5 across and 0.5 .. 1 down
        ("WARP", (80, 60), (40, 40), (0.25, 0.5, 0.5, 1)),
        # 80 x 60 fits 40 x 40 as 40 x 30, with 5 above and below: (5 + 0.5 * 30) / 40 = 0.5, (5 + 30) / 40 = 0.875
        ("FIT_LARGE_SIZE_AND_PAD", (80, 60), (40, 40), (0.25, 0.5, 0.5, 0.875)),
        # 60 x 80 fits as 30 x 40, with 5 left and right: (5 + 0.25 * 30) / 40 = 0.3125, (5 + 15) / 40 = 0.5
        ("FIT_LARGE_SIZE_AND_PAD", (60, 80), (40, 40), (0.3125, 0.5, 0.5, 1)),
        ("FIT_SMALL_SIZE", (80, 60), (53, 40), (0.25, 0.5, 0.5, 1)),
        ("FIT_SMALL_SIZE", (60, 80), (40, 53), (0.25, 0.5, 0.5, 1)),
    ],
)
def test_resize_modes(mode: str, old: tuple[int, int], size: tuple[int, int], box: tuple[float, ...]) -> None:
    prototxt = f"resize_param {{ resize_mode: {mode} width: 40 height: 40 pad_value: 7 pad_value: 8 pad_value: 9 }}"
    out, kept = run(prototxt, np.full((old[1], old[0], 3), 200, np.uint8), objects((0.25, 0.5, 0.5, 1)))
    assert (out.shape[1], out.shape[0]) == size
    np.testing.assert_allclose(kept.boxes, [box], atol=1e-6)
    padded = (out == (7, 8, 9)).all(2)
    assert padded.sum() == (10 * 40 if mode == "FIT_LARGE_SIZE_AND_PAD" else 0)
    assert (out[~padded] == 200).all()


@pytest.mark.parametrize("interpolation", [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4])
def test_scaled_without_the_empty_part(interpolation: int) -> None:
    """An image at the upper left of one colour, down to nothing and up to all of it, scaled down and up."""
    draw, differing = RNG(interpolation), 0
    for _ in range(120):
        width, height = draw.integers(20, 400, 2).tolist()
        end = (int(draw.integers(width + 1)), int(draw.integers(height + 1)))
        image = np.full((height, width, 3), (104, 117, 123), np.uint8)
        image[: end[1], : end[0]] = draw.integers(0, 256, (end[1], end[0], 3))
        whole = cv2.resize(image, (90, 90), interpolation=interpolation)
        difference = np.abs(scaled(image, (90, 90), interpolation, end).astype(int) - whole)
        assert difference.max() <= 1
        differing += (difference > 0).sum()
    assert differing < 0.001 * 120 * whole.size


def test_fit_small_size_extrapolates() -> None:
    """80 x 60 becomes 53.33 x 40 by its shorter side; relative to 20 x 10: 0.3 * 53.33 / 20 = 0.8, 0.2 * 40 / 10 = 0.8."""
    prototxt = "resize_param { resize_mode: FIT_SMALL_SIZE width: 40 height: 40 width_scale: 20 height_scale: 10 }"
    _, kept = run(prototxt, pixels(), objects((0, 0, 0.3, 0.2)))
    np.testing.assert_allclose(kept.boxes, [[0, 0, 0.8, 0.8]], atol=1e-6)
    with pytest.raises(CaffeError, match="width_scale"):
        run(prototxt.replace("20", "60"), pixels(), objects((0, 0, 0.3, 0.2)))


def test_crop_in_the_middle_and_at_random() -> None:
    image = pixels(60, 80)
    out, kept = run("crop_h: 20 crop_w: 40", image, objects((0.25, 0.25, 0.75, 0.5)))
    np.testing.assert_array_equal(out, image[20:40, 20:60])
    # 20 .. 60 across is the window; 15 .. 30 of 20 .. 40 down: 0 .. 0.5
    np.testing.assert_allclose(kept.boxes, [[0, 0, 1, 0.5]], atol=1e-6)
    np.testing.assert_array_equal(run("crop_h: 20", image, objects())[0], image[:20])
    with pytest.raises(CaffeError, match="a crop of 61 x 61 is larger than the image, 80 x 60"):
        run("crop_size: 61", image, objects())
    corners = {run("crop_size: 59", image, objects(), pb.TRAIN, seed)[0].tobytes() for seed in range(400)}
    assert corners == {image[y : y + 59, x : x + 59].tobytes() for y in range(2) for x in range(22)}


# noise


def luminance(image: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    ycrcb = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)
    ycrcb[:, :, 0] = change(np.ascontiguousarray(ycrcb[:, :, 0]))
    return cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2BGR)


def grey(image: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2)


def lab_bytes(image: np.ndarray) -> np.ndarray:
    """The beginning of each row of floats, byte by byte: what the fork takes for the image."""
    lab = cv2.cvtColor(image.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_BGR2Lab)
    return np.stack([np.frombuffer(row.tobytes()[: row.size], np.uint8).reshape(-1, 3) for row in lab])


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("inverse: true", lambda x: 255 - x),
        ("posterize: true", lambda x: x // 64 * 64 + 32),
        ("decolorize: true", grey),
        ("gauss_blur: true", lambda x: cv2.GaussianBlur(x, (7, 7), 1.5)),
        ("hist_eq: true", lambda x: luminance(x, cv2.equalizeHist)),
        ("clahe: true", lambda x: luminance(x, cv2.createCLAHE(4.0, (8, 8)).apply)),
        ("erode: true", lambda x: cv2.erode(x, np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8))),
        ("jpeg: 30", lambda x: cv2.imdecode(cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)),
        ("convert_to_hsv: true", lambda x: cv2.cvtColor(x, cv2.COLOR_BGR2HSV)),
        ("convert_to_lab: true", lab_bytes),
        ("prob: 0 inverse: true posterize: true", lambda x: 255 - (x // 64 * 64 + 32)),
    ],
)
def test_noise(option: str, expected: Callable[[np.ndarray], np.ndarray]) -> None:
    image = pixels()
    out, _ = run(f"noise_param {{ {option} }}", image, objects())
    assert out.shape == image.shape
    np.testing.assert_array_equal(out, expected(image))


def test_salt_and_pepper() -> None:
    """A tenth of 480 pixels, drawn with replacement: at most 48 of them, and hardly fewer than 35, take the colour."""
    image = np.full((20, 24, 3), 100, np.uint8)
    out, _ = run("noise_param { saltpepper: true saltpepper_param { fraction: 0.1 value: 1 value: 2 value: 3 } }", image, objects())
    changed = (out != 100).any(2)
    assert 35 <= changed.sum() <= 48
    assert (out[changed] == (1, 2, 3)).all()


@pytest.mark.parametrize("option", ["inverse", "posterize", "gauss_blur", "hist_eq", "clahe", "erode"])
def test_noise_on_grey_images(option: str) -> None:
    image = pixels(channels=1)
    out, _ = run(f"noise_param {{ {option}: true jpeg: 90 }}", image, objects())
    assert out.shape == image.shape
    assert (out != image).any()


# mean and scale


def test_mean_and_scale() -> None:
    image = pixels()
    out = np.empty((3, 60, 80), np.float32)
    transformer("mean_value: 103.94 mean_value: 116.78 mean_value: 123.68 scale: 0.017").normalise(image, out)
    mean = np.array([103.94, 116.78, 123.68], np.float32)[:, None, None]
    expected = (image.transpose(2, 0, 1).astype(np.float32) - mean) * np.float32(0.017)
    np.testing.assert_array_equal(out, expected)
    transformer("mean_value: 100").normalise(image, out)
    np.testing.assert_array_equal(out, image.transpose(2, 0, 1).astype(np.float32) - 100)
    with pytest.raises(CaffeError, match="mean_value needs 1 value or 3"):
        transformer("mean_value: 1 mean_value: 2").normalise(image, out)


def test_mean_file(tmp_path: Path) -> None:
    mean = RNG(0).normal(100, 20, (3, 60, 80)).astype(np.float32)
    blob = pb.BlobProto(num=1, channels=3, height=60, width=80, data=mean.ravel().tolist())
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    source = write(tmp_path / "db", [("a", record(coded(pixels()), []))])
    data, _ = layer(source, 1, f'mean_file: "{tmp_path}/mean.binaryproto" scale: 0.5').forward([])
    np.testing.assert_allclose(data[0].numpy(), (pixels().transpose(2, 0, 1) - mean) * 0.5, rtol=1e-6)
    with pytest.raises(CaffeError, match=r"mean_file is \(3, 60, 80\)"):
        layer(source, 1, f'mean_file: "{tmp_path}/mean.binaryproto" resize_param {{ width: 8 height: 8 }}').forward([])
    (tmp_path / "mean.binaryproto").write_bytes(b"no such thing")
    with pytest.raises(LayerError, match="not a BlobProto"):
        layer(source, 1, f'mean_file: "{tmp_path}/mean.binaryproto"')
    with pytest.raises(LayerError, match="nowhere: No such file"):
        layer(source, 1, 'mean_file: "nowhere"')


def test_pixels_of_a_window_are_never_none() -> None:
    assert expand.pixels((0.999, 0.999, 1.0, 1.0), 80, 60) == Rect(79, 59, 1, 1)
    assert expand.pixels((0.25, 0.5, 0.75, 1.0), 80, 60) == Rect(20, 30, 40, 30)


@pytest.mark.parametrize(
    ("param", "samplers", "message"),
    [
        ("resize_param { height: 300 }", "", "height and width must be positive"),
        ("expand_param { max_expand_ratio: 1 }", "", "max_expand_ratio must be above 1"),
        ("force_color: true force_gray: true", "", "exclude each other"),
        ("distort_param { contrast_prob: 0.5 contrast_lower: 2 contrast_upper: 1 }", "", "contrast_lower <= contrast_upper"),
        ("distort_param { hue_prob: 0.5 hue_delta: -1 }", "", "hue_delta must not be negative"),
        ("noise_param { saltpepper: true }", "", "needs saltpepper_param"),
        ("noise_param { saltpepper: true saltpepper_param { value: 0 fraction: nan } }", "", "fraction must lie"),
        ("", "batch_sampler { sampler { min_scale: 0.9 max_scale: 0.3 } }", "min_scale <= max_scale"),
        ("", "batch_sampler { sampler { min_aspect_ratio: 0 } }", "min_aspect_ratio <= max_aspect_ratio"),
    ],
)
def test_refuses_what_the_fork_refuses(tmp_path: Path, param: str, samplers: str, message: str) -> None:
    with pytest.raises(LayerError, match=f"layer 'data'.*{message}"):
        layer(tmp_path, 1, param, samplers)
