"""Image files of every sort become records that OpenCV, and so Caffe, reads as what they show."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data_prep.images.encoding import COPIED, Encoding
from data_prep.images.image import read_image
from ssd_common.errors import CaffeError

H, W = 48, 64
PNG = Encoding("png")


def colours() -> np.ndarray:
    """H x W x 3, BGR, no two quarters alike."""
    rng = np.random.default_rng(0)
    return cv2.resize(
        rng.integers(40, 216, (3, 4, 3), np.uint8), (W, H), interpolation=cv2.INTER_CUBIC
    )


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray:
    """As a net reads it; without force_color, unless flags say otherwise."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert pixels is not None
    return pixels


PICTURE = Image.fromarray(colours()[:, :, ::-1])
TURNS = [  # what EXIF's orientations 1 to 8 ask for
    lambda p: p,
    lambda p: p[:, ::-1],
    lambda p: p[::-1, ::-1],
    lambda p: p[::-1],
    lambda p: p.swapaxes(0, 1),
    lambda p: np.rot90(p, -1),
    lambda p: p.swapaxes(0, 1)[::-1, ::-1],
    lambda p: np.rot90(p, 1),
]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = TURNS[orientation - 1](colours())
    for kind, name in (("PNG", "a.png"), ("JPEG", "a.jpg")):
        file = tmp_path / name
        file.write_bytes(saved(PICTURE, kind, exif=exif, quality=98))
        image = read_image(file, PNG if kind == "PNG" else COPIED)
        assert (image.height, image.width) == expected.shape[:2]
        assert image.shape == (3, *expected.shape[:2])
        tolerance = 0.1 if kind == "PNG" else 4
        assert np.abs(decoded(image.data).astype(int) - expected).mean() < tolerance
        assert (image.data == file.read_bytes()) == (orientation == 1)
        assert [kind for kind, _ in image.remarks] == (["upright"] if orientation > 1 else [])


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize(("kind", "name"), [("JPEG", "a.jpg"), ("PNG", "a.png")])
def test_an_annotation_of_the_size_as_stored_keeps_the_image_so(
    tmp_path: Path, kind: str, name: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / name).write_bytes(saved(PICTURE, kind, exif=exif))
    plain = saved(PICTURE, kind)
    image = read_image(tmp_path / name, Encoding(name[2:]), (W, H))
    assert (image.height, image.width) == (H, W)
    assert np.array_equal(decoded(image.data), decoded(plain)), "not encoded anew"
    assert [kind for kind, _ in image.remarks] == ["unturned"]
    assert read_image(tmp_path / name, Encoding(name[2:]), (H, W)).height == W, (
        "an annotation of the upright size"
    )


