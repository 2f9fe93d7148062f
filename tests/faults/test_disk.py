"""The model of the disk: by hand, against a process that really ends, and with broken programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults import nets, trees
from tests.faults.disk import Disk, Tree
from tests.faults.oplog import Call
from tests.faults.runs import DIES, ONCE, Fault, Runner
from tests.faults.scenario import NOTHING, Scenario, Trial

_OLD: Tree = {"file": b"old"}


def _call(name: str, fd: int = -1, data: bytes = b"", path: str = "", target: str = "") -> Call:
    places = [f"/top/{place}" if place else "" for place in (path, target)]
    return Call(1, name, fd, 0, 0, data, *places)


CREATE = _call("create", 3, path="new")
WRITE = _call("write", 3, b"new!")
SYNC = _call("sync", 3)
RENAME = _call("rename", path="new", target="file")
FOLDER = Call(1, "open", 4, 0, os.O_RDONLY, b"", "/top", "")
SYNC_FOLDER = _call("sync", 4)


def _contents(*calls: Call) -> set[bytes | None]:
    """What "file" may hold after these calls and a crash."""
    disk = Disk("/top", _OLD)
    for call in calls:
        disk.follow(call)
    return {tree.get("file", b"missing") for tree in disk.states(None)}


def test_a_rename_may_reach_the_disk_before_the_data() -> None:
    assert _contents(CREATE, WRITE, RENAME) == {b"old", b"", b"new!", b"\0\0\0\0"}


def test_a_rename_of_synced_data_is_old_or_new() -> None:
    assert _contents(CREATE, WRITE, SYNC, RENAME) == {b"old", b"new!"}


def test_a_synced_folder_keeps_the_rename() -> None:
    calls = (CREATE, WRITE, SYNC, RENAME, FOLDER, SYNC_FOLDER)
    assert _contents(*calls) == {b"new!"}


def test_a_name_may_reach_the_disk_before_an_earlier_one() -> None:
    disk = Disk("/top", {})
    for call in (_call("mkdir", path="a"), _call("mkdir", path="b")):
        disk.follow(call)
    states = list(disk.states(None))
    assert {"b": None} in states
    assert {"a": None} in states
    assert {} in states


def test_half_of_a_write_may_be_done() -> None:
    disk = Disk("/top", {})
    disk.follow(CREATE)
    assert {"new": b"ne"} in list(disk.states(WRITE))


def test_the_model_agrees_with_a_process_that_ends_at_any_call(
    runner: Runner, tmp_path: Path
) -> None:
    scenario = nets.written_files(runner)
    trial = Trial(scenario, runner, tmp_path / "run")
    disk = Disk(str(trial.folder), scenario.before)
    for call in trial.calls:
        if call.number:
            trees.write(scenario.before, trial.folder)
            fault = Fault(call.number, DIES)
            done = runner.run(scenario.argv, trial.folder, fault=fault, changes=scenario.changes)
            assert done.status == -9
            left = trees.identity(trees.read(trial.folder), NOTHING)
            assert left == trees.identity(disk.all(), NOTHING)
        disk.follow(call)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("no_sync", "is neither old nor new: b''"),
        ("no_temporary_names", "is neither old nor new"),
    ],
)
def test_a_broken_program_is_noticed(
    runner: Runner, tmp_path: Path, broken: str, said: str
) -> None:
    whole = nets.written_files(runner)
    scenario = Scenario(whole.argv, whole.before, (*whole.changes, broken))
    trial = Trial(scenario, runner, tmp_path / "run")
    assert [line for line in trial.crash_faults() if said in line]


def test_calls_fail_where_the_log_says(runner: Runner, tmp_path: Path) -> None:
    scenario = nets.written_files(runner)
    trial = Trial(scenario, runner, tmp_path / "run")
    (number, *_) = (call.number for call in trial.calls if call.name == "rename")
    trees.write(scenario.before, trial.folder)
    fault = Fault(number, ONCE, 5)
    done = runner.run(scenario.argv, trial.folder, fault=fault, changes=scenario.changes)
    path = "prototxt/fssd_tiny_shapes/train.prototxt"
    assert done.status == 1
    assert done.said == f"netgen: error: {path}: cannot write: Input/output error\n"
    assert trees.read(trial.folder) == scenario.before
