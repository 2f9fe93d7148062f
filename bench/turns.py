"""Contenders that take turns, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

from bench import nets
from bench.measured import Measured

Contenders = dict[str, tuple[str, dict[str, Any]]]  # name → kind and options


class Contender:
    """A running `bench.contenders` process; it ends with the `with` block."""

    def __init__(self, kind: str, measured: Measured) -> None:
        """Start the process and wait until it is ready.

        kind: a name in `bench.contenders.CONTENDERS`.
        measured: holds its options, and receives everything that it replies.
        """
        self.measured = measured
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.contenders", kind, json.dumps(measured.options)],
            cwd=nets.ROOT,
            env=os.environ | {"PYTHONPATH": str(nets.ROOT), "GOMP_SPINCOUNT": "2000"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        measured.facts = self._reply()

    def _reply(self) -> dict[str, Any]:
        """Return its next reply; where it failed, {}, with its last words in `measured`."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        assert self.process.stderr
        words = self.process.stderr.read().strip().splitlines()
        self.measured.failed = "ended without a word"
        if words:
            self.measured.failed = words[-1]
        return {}

    def turn(self) -> None:
        """Have it measure once, unless it failed."""
        assert self.process.stdin
        if self.measured.failed:
            return
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        seconds = self._reply().get("seconds")
        if seconds:
            self.measured.seconds.append(seconds)

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None and not self.measured.failed:
            assert self.process.stdin
            self.process.stdin.close()
            last = self._reply()
            self.measured.memory = last.get("memory", 0)
            self.measured.facts |= last.get("facts", {})
        self.process.kill()
        with self.process:  # closes its pipes
            pass


def compare(contenders: Contenders, rounds: int) -> dict[str, Measured]:
    """Let contenders take turns, and print what they reach. Returns name → measurements.

    They wait ready while others run, so that a drift of the machine's speed meets all of them
    alike.
    """
    done: dict[str, Measured] = {}
    with ExitStack() as stack:
        running = []
        for name, (kind, options) in contenders.items():
            print(f"  {name} …", flush=True)
            done[name] = Measured(name, options)
            contender = Contender(kind, done[name])
            running.append(stack.enter_context(contender))
        for _ in range(rounds):
            for contender in running:
                contender.turn()
    for m in done.values():
        result = f"{m.median * 1e3:.1f} ms, {m.rate:.1f} a second"
        if m.failed:
            result = f"failed: {m.failed}"
        print(f"  {m.name}: {result}", flush=True)
    return done
