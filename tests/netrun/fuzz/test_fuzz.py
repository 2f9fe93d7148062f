"""Spoilt and absurd files, 2,000 of them: each is refused in one line, or is what it says.

More: `python -m tests.netrun.fuzz --help`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.netrun.fuzz.cases import KINDS
from tests.support import ROOT

CASES = 2000


def test_spoilt_files_are_refused_or_right(tmp_path: Path) -> None:
    """In a process of its own with a limit of memory: a crash, a hang or a huge allocation ends
    that one, and names the case.
    """
    command = [
        sys.executable,
        "-m",
        "tests.netrun.fuzz",
        "--seed",
        "2",
        "--cases",
        str(CASES),
        "--folder",
        str(tmp_path / "files"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=ROOT,
    )
    last = (tmp_path / "files" / "case").read_text()
    assert done.returncode == 0, f"python -m tests.netrun.fuzz {last}\n{done.stderr[-4000:]}"
    found = json.loads(done.stdout.splitlines()[-1])
    assert sum(found.values()) == CASES
    assert {name.split()[0] for name in found} == set(KINDS)
    for kind in set(KINDS) - {"jpeg"}:  # a spoilt picture is passed over
        assert found.get(f"{kind} refused"), kind
        assert found.get(f"{kind} accepted"), kind
