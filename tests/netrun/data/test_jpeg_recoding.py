"""Images encoded as JPEG again after distort, expand and crop, as the SSD fork does."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.data import distort, expand
from netrun.data.datum import Sample, coded_as_jpeg
from netrun.data.resize import Resize
from netrun.data.sampler import BatchSamplers
from netrun.data.transform import Transformer
from netrun.runtime.options import RunOptions
from ssd_common.errors import CaffeError
from tests.netrun.data.augmentation import AUGMENTED, RNG, SAMPLERS, objects
from tests.netrun.data.records import coded, layer, pixels, record, write
from tests.support import SHARED, needs_shared

SCORES = SHARED / "golden" / "scores"
WHOLE = "batch_sampler {}"  # what the released test nets have
SMALL = "resize_param { height: 30 width: 40 interp_mode: LINEAR }"
DISTORTION = f"{SMALL} distort_param {{ brightness_prob: 0 }}"


def jpeg(image: np.ndarray) -> np.ndarray:
    """The image through OpenCV's default JPEG, quality 95."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED).reshape(image.shape)


def coding(prototxt: str, samplers: str = "", phase: int = pb.TRAIN) -> Transformer:
    return Transformer(
        text.parse(prototxt, pb.TransformationParameter),
        text.parse(samplers, pb.AnnotatedDataParameter).batch_sampler,
        phase,
        jpeg_recoding=True,
    )


def test_after_each_step_of_the_augmentation() -> None:
    """The pixels of: distort, code, expand, code, cut, code, resize, mirror.

    A step that an image does not take does not code it; distort always does.
    """
    param = text.parse(AUGMENTED, pb.TransformationParameter)
    samplers = BatchSamplers(text.parse(SAMPLERS, pb.AnnotatedDataParameter).batch_sampler)
    whole = coding(AUGMENTED, SAMPLERS)
    resize = Resize(param.resize_param)
    taken = set()
    for seed in range(40):
        image = pixels(90, 120, seed=seed)
        out, kept = whole(Sample(image.copy(), objects(), None, encoded=True), RNG(seed))
        rng = RNG(seed)
        step = jpeg(distort.draw(param.distort_param, rng)(image))
        canvas = expand.draw(param.expand_param, 120, 90, rng)
        if canvas:
            larger = np.empty((canvas.height, canvas.width, 3), np.uint8)
            larger[:] = (104, 117, 123)
            larger[-canvas.top : 90 - canvas.top, -canvas.left : 120 - canvas.left] = step
            step = jpeg(larger)
        window = samplers.window(objects(), rng)
        if window:
            cut = expand.pixels(window, step.shape[1], step.shape[0])
            step = jpeg(np.ascontiguousarray(cut.of(step)))
        mirror = bool(rng.integers(2))
        step = resize(step, resize.interpolation(rng))
        if mirror:
            step = step[:, ::-1]
        np.testing.assert_array_equal(out, step)
        assert not len(kept)
        taken.add((canvas is not None, window is not None))
    assert {expanded for expanded, _ in taken} == {True, False}


