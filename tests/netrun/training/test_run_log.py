"""Reading a training log."""

from __future__ import annotations

from pathlib import Path

import pytest

from netrun.training import run_log
from ssd_common.errors import CaffeError


def test_a_resumed_log_reads_as_one_run(tmp_path: Path) -> None:
    """Iterations 0 to 40 of a run that was killed, and its second part from the snapshot at 20:
    what came after 20 first is gone.
    """
    prefix = "I1121 02:03:04.000000  1234 solver.cpp:243]"
    first = [f"{prefix} Iteration {i}, loss = 1" for i in range(0, 50, 10)]
    second = [f"{prefix} Iteration {i}, loss = 2" for i in (20, 30)]
    (tmp_path / "a.log").write_text("\n".join(first + second))
    assert run_log.read(tmp_path / "a.log").loss == {0: 1, 10: 1, 20: 2, 30: 2}


def test_a_log_without_an_iteration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("no log\n")
    with pytest.raises(
        CaffeError,
        match=r"a.log: no iteration of a training log in it \(netrun writes one with --log\)$",
    ):
        run_log.read(tmp_path / "a.log")
    with pytest.raises(CaffeError, match=r"b.log: No such file or directory$"):
        run_log.read(tmp_path / "b.log")
