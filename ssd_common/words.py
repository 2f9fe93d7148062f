"""Numbers in words that users read."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A number and what it counts: "1 image", "3 images".

    noun: an English noun whose plural ends in a plain s.
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
