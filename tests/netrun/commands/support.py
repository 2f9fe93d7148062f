"""Commands run in this process, and the solver of the run that the commands' tests share."""

from __future__ import annotations

import sys

from netrun.cli import entry

SOLVER = """net: "test.prototxt" test_iter: 3 test_interval: 4 test_initialization: false
eval_type: "detection" ap_version: "11point" show_per_class_result: true
base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 8 display: 3 snapshot: 4
snapshot_prefix: "snap/n" random_seed: 1
solver_mode: CPU
"""


USAGE = (" --help", "no command")  # of errors that exit with 2


def netrun(*argv: str) -> int:
    """Exit status of a command, run in this process."""
    before, sys.argv = sys.argv, ["netrun", *argv]
    try:
        return entry()
    finally:
        sys.argv = before


def refusal(capsys, *argv: str) -> str:
    """The one line that a command refuses with; exit status 2 where it says how to use it."""
    status = netrun(*argv)
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("netrun: error: ")
    ]
    assert len(lines) == 1
    usage = any(words in lines[0] for words in USAGE)
    assert status == 1 + usage
    return lines[0].removeprefix("netrun: error: ")
