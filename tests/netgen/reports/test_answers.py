"""The answers of `netgen build ID --print KEY`."""

from __future__ import annotations

from pathlib import Path

import pytest

import netgen
from netgen.reports.answers import net_changed, trial_size
from netgen.writer import write


@pytest.mark.parametrize(
    ("zoo_id", "size"),
    [
        ("ssd300", (2, 20)),  # 31.37 GMACs: 1600 / 62.74 = 25.5, but at most 20
        ("dssd321", (2, 14)),  # 53.88 GMACs: 1600 / 107.76 = 14.8
        ("ssd512", (1, 17)),  # 90.21 GMACs, not below 60: one image; 1600 / 90.21 = 17.7
        ("m2det800_vgg_coco", (1, 3)),  # 464.82 GMACs: 1600 / 464.82 = 3.4
    ],
)
def test_trial_size(zoo_id: str, size: tuple[int, int]) -> None:
    assert trial_size(netgen.configure(zoo_id)) == size


def test_net_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    detector = netgen.configure("fssd_tiny", out="runs/x")
    assert not net_changed(detector), "no net is there"
    write(detector)
    assert not net_changed(detector)
    assert not net_changed(netgen.configure("fssd_tiny", out="runs/x", batch=3)), "batch size aside"
    assert net_changed(netgen.configure("fssd_tiny", out="runs/x", classes=3))
    file = tmp_path / "runs/x/train.prototxt"
    file.write_text(file.read_text().replace("mirror: true", "mirror: false"))
    assert net_changed(detector)
    file.write_text("no net at all")
    assert net_changed(detector)
