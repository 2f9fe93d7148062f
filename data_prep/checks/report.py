"""What is wrong with a data set: gathered while it is read, so that one run tells everything."""

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
FEW = 3  # of one kind, in a grouped report
HEADINGS = {
    "error": "errors:",
    "warning": "warnings (they stop neither building nor training):",
    "mended": "mended (a build with the same --fix writes it so):",
    "note": "notes:",
}
SEVERITIES = ("note", "mended", "warning", "error")  # the worst comes last, next to the prompt


class Report:
    """The faults of one run. Errors mean that nothing will be written; the rest is told.

    Of faults of one kind and subject only as many as are ever printed are kept, so that memory does
    not grow with the data set, unless full is set: then `write` has them all.
    """

    def __init__(self, full: bool = False) -> None:
        self._groups: dict[tuple[str, str, str], list[Fault]] = {}
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._full: list[Fault] | None = [] if full else None

    def add(self, faults: Iterable[Fault]) -> None:
        """Take faults in."""
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
        """Faults by severity and kind, the worst severity last."""
        found: dict[str, Counter[str]] = {severity: Counter() for severity in SEVERITIES}
        for (severity, kind, _), count in self._counts.items():
            found[severity][kind] += count
        return {severity: dict(kinds) for severity, kinds in found.items() if kinds}

    def grouped(self) -> list[str]:
        """Everything by severity, the worst first, and by kind.

        Of each kind come the first few, and what to do about it.
        """
        found: list[str] = []
        for severity, kinds in reversed(self.counts().items()):
            found.append(HEADINGS[severity])
            for kind, count in kinds.items():
                about = FAULT_KINDS[kind]
                heading = f"  {about.title}: {count}"
                if about.remedy and severity != "mended":
                    heading += f" ({about.remedy})"
                found.append(heading)
                found += self._examples(severity, kind, count)
        return found or ["nothing is wrong"]

    def _examples(self, severity: str, kind: str, count: int) -> list[str]:
        """The first few of so many faults of a kind, a line each, and how many there are more."""
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
        """A line for each group of faults: the first of them, and the number of the others.

        Kinds that are told one by one have a line for each.
        """
        found: list[str] = []
        for group, faults in self._groups.items():
            if group[0] != severity:
                continue
            about, count = FAULT_KINDS[group[1]], self._counts[group]
            if about.each:
                found += map(str, faults)
                if count > len(faults):
                    found.append(f"… {count - len(faults)} more {about.title}")
            elif count > 1:
                found.append(f"{faults[0]} (and {count - 1} more like it)")
            else:
                found.append(str(faults[0]))
        return found

    def print(self) -> None:
        """All but the errors on stderr, one line each."""
        for severity in SEVERITIES[:-1]:
            _print(severity, self.lines(severity))

    def write(self, path: Path) -> None:
        """Write all faults to a file: a line each, or JSON with counts for a name in .json.

        Raises CaffeError where it cannot be written.
        """
        faults = self._full or []
        if path.suffix == ".json":
            listed = ",\n".join(json.dumps({"severity": f.severity, **f._asdict()}) for f in faults)
            write_atomic(
                path, f'{{"counts": {json.dumps(self.counts())}, "faults": [\n{listed}\n]}}\n'
            )
        else:
            write_atomic(path, "".join(f"{f.severity}: {f.kind}: {f}\n" for f in faults))

    def raise_errors(self) -> None:
        """Raise CaffeError if there was any error.

        It says the error itself, or how many there are after all of them on stderr.
        """
        errors = self.lines("error")
        if len(errors) == 1:
            raise CaffeError(errors[0])
        if errors:
            _print("error", errors)
            raise CaffeError(f"{sum(self.counts()['error'].values())} errors, nothing was written")


def _print(severity: str, lines: list[str]) -> None:
    for line in lines[:SHOWN]:
        print(f"data_prep: {severity}: {line}", file=sys.stderr)
    if len(lines) > SHOWN:
        print(f"data_prep: {severity}: … and {len(lines) - SHOWN} more", file=sys.stderr)
