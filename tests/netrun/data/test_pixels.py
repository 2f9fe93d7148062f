from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError, LayerError
from tests.netrun.data.augmentation import RNG, objects, run, transformer
from tests.netrun.data.records import coded, layer, pixels, record, write


def luminance(image: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    ycrcb = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)
    ycrcb[:, :, 0] = change(np.ascontiguousarray(ycrcb[:, :, 0]))
    return cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2BGR)


def grey(image: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2)


def lab_bytes(image: np.ndarray) -> np.ndarray:
    """The beginning of each row of floats, byte by byte: what the fork takes for the image."""
    lab = cv2.cvtColor(image.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_BGR2Lab)
    return np.stack(
        [np.frombuffer(row.tobytes()[: row.size], np.uint8).reshape(-1, 3) for row in lab]
    )


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("inverse: true", lambda x: 255 - x),
        ("posterize: true", lambda x: x // 64 * 64 + 32),
        ("decolorize: true", grey),
        ("gauss_blur: true", lambda x: cv2.GaussianBlur(x, (7, 7), 1.5)),
        ("hist_eq: true", lambda x: luminance(x, cv2.equalizeHist)),
        ("clahe: true", lambda x: luminance(x, cv2.createCLAHE(4.0, (8, 8)).apply)),
        (
            "erode: true",
            lambda x: cv2.erode(x, np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)),
        ),
        (
            "jpeg: 30",
            lambda x: cv2.imdecode(
                cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR
            ),
        ),
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
    """A tenth of 480 pixels, drawn with replacement: at most 48 of them, and hardly fewer than 35,
    take the colour.
    """
    image = np.full((20, 24, 3), 100, np.uint8)
    out, _ = run(
        (
            "noise_param { saltpepper: true "
            "saltpepper_param { fraction: 0.1 value: 1 value: 2 value: 3 } }"
        ),
        image,
        objects(),
    )
    changed = (out != 100).any(2)
    assert 35 <= changed.sum() <= 48
    assert (out[changed] == (1, 2, 3)).all()


@pytest.mark.parametrize(
    "option", ["inverse", "posterize", "gauss_blur", "hist_eq", "clahe", "erode"]
)
def test_noise_on_grey_images(option: str) -> None:
    image = pixels(channels=1)
    out, _ = run(f"noise_param {{ {option}: true jpeg: 90 }}", image, objects())
    assert out.shape == image.shape
    assert (out != image).any()


def test_mean_and_scale() -> None:
    image = pixels()
    out = np.empty((3, 60, 80), np.float32)
    transformer("mean_value: 103.94 mean_value: 116.78 mean_value: 123.68 scale: 0.017").normalise(
        image, out
    )
    mean = np.array([103.94, 116.78, 123.68], np.float32)[:, None, None]
    expected = (image.transpose(2, 0, 1).astype(np.float32) - mean) * np.float32(0.017)
    np.testing.assert_array_equal(out, expected)
    transformer("mean_value: 100").normalise(image, out)
    np.testing.assert_array_equal(out, image.transpose(2, 0, 1).astype(np.float32) - 100)
    with pytest.raises(CaffeError, match="mean_value needs 1 value or 3"):
        transformer("mean_value: 1 mean_value: 2").normalise(image, out)


def test_a_mean_file_is_a_regular_file(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="/dev/zero: not a regular file"):
        layer(
            write(tmp_path / "db", [("a", record(coded(pixels()), []))]),
            1,
            'mean_file: "/dev/zero"',
        )


def test_mean_file(tmp_path: Path) -> None:
    mean = RNG(0).normal(100, 20, (3, 60, 80)).astype(np.float32)
    blob = pb.BlobProto(num=1, channels=3, height=60, width=80, data=mean.ravel().tolist())
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    source = write(tmp_path / "db", [("a", record(coded(pixels()), []))])
    data, _ = layer(source, 1, f'mean_file: "{tmp_path}/mean.binaryproto" scale: 0.5').forward([])
    np.testing.assert_allclose(
        data[0].numpy(), (pixels().transpose(2, 0, 1) - mean) * 0.5, rtol=1e-6
    )
    with pytest.raises(CaffeError, match=r"mean_file is \(3, 60, 80\)"):
        layer(
            source,
            1,
            f'mean_file: "{tmp_path}/mean.binaryproto" resize_param {{ width: 8 height: 8 }}',
        ).forward([])
    (tmp_path / "mean.binaryproto").write_bytes(b"no such thing")
    with pytest.raises(LayerError, match="not a BlobProto"):
        layer(source, 1, f'mean_file: "{tmp_path}/mean.binaryproto"')
    with pytest.raises(LayerError, match="nowhere: No such file"):
        layer(source, 1, 'mean_file: "nowhere"')
