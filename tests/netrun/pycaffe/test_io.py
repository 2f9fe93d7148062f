"""netrun.io against its words in NumPy: pycaffe's caffe.io."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from netrun.pycaffe import io
from ssd_common.errors import CaffeError

RNG = np.random.default_rng(7)


def between_centres(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Linear interpolation written out: target pixel i lies at (i + 1/2) * source / target - 1/2.

    The border goes on outside.
    """
    found = np.empty((*size, image.shape[2]))
    (height, width), image = image.shape[:2], image.astype(np.float64)
    for i in range(size[0]):
        y = min(max((i + 0.5) * height / size[0] - 0.5, 0), height - 1)
        top, down = int(y), min(int(y) + 1, height - 1)
        for j in range(size[1]):
            x = min(max((j + 0.5) * width / size[1] - 0.5, 0), width - 1)
            left, right = int(x), min(int(x) + 1, width - 1)
            rows = [
                image[row, left] * (1 - x + left) + image[row, right] * (x - left)
                for row in (top, down)
            ]
            found[i, j] = rows[0] * (1 - y + top) + rows[1] * (y - top)
    return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(9, 11), (40, 50), (17, 30), (23, 31)])
def test_resizing_is_linear_between_pixel_centres(size: tuple[int, int], channels: int) -> None:
    image = RNG.random((23, 31, channels), dtype=np.float32)
    found = io.resize_image(image, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, between_centres(image, size), atol=1e-6)


def test_resizing_other_channels_goes_from_corner_to_corner() -> None:
    ramp = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 3, 2), np.float32)
    found = io.resize_image(ramp, (9, 3))
    np.testing.assert_allclose(found[:, 1, 0], np.arange(9) / 2, atol=1e-6)
    assert io.resize_image(ramp, (9, 3), interp_order=0)[:, 0, 0].tolist() == [
        0,
        1,
        1,
        2,
        2,
        3,
        3,
        4,
        4,
    ]
    assert io.resize_image(np.ones((1, 1, 2)), (3, 4)).tolist() == np.ones((3, 4, 2)).tolist()
    with pytest.raises(CaffeError, match="interp_order must be 0 or 1"):
        io.resize_image(ramp, (9, 3), interp_order=3)


def test_the_transformer_does_what_ssd_detect_asks_for() -> None:
    t = io.Transformer({"data": (1, 3, 20, 30)})
    t.set_transpose("data", (2, 0, 1))
    t.set_mean("data", np.array([104, 117, 123]))
    t.set_raw_scale("data", 255)
    t.set_channel_swap("data", (2, 1, 0))
    t.set_input_scale("data", 0.5)
    image = RNG.random((20, 30, 3), dtype=np.float32)
    kept = image.copy()
    found = t.preprocess("data", image)
    wanted = (image[:, :, ::-1] * 255 - [104, 117, 123]).transpose(2, 0, 1) * 0.5
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)
    assert (image == kept).all()
    assert found.dtype == np.float32
    np.testing.assert_allclose(t.deprocess("data", found[None]), image, atol=1e-5)
    large = RNG.random((33, 44, 3))
    wanted = (between_centres(large, (20, 30))[:, :, ::-1] * 255 - [104, 117, 123]).transpose(
        2, 0, 1
    ) * 0.5
    np.testing.assert_allclose(t.preprocess("data", large), wanted, rtol=1e-4, atol=1e-3)


