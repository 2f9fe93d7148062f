"""A lock that another process holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import ROOT

HOLDER = """import sys
from pathlib import Path
from ssd_common.locks import hold
lock = hold(Path(sys.argv[1]), sys.argv[2], "here", print)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """Inside the block a process holds the lock of these files; it is killed at the end."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.resolve()), name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()
