"""The command line `netgen`: its commands and their modules."""

from __future__ import annotations

from collections.abc import Sequence

from ssd_common.command import Program, run_command
from ssd_common.machine import collect_rarely

PROGRAM = Program(
    name="netgen",
    description="Writes detectors' nets, and looks at nets.",
    commands={
        "list": ("netgen.commands.list", "every detector of the zoo"),
        "build": (
            "netgen.commands.build",
            "write a detector's train, test, deploy and solver prototxt and its launch script",
        ),
        "summary": (
            "netgen.commands.summary",
            "source maps, boxes, parameters and multiply-adds of a net",
        ),
        "card": (
            "netgen.commands.card",
            "a detector's card: paper, data, schedule, boxes, costs, the command to train it",
        ),
        "diff": ("netgen.commands.diff", "how net B differs from net A"),
        "check": ("netgen.commands.check", "check nets and solvers"),
    },
    examples="""
        netgen list 'dssd*'
        netgen build fssd300 --gpus 0,1
        netgen build ssd300 --dataset data/mine/dataset.json --out runs/mine
        netgen summary fssd300 --phase train
        netgen card fssd300
        netgen diff ssd300 fssd300
        netgen check runs/mine/*.prototxt""",
)


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit status. Raises CaffeError."""
    return PROGRAM.main(argv)


def entry() -> int:
    """Run the console script `netgen` and return its exit status."""
    collect_rarely()
    return run_command("netgen", main)
