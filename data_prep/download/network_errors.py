"""Network errors in plain words."""

from __future__ import annotations

LONGEST = 60  # characters of an unknown error that are still shown as they are
PLAIN = {
    "timed out": "the server does not answer",
    "resol": "no network, or no such server",
    "refused": "connection refused",
    "Connection broken": "the connection broke off",
    "Connection aborted": "the connection broke off",
}


def plain_words(error: Exception) -> str:
    """Describe a network error in a few words, without the names of Python's classes."""
    words = str(error)
    for sign, plain in PLAIN.items():
        if sign in words:
            return plain
    if len(words) < LONGEST:
        return words
    return "cannot be reached"