def test_means_of_every_form() -> None:
    t = io.Transformer({"data": (1, 2, 2, 3)})
    flat, whole = np.arange(6).reshape(2, 3), np.arange(12.0).reshape(2, 2, 3)
    values = np.zeros((2, 2, 3), np.float32)
    for mean in (np.array([1, 2]), whole):
        t.set_mean("data", mean)
        np.testing.assert_array_equal(
            t.deprocess("data", values),
            np.broadcast_to(mean if mean.ndim > 1 else mean[:, None, None], (2, 2, 3)),
        )
    grey = io.Transformer({"data": (1, 1, 2, 3)})
    grey.set_mean("data", flat)
    np.testing.assert_array_equal(grey.deprocess("data", values[:1])[0], flat)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda t: t.set_mean("dat", 1),
            r"'dat' is not one of the inputs data \(did you mean 'data'\?\)",
        ),
        (lambda t: t.set_mean("data", np.zeros(2)), "2 values, but 'data' has 3 channels"),
        (lambda t: t.set_mean("data", np.zeros((2, 9, 9))), "does not fit"),
        (lambda t: t.set_transpose("data", (0, 1)), "has 3 axes"),
        (lambda t: t.set_channel_swap("data", (0, 1)), "has 3 channels"),
        (lambda t: t.preprocess("label", np.zeros((2, 2, 3))), "'label' is not one"),
    ],
)
def test_what_does_not_fit_is_named(call, message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        call(io.Transformer({"data": (1, 3, 8, 8)}))


def test_images_of_every_kind_are_floats_of_rgb(tmp_path: Path) -> None:
    bgr = RNG.integers(0, 256, (4, 5, 3), np.uint8)
    rgb = bgr[:, :, ::-1] / np.float32(255)
    grey = rgb @ np.array([0.2125, 0.7154, 0.0721], np.float32)
    files = {
        "rgb.png": bgr,
        "alpha.png": np.dstack([bgr, np.full((4, 5), 9, np.uint8)]),
        "deep.png": bgr.astype(np.uint16) * 257,
    }
    for name, image in files.items():
        cv2.imwrite(str(tmp_path / name), image)
        np.testing.assert_allclose(io.load_image(tmp_path / name), rgb, atol=1e-6)
        np.testing.assert_allclose(
            io.load_image(str(tmp_path / name), color=False), grey[:, :, None], atol=1e-6
        )
        assert io.load_image(tmp_path / name).dtype == np.float32
    cv2.imwrite(str(tmp_path / "grey.png"), bgr[:, :, 0])
    assert io.load_image(tmp_path / "grey.png", color=False).shape == (4, 5, 1)
    np.testing.assert_allclose(
        io.load_image(tmp_path / "grey.png"), np.repeat(rgb[:, :, 2:], 3, 2), atol=1e-6
    )
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    for name, message in (
        ("text.png", "not an image"),
        ("empty.png", "not an image"),
        ("none.png", "No such file"),
    ):
        with pytest.raises(CaffeError, match=f"{name}: {message}"):
            io.load_image(tmp_path / name)


def test_oversampling_takes_corners_centre_and_mirrors() -> None:
    image = np.arange(5 * 7).reshape(5, 7, 1).astype(np.float32)
    crops = io.oversample([image, image + 100], (3, 4))
    assert crops.shape == (20, 3, 4, 1)
    assert crops[:5, 0, 0, 0].tolist() == [0, 3, 14, 17, 8]
    np.testing.assert_array_equal(crops[5:10], crops[:5, :, ::-1])
    np.testing.assert_array_equal(crops[10:], crops[:10] + 100)


def test_arrays_go_through_messages() -> None:
    array = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    blob = io.array_to_blobproto(array, diff=array * 2)
    np.testing.assert_array_equal(io.blobproto_to_array(blob), array)
    np.testing.assert_array_equal(io.blobproto_to_array(blob, return_diff=True), array * 2)
    legacy = pb.BlobProto(num=1, channels=2, height=3, width=4, data=array.ravel().tolist())
    assert io.blobproto_to_array(legacy).shape == (1, 2, 3, 4)
    with pytest.raises(ValueError, match="reshape"):
        io.blobproto_to_array(pb.BlobProto(data=[1, 2]))
    several = io.blobprotovector_str_to_arraylist(
        io.arraylist_to_blobprotovector_str([array, array[0]])
    )
    assert [a.shape for a in several] == [(2, 3, 4), (3, 4)]
    for values, label in ((RNG.integers(0, 256, (3, 4, 5), np.uint8), 7), (array, None)):
        datum = io.array_to_datum(values, label)
        np.testing.assert_array_equal(io.datum_to_array(datum), values)
        assert datum.HasField("label") == (label is not None)
    with pytest.raises(ValueError, match="three axes"):
        io.array_to_datum(array[0])
    with pytest.raises(CaffeError, match="encoded image"):
        io.datum_to_array(pb.Datum(encoded=True, data=b"x"))


def test_an_open_file_is_read_like_the_file_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    cv2.imwrite(str(path), RNG.integers(0, 256, (3, 4, 3)).astype(np.uint8))
    held = BytesIO(path.read_bytes())
    assert np.array_equal(io.load_image(held), io.load_image(path))
    with path.open("rb") as file:
        assert io.load_image(file, color=False).shape == (3, 4, 1)
    with pytest.raises(CaffeError, match="not an image"):
        io.load_image(BytesIO(b""))
    with pytest.raises(CaffeError, match=r"^5: neither a path nor a file"):
        io.load_image(5)  # type: ignore[arg-type]


def test_a_mean_of_another_size_is_resized_as_in_bvlcs_classify() -> None:
    transformer = io.Transformer({"data": (1, 3, 4, 6)})
    mean = RNG.uniform(90, 130, (3, 8, 12))
    transformer.set_mean("data", mean)
    expected = between_centres(mean.transpose(1, 2, 0), (4, 6)).transpose(2, 0, 1)
    np.testing.assert_allclose(transformer.mean["data"], expected, rtol=1e-5)
    transformer.set_mean("data", np.full((3, 9, 9), 7.0))  # where BVLC divides 0 by 0
    assert (transformer.mean["data"] == 7).all()
