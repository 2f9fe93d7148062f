"""`make bench`, as little of it as shows that it runs; what it measures is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import building, report
from bench.__main__ import Measured, compare
from bench.nets import ROOT
from ssd_common.errors import UsageError


def test_two_contenders_and_a_report(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "bench",
        "--quick",
        "--parts",
        "loading,matrices",
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "loader, images a second: " in done.stdout
    found = json.loads((tmp_path / "cpu.json").read_text())
    assert all(
        len(m["seconds"]) == 2 and not m["failed"]
        for part in found["found"].values()
        for m in part.values()
    )
    assert "| loading | decoding alone |" in (tmp_path / "cpu.md").read_text()
    assert (tmp_path / "cpu.png").stat().st_size > 5000
    assert str(Path.home()) not in json.dumps(found)


def test_a_contender_that_fails_is_a_row_of_its_own(tmp_path: Path) -> None:
    options = {"threads": 1, "device": "cpu", "precision": "fp32", "net": "no_such_net", "batch": 1}
    found = {"inference": compare({"netrun fp32": ("deploy", options)}, 2)}
    assert "no_such_net" in found["inference"]["netrun fp32"].failed
    assert report.write(tmp_path, "cpu", {"date": "today"}, found) == 1
    assert "failed: " in (tmp_path / "cpu.md").read_text()


@pytest.mark.parametrize(("seconds", "met"), [(0.8, True), (0.95, False)])
def test_targets(seconds: float, met: bool) -> None:
    facts = {
        "by_type": {"Convolution": 9.0, "DetectionOutput": 1.0},
        "needed": {"weights": 100, "activations": 100},
    }
    mine = Measured(
        "netrun fp32", {"precision": "fp32", "batch": 1}, [9.0, seconds, 0.1], facts, memory=250
    )
    other = Measured("OpenCV DNN", {"batch": 1}, [1.0])
    found = report.targets({"inference": {m.name: m for m in (mine, other)}}, "cpu")
    assert [(round(t.value, 3), t.met) for t in found] == [
        (seconds, met),
        (0.1, False),
        (1.25, True),
    ]


def test_the_measurement_of_netgen_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """It takes no argument, and measures nothing for a wrong one."""
    with pytest.raises(SystemExit) as end:
        building.main(["--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m bench.building [-h]\n")
    with pytest.raises(UsageError, match=r"--runs; see python -m bench\.building --help"):
        building.main(["--runs"])
