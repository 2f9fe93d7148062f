"""Schedules without a policy in Caffe: the launch script runs several solvers in turn."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.text import read_solver
from netgen.launcher import LAUNCHER
from netgen.run import Run
from netgen.schedules import Schedule, Segment
from netgen.solvers import solver_chain
from netgen.writer import write
from netrun.training.lr_policy import Schedule as Policy
from ssd_common.errors import CaffeError

# Ten iterations up from 0.1 to 1, ten at 0.5, then 1 down to 0.1 and 0.01 at 30 and 40.
CHAIN = Schedule(
    steps=(30, 40),
    max_iter=50,
    base_lr=1,
    segments=(Segment(10, 0.1, 1), Segment(20, 0.5, 0.5)),
)


def detector(schedule: Schedule, folder: str = "runs/x") -> Run:
    on_cpu = replace(schedule, gpus=())
    return replace(netgen.configure("fssd_tiny"), schedule=on_cpu, folder=folder)


def started_from(weights: str) -> Run:
    run = detector(CHAIN, "runs/m y")
    return replace(run, recipe=replace(run.recipe, weights=weights))


def rates(chain: list[pb.SolverParameter]) -> list[float]:
    """The rate of every iteration in Caffe.

    A solver begins at the iteration where the one before ended, with its count of steps.
    """
    found: list[float] = []
    steps = 0
    for solver in chain:
        policy = Policy(solver)
        policy.current_step = steps
        found += [policy.rate(iteration, 0) for iteration in range(len(found), solver.max_iter)]
        steps = policy.current_step
    return found


def test_rates_of_a_chain() -> None:
    # 0.1 + 0.09 i; 0.5; from 20 on 1, from 30 on 0.1, from 40 on 0.01.
    want = [0.1 + 0.09 * i for i in range(10)] + [0.5] * 10 + [1] * 10 + [0.1] * 10 + [0.01] * 10
    assert rates(detector(CHAIN).solvers()) == pytest.approx(want, rel=1e-5)


def test_a_falling_line_that_ends_at_zero() -> None:
    segments = (Segment(10, 1, 3), Segment(20, 3, 1), Segment(30, 1, 0))
    schedule = Schedule(steps=(), max_iter=30, segments=segments)
    want = [1 + 0.2 * i for i in range(10)]
    want += [3 - 0.2 * i for i in range(10)]
    want += [1 - 0.1 * i for i in range(10)]
    chain = detector(schedule).solvers()
    assert [solver.max_iter for solver in chain] == [10, 20, 30]
    assert rates(chain) == pytest.approx(want, rel=1e-4)


def test_shortened_in_proportion() -> None:
    short = CHAIN.shortened(5)
    assert [segment.until for segment in short.segments] == [1, 2]
    assert short.steps == (3, 4)
    assert rates(detector(short).solvers()) == pytest.approx([0.1, 0.5, 1, 0.1, 0.01], rel=1e-5)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ((Segment(10, 1, 1), Segment(10, 1, 1)), "starts at iteration 10 cannot end at 10"),
        ((Segment(60, 1, 1),), "cannot end at 60 of 50"),
        ((Segment(10, 0, 1),), "positive"),
        ((Segment(10, 5, 5), Segment(20, 10, 20)), "begin the schedule above 0"),
    ],
)
def test_segments_that_are_no_schedule(segments: tuple[Segment, ...], message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        solver_chain(replace(CHAIN, segments=segments), pb.SolverParameter())


ENGINE = """#!/usr/bin/env bash
# Stands for Caffe: leaves a snapshot at the solver's max_iter, or at $STOP_AT if that comes first.
solver=${2#--solver=}
end=$(sed -n 's/^max_iter: //p' "$solver")
prefix=$(sed -n 's/^snapshot_prefix: "\\(.*\\)"/\\1/p' "$solver")
if (( ${STOP_AT:-$end} < end )); then end=$STOP_AT; fi
touch "${prefix}_iter_$end.solverstate"
echo "$(basename "$solver") ${*:3}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_launcher_runs_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each link starts from the snapshot of the one before; a stopped chain goes on from there."""
    monkeypatch.chdir(tmp_path)
    written = write(started_from("start.caffemodel"))
    solvers = [path for path in written if "solver" in path.name]
    assert [(path.name, read_solver(path).lr_policy) for path in solvers] == [
        ("solver_1.prototxt", "inv"),
        ("solver_2.prototxt", "fixed"),
        ("solver.prototxt", "multistep"),
    ]
    engine = tmp_path / "caffe/build/tools/caffe"
    engine.parent.mkdir(parents=True)
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    (tmp_path / "start.caffemodel").touch()
    state = "--snapshot=runs/m y/snapshots/fssd_tiny_shapes_iter_{}.solverstate --more"

    def run(stop_at: int | None = None) -> list[str]:
        env = os.environ | {"CAFFE_ROOT": str(tmp_path / "caffe")}
        if stop_at is not None:
            env["STOP_AT"] = str(stop_at)
        command = [f"runs/m y/{LAUNCHER}", "--more"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return [*done.stdout.splitlines(), *done.stderr.splitlines()]

    assert run(4) == [
        "solver_1.prototxt --weights=start.caffemodel --more",
        "stopped at iteration 4; run this script again to go on",
    ]
    assert run(13) == [
        f"solver_1.prototxt {state.format(4)}",
        f"solver_2.prototxt {state.format(10)}",
        "stopped at iteration 13; run this script again to go on",
    ]
    assert run() == [f"solver_2.prototxt {state.format(13)}", f"solver.prototxt {state.format(20)}"]
    tested_again = [f"solver.prototxt {state.format(50)}"]
    assert run() == tested_again, "finished: the last solver tests once more"
