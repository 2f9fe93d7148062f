"""Plain tables of text, for terminals and reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """Lay rows out as lines, in columns two blanks apart.

    rows: equally many cells each.
    left: how many columns, from the first, are flush left; the others are flush right.
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_line(row, widths, left) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = list(zip(row, widths, strict=True))
    shown = [cell.ljust(width) for cell, width in cells[:left]]
    shown += [cell.rjust(width) for cell, width in cells[left:]]
    return "  ".join(shown).rstrip()
