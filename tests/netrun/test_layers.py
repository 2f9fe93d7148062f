"""Every layer against the reference Caffe: golden cases, and what they do not cover, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netrun.goldens import replay
from tests.support import golden


@pytest.mark.parametrize("path", golden("layers/*.npz"))
def test_golden(path: Path) -> None:
    replay(path)


@pytest.mark.parametrize("path", golden("fssd/[!m]*.npz"))
def test_golden_of_fssd_fork(path: Path) -> None:
    replay(path)