def test_draws_and_boxes_are_those_without_coding() -> None:
    found = objects((0.1, 0.2, 0.5, 0.6), (0.4, 0.4, 0.9, 0.8))
    param = text.parse(AUGMENTED, pb.TransformationParameter)
    samplers = text.parse(SAMPLERS, pb.AnnotatedDataParameter).batch_sampler
    plain = Transformer(param, samplers, pb.TRAIN)
    for seed in range(20):
        sample = Sample(pixels(90, 120, seed=seed), found, None, encoded=True)
        drawn = RNG(seed)
        _, kept = coding(AUGMENTED, SAMPLERS)(sample, drawn)
        sample = Sample(pixels(90, 120, seed=seed), found, None, encoded=True)
        drawn_plain = RNG(seed)
        _, kept_plain = plain(sample, drawn_plain)
        np.testing.assert_array_equal(kept.boxes, kept_plain.boxes)
        assert drawn.random() == drawn_plain.random()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four images, noisy enough that JPEG changes them."""
    records = []
    for number in range(4):
        image = RNG(number).integers(0, 256, (60, 80, 3), np.uint8)
        records.append((f"{number}", record(coded(image), [(1, (0.1, 0.1, 0.9, 0.9), False)])))
    return write(tmp_path / "db", records)


def expected(number: int, *, again: bool) -> np.ndarray:
    """An image of `source`, resized to 40 x 30."""
    image = RNG(number).integers(0, 256, (60, 80, 3), np.uint8)
    if again:
        image = jpeg(image)
    return cv2.resize(image, (40, 30)).transpose(2, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("transform", "samplers", "options", "again"),
    [
        (SMALL, WHOLE, {"phase": pb.TEST}, True),
        (SMALL, WHOLE, {"phase": pb.TEST, "jpeg_recoding": False}, False),
        (SMALL, "", {"phase": pb.TEST}, False),
        (SMALL, "", {"phase": pb.TEST, "jpeg_recoding": True}, False),
        (SMALL, "batch_sampler { max_trials: 0 }", {"phase": pb.TEST}, False),
        (DISTORTION, "", {"phase": pb.TEST}, True),
        (SMALL, WHOLE, {"phase": pb.TRAIN}, False),
        (SMALL, WHOLE, {"phase": pb.TRAIN, "jpeg_recoding": True}, True),
    ],
)
def test_layer(source: Path, transform: str, samplers: str, options: dict, again: bool) -> None:
    """In TEST by default, in TRAIN where the run asks for it, and only after a step."""
    data, _ = layer(source, 4, transform, samplers, **options).forward([])
    for number in range(4):
        np.testing.assert_array_equal(data[number].numpy(), expected(number, again=again))


def test_batches_do_not_depend_on_where_a_run_begins(source: Path) -> None:
    """A resumed run sees the images of one that was not interrupted."""
    options = {"jpeg_recoding": True, "seed": 3}
    through = layer(source, 2, AUGMENTED, SAMPLERS, **options)
    batches = [through.forward([])[0] for _ in range(5)]
    resumed = layer(source, 2, AUGMENTED, SAMPLERS, **options)
    resumed.seek(3)
    for batch in batches[3:]:
        assert torch.equal(resumed.forward([])[0], batch)


def test_raw_pixels_are_not_coded(tmp_path: Path) -> None:
    image = RNG(0).integers(0, 256, (30, 40, 3), np.uint8)
    datum = pb.AnnotatedDatum(
        type=pb.AnnotatedDatum.BBOX,
        datum=pb.Datum(channels=3, height=30, width=40, data=image.transpose(2, 0, 1).tobytes()),
    )
    source = write(tmp_path / "raw", [("0", datum.SerializeToString())])
    data, _ = layer(source, 1, "", WHOLE, phase=pb.TEST).forward([])
    np.testing.assert_array_equal(data[0].numpy(), image.transpose(2, 0, 1))


def test_grey_images_stay_grey_unless_colour_is_forced() -> None:
    image = pixels(30, 40, channels=1)
    np.testing.assert_array_equal(coded_as_jpeg(image), jpeg(image))
    forced = coded_as_jpeg(image, force_color=True)
    np.testing.assert_array_equal(forced, np.repeat(jpeg(image), 3, axis=2))
    assert coded_as_jpeg(pixels(30, 40), force_gray=True).shape == (30, 40, 1)


def test_an_image_too_large_for_jpeg_is_named() -> None:
    """libjpeg's sides end at 65,500."""
    assert coded_as_jpeg(np.zeros((1, 65500, 1), np.uint8)).shape == (1, 65500, 1)
    with pytest.raises(
        CaffeError, match=r"^an image of 65501 x 1 pixels cannot be encoded as JPEG"
    ):
        coded_as_jpeg(np.zeros((1, 65501, 1), np.uint8))


@pytest.mark.parametrize(
    ("transform", "samplers", "options", "said"),
    [
        (
            SMALL,
            WHOLE,
            {"phase": pb.TEST},
            "images are encoded as JPEG again after crop, as in the fork",
        ),
        (
            SMALL,
            WHOLE,
            {"phase": pb.TEST, "jpeg_recoding": False},
            "images are not encoded as JPEG again; the fork does so after crop",
        ),
        (
            SMALL,
            "",
            {"phase": pb.TEST},
            "images are not encoded as JPEG again, as in the fork (no distort, expand or crop)",
        ),
        (
            AUGMENTED,
            SAMPLERS,
            {"phase": pb.TRAIN},
            "images are not encoded as JPEG again; the fork does so after distort, expand, crop"
            " (--jpeg-recoding does, too)",
        ),
    ],
)
def test_layer_says_which_it_does(
    source: Path, transform: str, samplers: str, options: dict, said: str
) -> None:
    assert layer(source, 1, transform, samplers, **options).coding == said


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        ("", ", as in the fork"),
        (SMALL, "; the fork cannot resize them, netrun does"),
        (DISTORTION, "; the fork cannot distort or resize them, netrun does"),
    ],
)
@pytest.mark.parametrize("phase", [pb.TRAIN, pb.TEST])
def test_layer_says_that_raw_pixels_are_never_encoded(
    tmp_path: Path, transform: str, said: str, phase: int
) -> None:
    image = pixels(30, 40)
    datum = pb.Datum(data=image.transpose(2, 0, 1).tobytes(), channels=3, height=30, width=40)
    raw = pb.AnnotatedDatum(type=pb.AnnotatedDatum.BBOX, datum=datum)
    write(tmp_path, [("0", raw.SerializeToString())])
    found = layer(tmp_path, 1, transform, WHOLE, phase=phase)
    assert found.coding == f"images are raw pixels, never encoded as JPEG{said}"


@needs_shared
def test_scores_are_the_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every class's AP in every version of AP, of weights and an LMDB that the fork scored."""
    monkeypatch.chdir(SCORES)
    forks = json.loads((SCORES / "expected.json").read_text())
    for version in ("MaxIntegral", "11point", "Integral"):
        result = netrun.test("test.prototxt", "a.caffemodel", ap_version=version)
        (found,) = result.average_precisions
        ours = {result.names[label]: ap for label, ap in found.per_class.items()}
        assert {**ours, "mAP": found.mean} == pytest.approx(forks[version], abs=2e-6)
    plain = RunOptions(jpeg_recoding=False)
    without = netrun.test("test.prototxt", "a.caffemodel", ap_version="MaxIntegral", options=plain)
    assert without.mean_ap == pytest.approx(0.145737, abs=2e-6)
