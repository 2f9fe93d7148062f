"""WindowData: which windows come, what is cut out of the image, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import netrun
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import build, layer

IMAGE = np.random.default_rng(4).integers(0, 256, (20, 30, 3), np.uint8)
FOREGROUND = [(3, 2, 12, 11), (20, 5, 29, 14)]  # 10 x 10 pixels each
BACKGROUND = [(0, 0, 9, 9), (5, 5, 14, 14), (10, 10, 19, 19)]


@pytest.fixture
def source(tmp_path: Path) -> str:
    cv2.imwrite(str(tmp_path / "a.png"), IMAGE)
    rows = [f"{i + 1} 0.75 {' '.join(map(str, box))}" for i, box in enumerate(FOREGROUND)]
    rows += [f"5 0.25 {' '.join(map(str, box))}" for box in BACKGROUND]
    rows.append("5 0.5 0 0 1 1")  # neither
    (tmp_path / "windows").write_text(f"# 0\na.png\n3 20 30\n{len(rows)}\n" + "\n".join(rows))
    return str(tmp_path)


def windows(
    source: str,
    fields: str = "",
    transform: str = "crop_size: 10",
    batch: int = 4,
    **options: object,
) -> netrun.Net:
    param = (
        f'source: "{source}/windows" root_folder: "{source}/" batch_size: {batch} '
        f"fg_threshold: 0.6 bg_threshold: 0.4 {fields}"
    )
    return build(
        layer(
            "WindowData",
            "",
            "x l",
            f"window_data_param {{ {param} }} transform_param {{ {transform} }}",
        ),
        **options,
    )


def cut(box: tuple[int, int, int, int]) -> np.ndarray:
    return IMAGE[box[1] : box[3] + 1, box[0] : box[2] + 1].transpose(2, 0, 1)


def test_a_batch_is_background_then_a_share_of_foreground(source: str) -> None:
    net = windows(source, "fg_fraction: 0.5", "crop_size: 10 mean_value: 7")
    seen = set()
    for _ in range(12):
        out = net.forward()
        assert out["l"].tolist()[:2] == [0, 0]
        for image, label in zip(out["x"], out["l"], strict=True):
            kind = [FOREGROUND[int(label) - 1]] if label else BACKGROUND
            found = [box for box in kind if np.array_equal(image + 7, cut(box))]
            assert len(found) == 1
            seen.add(found[0])
    assert seen == {*FOREGROUND, *BACKGROUND}
    last = out["x"].copy()
    net.seek(11)
    assert np.array_equal(net.forward()["x"], last)


def test_mirrored_windows(source: str) -> None:
    net = windows(source, transform="crop_size: 10 mirror: true", batch=8)
    found = set()
    for _ in range(4):
        for image in net.forward()["x"][:6]:
            found |= {
                side
                for side in (1, -1)
                for box in BACKGROUND
                if np.array_equal(image[:, :, ::side], cut(box))
            }
    assert found == {1, -1}


def test_context_beyond_the_image_is_zero(source: str) -> None:
    # 10 pixels are to fill 6 of the canvas's 10: 5 - 5 x 10 / 6 rounds to -3, so that 3 of 17
    # pixels, 2 of the canvas, lie outside
    net = windows(source, "context_pad: 2 fg_fraction: 0 crop_mode: 'square'", "crop_size: 10")
    for _ in range(8):
        for image in net.forward()["x"]:
            if not image[:, 0].any() and not image[:, :, 0].any():
                assert not image[:, :2].any()
                assert image[:, 2:, 2:].all(0).mean() > 0.9
                return
    raise AssertionError("the window in the corner was never drawn")


def test_what_window_data_refuses(source: str) -> None:
    with pytest.raises(CaffeError, match="context_pad 5 leaves nothing of crop_size 10"):
        windows(source, "context_pad: 5")
    file = Path(source) / "windows"
    good = file.read_text()
    for wrong, message in (
        (good.replace("a.png", "b.png"), "none of the 5 records can be read"),
        (good.replace("0.75", "0.5"), "no window is foreground by fg_threshold and bg_threshold"),
        (
            good.replace("\n6\n", "\n7\n"),
            "image 0 is not '# index path channels height width count'",
        ),
        (good.replace("3 20", "1 20"), "image 0 has not 3 channels"),
        (
            good.replace("1 0.75", "0 0.75"),
            "image 0 has a foreground window of class 0; classes start at 1",
        ),
        (
            good.replace("9 9", "9 99").replace("14 14", "99 14").replace("19 19", "99 9"),
            r"does not lie in its image, 30 x 20 pixels",
        ),
    ):
        file.write_text(wrong)
        with pytest.raises(CaffeError, match=message):
            windows(source).forward()


@pytest.mark.parametrize("words", [2, 3, 4, 7, 11, -1])
def test_a_file_that_ends_too_early_is_refused(source: str, words: int) -> None:
    """Cut in the header of its image, in its count, and within a row."""
    file = Path(source) / "windows"
    file.write_text(" ".join(file.read_text().split()[:words]))
    with pytest.raises(
        CaffeError, match="image 0 is not '# index path channels height width count'"
    ):
        windows(source)
