"""Gathers the faults of a data set while it is read, so that one run reports everything."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from data_prep.checks.faults import FAULT_KINDS, Fault
from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic

SHOWN = 20  # lines of one severity that are printed
FEW = 3  # faults of one kind that a grouped report prints
HEADINGS = {
    "error": "errors:",
    "warning": "warnings (they stop neither building nor training):",
    "mended": "mended (a build with the same --fix writes it so):",
    "note": "notes:",
}
# The worst comes last, next to the prompt.
SEVERITIES = ("note", "mended", "warning", "error")


class Report:
    """The faults of one run. An error means that nothing is written; the rest is only reported.

    A report keeps no more faults of one kind and subject than it ever prints, so that memory does
    not grow with the data set.

    full: keep all faults, for `write`.
    """

    def __init__(self, full: bool = False) -> None:
        self._groups: dict[tuple[str, str, str], list[Fault]] = {}
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._full: list[Fault] | None = None
        if full:
            self._full = []

    def add(self, faults: Iterable[Fault]) -> None:
        """Take in faults."""
        for fault in faults:
            group = (fault.severity, fault.kind, fault.subject)
            self._counts[group] += 1
            examples = self._groups.setdefault(group, [])
            if len(examples) < SHOWN:
                examples.append(fault)
            if self._full is not None:
                self._full.append(fault)

    @property
    def failed(self) -> bool:
        """Whether any fault is an error."""
        return any(severity == "error" for severity, _, _ in self._counts)

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the faults by severity and kind, the worst severity last."""
        found: dict[str, Counter[str]] = {severity: Counter() for severity in SEVERITIES}
        for (severity, kind, _), count in self._counts.items():
            found[severity][kind] += count
        return {severity: dict(kinds) for severity, kinds in found.items() if kinds}

    def grouped(self) -> list[str]:
        """List everything by severity, the worst first, and by kind.

        Returns lines: for each kind its number, what to do about it, and the first few faults.
        """
        found: list[str] = []
        for severity, kinds in reversed(self.counts().items()):
            found.append(HEADINGS[severity])
            for kind, count in kinds.items():
                fault_kind = FAULT_KINDS[kind]
                heading = f"  {fault_kind.title}: {count}"
                if fault_kind.remedy and severity != "mended":
                    heading += f" ({fault_kind.remedy})"
                found.append(heading)
                found += self._examples(severity, kind, count)
        return found or ["nothing is wrong"]

    def _examples(self, severity: str, kind: str, count: int) -> list[str]:
        """List the first few faults of a kind, a line each, and say how many others follow.

        count: of all faults of this kind.
        """
        examples: list[Fault] = []
        for group, faults in self._groups.items():
            if group[:2] == (severity, kind):
                examples += faults
        shown = examples
        if count > FEW + 1:
            shown = examples[:FEW]
        found = [f"    {fault}" for fault in shown]
        if count > len(shown):
            found.append(f"    … and {count - len(shown)} more")
        return found

    def lines(self, severity: str) -> list[str]:
        """List the faults of a severity: a line for each group, with its first and their number.

        A kind whose `each` is set has a line for each fault.
        """
        found: list[str] = []
        for group, faults in self._groups.items():
            if group[0] != severity:
                continue
            fault_kind = FAULT_KINDS[group[1]]
            count = self._counts[group]
            if fault_kind.each:
                found += map(str, faults)
                if count > len(faults):
                    found.append(f"… {count - len(faults)} more {fault_kind.title}")
            elif count > 1:
                found.append(f"{faults[0]} (and {count - 1} more like it)")
            else:
                found.append(str(faults[0]))
        return found

    def print(self) -> None:
        """Print everything but the errors on stderr, one line each."""
        for severity in SEVERITIES[:-1]:
            _print(severity, self.lines(severity))

    def write(self, path: Path) -> None:
        """Write all faults to a file: a line each, or JSON with counts for a name in .json.

        Raises CaffeError where it cannot be written.
        """
        faults = self._full or []
        if path.suffix == ".json":
            counts = json.dumps(self.counts())
            listed = ",\n".join(map(_as_json, faults))
            content = f'{{"counts": {counts}, "faults": [\n{listed}\n]}}\n'
        else:
            content = "".join(f"{f.severity}: {f.kind}: {f}\n" for f in faults)
        write_atomic(path, content)

    def raise_errors(self) -> None:
        """Raise CaffeError if there was any error.

        Its message is the only error, or the number of errors; stderr then has all of them.
        """
        errors = self.lines("error")
        if len(errors) == 1:
            raise CaffeError(errors[0])
        if errors:
            _print("error", errors)
            count = sum(self.counts()["error"].values())
            raise CaffeError(f"{count} errors, nothing was written")


def _as_json(fault: Fault) -> str:
    fields = {"severity": fault.severity, **fault._asdict()}
    return json.dumps(fields)


def _print(severity: str, lines: list[str]) -> None:
    for line in lines[:SHOWN]:
        print(f"data_prep: {severity}: {line}", file=sys.stderr)
    if len(lines) > SHOWN:
        print(f"data_prep: {severity}: … and {len(lines) - SHOWN} more", file=sys.stderr)
