"""`netgen build`: its answers for a shell, and its flags' values."""

from __future__ import annotations

from pathlib import Path

import pytest

from netgen.cli import main
from netgen.reports.answers import KEYS


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    """The lines of `netgen build …`."""
    assert main(["build", *argv]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("id", ["ssd300_coco"]),
        ("sources", ["/d/coco/coco_train_lmdb", "/d/coco/coco_minival_lmdb"]),
        ("test_lmdb", ["/d/coco/coco_minival_lmdb"]),
        ("weights", ["models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel"]),
        ("max_iter", ["480000"]),
        ("batch", ["32"]),
        ("trial", ["2", "20"]),  # 34.36 GMACs: 1600 / 68.72 = 23, but at most 20
        ("net_changed", ["no"]),
    ],
)
def test_print(work: Path, capsys: pytest.CaptureFixture[str], key: str, lines: list[str]) -> None:
    assert printed(capsys, "ssd300_coco", "--data", "/d", "--print", key) == lines
    assert not list(work.iterdir()), "nothing is written"


def test_print_several_of_a_changed_detector(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["ssd300", "--iters", "70", "--batch", "4", "--print", "max_iter", "--print", "batch"]
    assert printed(capsys, *argv) == ["70", "4"]
    assert printed(capsys, "fssd_tiny_shapes", "--print", "weights") == [""], "from scratch"


def test_print_sources_is_print_sources(capsys: pytest.CaptureFixture[str]) -> None:
    sources = printed(capsys, "ssd300", "--print", "sources")
    assert printed(capsys, "ssd300", "--print-sources") == sources


def test_every_key_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert all(f"{key} ({answer.what})" in out for key, answer in KEYS.items())