WAYS = {
    "alpha.png": (saved(PICTURE.convert("RGBA"), "PNG"), 0),
    "palette.png": (saved(PICTURE.quantize(200), "PNG"), 60),
    "palette_alpha.png": (saved(PICTURE.quantize(200), "PNG", transparency=0), 60),
    "deep.png": (cv2.imencode(".png", colours().astype(np.uint16) * 257)[1].tobytes(), 0),
    "deep.tiff": (cv2.imencode(".tiff", colours().astype(np.uint16) * 257)[1].tobytes(), 0),
    "plain.tif": (saved(PICTURE, "TIFF"), 0),
    "cmyk.tif": (saved(PICTURE.convert("CMYK"), "TIFF"), 0),
    "plain.bmp": (saved(PICTURE, "BMP"), 0),
    "plain.ppm": (saved(PICTURE, "PPM"), 0),
    "plain.webp": (saved(PICTURE, "WEBP", lossless=True), 0),
    "alpha.webp": (saved(PICTURE.convert("RGBA"), "WEBP", lossless=True), 0),
    "plain.gif": (saved(PICTURE.quantize(200), "GIF"), 60),
    "moving.gif": (
        saved(
            PICTURE.quantize(200),
            "GIF",
            save_all=True,
            append_images=[PICTURE.rotate(180).quantize(200)],
        ),
        60,
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_formats(tmp_path: Path, name: str) -> None:
    """Encoded anew: three channels of bytes that show the picture, the same bytes each time."""
    data, tolerance = WAYS[name]
    (tmp_path / name).write_bytes(data)
    for encoding, loss in ((Encoding("bmp"), 0), (COPIED, 60)):
        if name.endswith(".bmp") and encoding.encode_type == "bmp":
            assert read_image(tmp_path / name, encoding).data == data
        image = read_image(tmp_path / name, encoding)
        pixels = decoded(image.data)
        assert pixels.shape == (H, W, 3)
        assert pixels.dtype == np.uint8
        assert np.abs(pixels.astype(int) - colours()).max() <= tolerance + loss
        assert read_image(tmp_path / name, encoding) == image


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_jpegs_of_other_colours_are_copied(tmp_path: Path, mode: str) -> None:
    data = saved(PICTURE.convert(mode), "JPEG", quality=98)
    (tmp_path / "a.jpg").write_bytes(data)
    image = read_image(tmp_path / "a.jpg")
    assert image.data == data
    assert image.shape == (3, H, W)
    shown = decoded(image.data, cv2.IMREAD_COLOR)
    expected = np.asarray(PICTURE.convert(mode).convert("RGB"))[:, :, ::-1]
    assert np.abs(shown.astype(int) - expected).mean() < 4
    assert [kind for kind, _ in image.remarks] == (["grey"] if mode == "L" else [])


@pytest.mark.parametrize(
    ("picture", "kinds"),
    [
        (PICTURE, []),
        (PICTURE.convert("L"), ["grey"]),
        (PICTURE.convert("RGBA"), ["alpha"]),
        (PICTURE.convert("I;16"), ["grey", "deep"]),
    ],
    ids=["plain", "grey", "alpha", "deep"],
)
def test_pngs_are_copied_as_pngs(tmp_path: Path, picture: Image.Image, kinds: list[str]) -> None:
    (tmp_path / "a.png").write_bytes(data := saved(picture, "PNG"))
    image = read_image(tmp_path / "a.png", PNG)
    assert image.data == data
    assert [kind for kind, _ in image.remarks] == kinds


def test_names_of_other_formats(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(png := saved(PICTURE, "PNG"))
    (tmp_path / "b.png").write_bytes(saved(PICTURE, "JPEG"))
    (tmp_path / "c.jpg").write_bytes(saved(PICTURE.quantize(64), "GIF"))
    a, b, c = (read_image(tmp_path / name) for name in ("a.jpg", "b.png", "c.jpg"))
    assert (a.data, a.remarks) == (png, (("extension", "is a PNG file by another name"),)), (
        "copied, as the fork does"
    )
    assert b.data.startswith(b"\xff\xd8")
    assert b.remarks == (("extension", "is a JPEG file by another name"),)
    assert c.data.startswith(b"\xff\xd8"), "Caffe's OpenCV reads no GIF"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_files_cut_short(tmp_path: Path, kind: str, share: float) -> None:
    data = saved(PICTURE if kind != "GIF" else PICTURE.quantize(64), kind)
    file = tmp_path / f"a.{kind.lower()}"
    for cut in (data[: int(len(data) * share)], b"", data[:1]):
        file.write_bytes(cut)
        with pytest.raises(
            CaffeError, match=f"^{file}: (empty file|(?i:{kind}).*cut short|not an image)"
        ):
            read_image(file)


def test_headers_that_lie_never_crash(tmp_path: Path) -> None:
    """Flipped bytes: an image or one clean refusal."""
    rng = np.random.default_rng(0)
    outcomes = set()
    for kind, name in (
        ("JPEG", "a.jpg"),
        ("PNG", "a.png"),
        ("TIFF", "a.tif"),
        ("GIF", "a.gif"),
        ("WEBP", "a.webp"),
    ):
        whole = saved(PICTURE.quantize(64) if kind == "GIF" else PICTURE, kind)
        for _ in range(60):
            data = bytearray(whole)
            for at in rng.integers(0, min(len(data), 200), 3):
                data[at] = rng.integers(256)
            (tmp_path / name).write_bytes(data)
            try:
                outcomes.add(bool(read_image(tmp_path / name).data))
            except CaffeError as error:
                outcomes.add(False)
                assert str(error).startswith(str(tmp_path / name))  # noqa: PT017
    assert outcomes == {True, False}
