"""What netrun logs while a test runs, whatever handlers other tests left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def log_lines(shown: Callable[[logging.LogRecord], T]) -> Iterator[list[T]]:
    """Collect what is logged from INFO up. shown: what the list has of a record."""
    logger = logging.getLogger("netrun")
    before = logger.level
    found: list[T] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(shown(record))  # type: ignore[method-assign]
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
