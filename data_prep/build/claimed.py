"""Keeps other processes off what a build writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ssd_common.durable import make_folder
from ssd_common.errors import CaffeError
from ssd_common.files import clear_leftovers
from ssd_common.locks import holding


@contextmanager
def claimed(path: Path, *beside: Path) -> Iterator[None]:
    """Inside the block, no other process builds the folder `path`.

    Makes the folder that path is in, and removes it if it is empty at the end. Temporary files that
    killed builds left go.

    beside: the files that are written with path alone.
    Raises CaffeError where another process builds path, and where path cannot be written.
    """
    place = path.parent
    names = {file.name for file in beside}
    with ExitStack() as stack:
        if not place.exists():
            stack.callback(_remove_if_empty, place)
        try:
            make_folder(place)
        except OSError as error:
            raise CaffeError(f"{path}: cannot write: {error.strerror}") from None
        lock = stack.enter_context(holding(place, path.name, str(path), _warn))
        clear_leftovers(place, names.__contains__, alone=lock.works)
        del lock
        yield


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        os.rmdir(folder)


def _warn(line: str) -> None:
    print(f"data_prep: warning: {line}", file=sys.stderr)
