"""What is wrong with a data set: gathered while it is read, so that one run tells everything."""

from __future__ import annotations

import sys

from caffe_ir.errors import CaffeError

SHOWN = 20  # lines of either kind that are printed


class Report:
    """Errors (nothing will be written) and warnings (written as the fork's tool does) of one run.

    Several messages with the same key count as one, the first, with the number of the others after it.
    """

    def __init__(self) -> None:
        self._errors: dict[str, list[str]] = {}
        self._warnings: dict[str, list[str]] = {}

    def error(self, message: str, key: str | None = None) -> None:
        self._errors.setdefault(key or message, []).append(message)

    def warn(self, message: str, key: str | None = None) -> None:
        self._warnings.setdefault(key or message, []).append(message)

    @property
    def failed(self) -> bool:
        return bool(self._errors)

    @property
    def errors(self) -> list[str]:
        return self._lines(self._errors)

    @property
    def warnings(self) -> list[str]:
        return self._lines(self._warnings)

    @staticmethod
    def _lines(found: dict[str, list[str]]) -> list[str]:
        return [first + (f" (and {len(others)} more like it)" if others else "") for first, *others in found.values()]

    def print_warnings(self) -> None:
        """Warnings on stderr, one line each."""
        self._print("warning", self.warnings)

    def raise_errors(self) -> None:
        """Raise CaffeError if there was any error: the error itself, or a closing line after all of them on stderr."""
        errors = self.errors
        if len(errors) == 1:
            raise CaffeError(errors[0])
        if errors:
            self._print("error", errors)
            raise CaffeError(f"{len(errors)} errors, nothing was written")

    @staticmethod
    def _print(kind: str, lines: list[str]) -> None:
        for line in lines[:SHOWN]:
            print(f"data_prep: {kind}: {line}", file=sys.stderr)
        if len(lines) > SHOWN:
            print(f"data_prep: {kind}: … and {len(lines) - SHOWN} more", file=sys.stderr)
