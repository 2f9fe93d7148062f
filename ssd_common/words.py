"""Numbers in words that users read."""

from __future__ import annotations


def memory_size(count: int) -> str:
    """Bytes in words: "1.5 GiB", or "300 MiB" below one GiB."""
    if count >= 1 << 30:
        return f"{count / (1 << 30):.1f} GiB"
    return f"{count / (1 << 20):.0f} MiB"


def counted(count: int, noun: str) -> str:
    """A number and what it counts: "1 image", "3 images".

    noun: an English noun whose plural ends in a plain s.
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
