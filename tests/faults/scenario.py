"""Runs a command once for every call that may fail, and checks what every crash may leave."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults import trees
from tests.faults.disk import Disk, Tree
from tests.faults.oplog import Call
from tests.faults.runs import ONCE, SHORT, STAYS, Done, Fault, Runner

TEMPORARY = re.compile(r"(^|/)\.[^/]*\.(tmp|lock)($|/)|\.(tmp|old)-[^/]*($|/)")

NOTHING = re.compile("(?!)")


def nothing_more(_: Tree) -> list[str]:
    """Return no fault of a tree."""
    return []


@dataclass(frozen=True)
class Scenario:
    """A command that replaces or adds files.

    before: the files at its start, its input included.
    changes: functions of `changes` that its process calls first.
    again: the command that goes on after a failure; None: the same.
    extra: paths that a failure may leave beside temporary ones.
    removes: paths that a failure may leave missing.
    faults: more of what is wrong with a tree.
    since: a path: only calls from the first one on it are tried, another scenario has the others.
    """

    argv: tuple[str, ...]
    before: Tree
    changes: tuple[str, ...] = ()
    again: tuple[str, ...] | None = None
    extra: str = "(?!)"
    removes: str = "(?!)"
    faults: Callable[[Tree], list[str]] = nothing_more
    since: str = ""

    def is_temporary(self, path: str) -> bool:
        """Tell whether no reader looks at a path."""
        return bool(TEMPORARY.search(path) or re.search(self.extra, path))

    def final(self, tree: Tree) -> Tree:
        """Return the files at their final names."""
        return {path: data for path, data in tree.items() if not self.is_temporary(path)}


class Trial:
    """A scenario and its run without a fault.

    folder: where it runs.
    after: the files at its end.
    """

    def __init__(self, scenario: Scenario, runner: Runner, folder: Path) -> None:
        self.scenario = scenario
        self.folder = folder
        self._runner = runner
        self._seen: dict[object, list[str]] = {}
        trees.write(scenario.before, folder)
        done = runner.run(scenario.argv, folder, changes=scenario.changes, log=True)
        assert done.status == 0, done.said
        self.calls: list[Call] = done.calls
        self.after = trees.read(folder)
        assert not [path for path in self.after if scenario.is_temporary(path)]

    def _tried(self) -> list[Call]:
        """List the calls that are tried."""
        since = str(self.folder / self.scenario.since)
        paths = [call.path for call in self.calls]
        if not self.scenario.since:
            return self.calls
        return self.calls[paths.index(since) :]

    def model_faults(self) -> list[str]:
        """Say where the model of the disk is wrong, or the end of the run is not on the disk."""
        disk = Disk(str(self.folder), self.scenario.before)
        for call in self.calls:
            disk.follow(call)
        found = []
        if disk.all() != self.after:
            found.append("the shim has not seen all calls")
        return found + _differences(
            "not on the disk at the end", self.scenario.final(disk.synced()), self.after
        )

    def error_faults(self) -> list[str]:
        """Say what is wrong after any call fails."""
        return [line for fault in self._errors() for line in self._after_error(fault)]

    def _errors(self) -> Iterator[Fault]:
        for call in self._tried():
            if not call.number:
                continue
            yield Fault(call.number, ONCE, errno.EIO)
            yield Fault(call.number, STAYS, errno.EIO)
            if call.needs_room:
                yield Fault(call.number, ONCE, errno.ENOSPC)
                yield Fault(call.number, STAYS, errno.ENOSPC)
            if len(call.data) > 1:
                yield Fault(call.number, SHORT)

    def _after_error(self, fault: Fault) -> list[str]:
        scenario = self.scenario
        trees.write(scenario.before, self.folder)
        done = self._runner.run(scenario.argv, self.folder, fault=fault, changes=scenario.changes)
        tree = trees.read(self.folder)
        found = self._faults(tree) + _faults_told(done, scenario.argv[0])
        if done.status == 0:
            found += _differences("status 0", scenario.final(tree), self.after)
        else:
            found += self._again(tree, scenario.changes)
        return [f"{fault}, {self._named(fault.at)}: {line}" for line in found]

    def _named(self, number: int) -> str:
        (call,) = (call for call in self.calls if call.number == number)
        return f"{call.name} {call.path}"

    def crash_faults(self) -> list[str]:
        """Say what is wrong after the power goes at any moment."""
        disk = Disk(str(self.folder), self.scenario.before)
        found = []
        changes = (*self.scenario.changes, "another_boot")
        tried = self._tried()
        for call in self.calls[: -len(tried)]:
            disk.follow(call)
        for call in [*tried, None]:
            for state in disk.states(call):
                lines = self._faults(state) + self._again(state, changes)
                name = f"{call.number} {call.name} {call.path}" if call else "the end"
                found += [f"crash before {name}: {line}" for line in lines]
            if call:
                disk.follow(call)
        return found

    def _faults(self, tree: Tree) -> list[str]:
        """Say which files are neither old nor new."""
        found = []
        for path, data in self.scenario.final(tree).items():
            allowed = [every[path] for every in (self.scenario.before, self.after) if path in every]
            if data not in allowed:
                found.append(f"{path} is neither old nor new: {data!r:.80}")
        kept = self.scenario.before.keys() & self.after.keys()
        for path in kept - tree.keys():
            if not re.search(self.scenario.removes, path):
                found.append(f"{path} is lost")
        return found + self.scenario.faults(tree)

    def _again(self, tree: Tree, changes: tuple[str, ...]) -> list[str]:
        """Say what is wrong once the command has run again; each tree is tried once.

        No command reads what is left of a build before another boot.
        """
        unread = TEMPORARY if "another_boot" in changes else NOTHING
        key = (trees.identity(tree, unread), changes)
        if key not in self._seen:
            self._seen[key] = self._run_again(tree, changes)
            return self._seen[key]
        return []

    def _run_again(self, tree: Tree, changes: tuple[str, ...]) -> list[str]:
        trees.write(tree, self.folder)
        argv = self.scenario.again or self.scenario.argv
        done = self._runner.run(argv, self.folder, changes=changes)
        if self.scenario.final(tree) == self.after:  # all was done: the command may say so
            return _differences("again", self.scenario.final(trees.read(self.folder)), self.after)
        if done.status:
            return [f"again: status {done.status}: {done.said.strip()[-300:]}"]
        return _differences("again", trees.read(self.folder), self.after)


def _differences(when: str, tree: Tree, wanted: Tree) -> list[str]:
    found = [f"{when}: no {path}" for path in wanted.keys() - tree.keys()]
    found += [f"{when}: {path} is left" for path in tree.keys() - wanted.keys()]
    for path in tree.keys() & wanted.keys():
        if tree[path] != wanted[path]:
            found.append(f"{when}: {path} differs: {tree[path]!r:.80}")
    return found


def _faults_told(done: Done, program: str) -> list[str]:
    """Say what is wrong with what a user reads."""
    if "Traceback" in done.said:
        return [f"traceback: {done.said[-600:]}"]
    if done.status < 0 or done.status > 2:
        return [f"status {done.status}: {done.said[-300:]}"]
    lines = done.said.splitlines()
    errors = [line for line in lines if line.startswith((f"{program}: error: ", "E"))]
    if done.status and len(errors) != 1:
        return [f"status {done.status} without one line of error: {done.said[-300:]}"]
    return []
