"""What holds for the whole suite."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterable

import pytest

# A suite started in the background ignores SIGINT, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# OpenMP's threads spin while they wait for each other. On a busy machine the suite then takes many
# times as long. Torch reads this when it is imported; netrun's own processes set the same.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def skips_by_reason(reports: Iterable[pytest.TestReport]) -> list[str]:
    """A line a reason, the most frequent first: how many cases were skipped for it."""
    counts: Counter[str] = Counter()
    for report in reports:
        told = report.longrepr
        reason = told[2] if isinstance(told, tuple) else str(told)
        counts[reason.removeprefix("Skipped: ")] += 1
    return [f"{count:5}  {reason}" for reason, count in counts.most_common()]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases were skipped, and why."""
    skipped = terminalreporter.getreports("skipped")
    if skipped:
        terminalreporter.section(f"{len(skipped)} cases skipped")
        terminalreporter.write_line("\n".join(skips_by_reason(skipped)))
