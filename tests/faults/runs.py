"""Orders commands from the server, and reads what became of them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults import trees
from tests.faults.disk import Tree
from tests.faults.oplog import Call, read
from tests.support import ROOT

SHIM = Path(__file__).with_name("shim.c")
NEVER, ONCE, STAYS, SHORT, DIES = range(5)


@dataclass(frozen=True)
class Fault:
    """What happens to call number `at`, from 1 on.

    how: ONCE: it fails; STAYS: so do all calls after it; SHORT: it writes half; DIES: the process
      ends before it.
    """

    at: int = 0
    how: int = NEVER
    errno: int = 0

    def __str__(self) -> str:
        words = ("none", "once", "stays", "short write", "process ends")
        name = errno.errorcode.get(self.errno, "")
        return f"call {self.at} {words[self.how]} {name}".rstrip()


WORKS = Fault()


@dataclass(frozen=True)
class Done:
    """How a command ended: exit status, stdout and stderr, and the calls that it made."""

    status: int
    said: str
    calls: list[Call]


class Runner:
    """A server's client.

    scratch: a folder for the shim, logs and outputs.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        library = scratch / "shim.so"
        cc = [compiler(), "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
        subprocess.run([*cc, "-o", str(library), str(SHIM), "-ldl"], check=True)
        # Forks of a process without PyTorch take a third of the time.
        light = self._start(library, "data_prep", "netgen")
        self._servers = {
            "netrun": self._start(library, "netrun"),
            "data_prep": light,
            "netgen": light,
        }

    @staticmethod
    def _start(library: Path, *programs: str) -> subprocess.Popen[str]:
        """Start a server that runs these programs."""
        settings = {"LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server", str(library), *programs],
            cwd=ROOT,
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        argv: Sequence[str],
        folder: Path,
        *,
        fault: Fault = WORKS,
        changes: Sequence[str] = (),
        log: bool = False,
    ) -> Done:
        """Run a command in a folder, below which calls count, and wait for its end."""
        said = self.scratch / "said"
        calls = self.scratch / "calls"
        order = {
            "argv": list(argv),
            "folder": str(folder),
            "changes": list(changes),
            "at": fault.at,
            "how": fault.how,
            "errno": fault.errno,
            "said": str(said),
            "log": str(calls) if log else "",
        }
        server = self._servers[argv[0]]
        assert server.stdin
        assert server.stdout
        server.stdin.write(f"{json.dumps(order)}\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        found = read(calls) if log else []
        return Done(status, said.read_text(encoding="utf-8", errors="replace"), found)

    def after(self, argv: Sequence[str], before: Tree, changes: Sequence[str] = ()) -> Tree:
        """Return the files that a command leaves of those before it."""
        folder = self.scratch / "before"
        trees.write(before, folder)
        done = self.run(argv, folder, changes=changes)
        assert done.status == 0, done.said
        return trees.read(folder)

    def close(self) -> None:
        """End the servers."""
        for server in set(self._servers.values()):
            server.communicate()


def compiler() -> str:
    """Return the path of the C compiler; "" where there is none."""
    return shutil.which("cc") or ""
