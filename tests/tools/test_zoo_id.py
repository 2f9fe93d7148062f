"""What `make NAME` means, asked before anything is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netgen.zoo.registry import entries
from ssd_common.errors import CaffeError
from tests.support import ROOT
from tools import zoo_id


def test_ids_are_the_zoo() -> None:
    assert sorted(zoo_id.zoo_ids()) == sorted(entries())


def test_targets_are_the_makefile_s() -> None:
    assert {"help", "test", "prototxt"} < set(zoo_id.targets())


@pytest.mark.parametrize(
    ("name", "full"), [("fssd300", "fssd300_voc0712"), ("ppn300", "ppn300_coco")]
)
def test_full_id(name: str, full: str, capsys: pytest.CaptureFixture[str]) -> None:
    zoo_id.main([name])
    assert capsys.readouterr().out == f"{full}\n"


@pytest.mark.parametrize(("name", "near"), [("fsd300", "fssd300"), ("tset", "test")])
def test_nearest(name: str, near: str) -> None:
    said = rf"^no zoo id or make target '{name}' \(did you mean '{near}'\?\); `make help` shows"
    with pytest.raises(CaffeError, match=said):
        zoo_id.main([name])


def test_needs_the_standard_library_only() -> None:
    command = [sys.executable, "-S", "-m", "tools.zoo_id", "fssd300"]  # -S: without site-packages
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "fssd300_voc0712\n"
