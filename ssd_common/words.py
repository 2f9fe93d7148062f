"""Numbers in words that users read."""

from __future__ import annotations


def memory_size(count: int) -> str:
    """Write a number of bytes: "1.5 GiB", or "300 MiB" below one GiB."""
    if count >= 1 << 30:
        return f"{count / (1 << 30):.1f} GiB"
    return f"{count / (1 << 20):.0f} MiB"


def counted(count: int, noun: str) -> str:
    """Write a number and what it counts: "1 image", "3 images".

    noun: an English noun whose plural ends in a plain s.
    """
    if count == 1:
        return f"{count} {noun}"
    return f"{count} {noun}s"
