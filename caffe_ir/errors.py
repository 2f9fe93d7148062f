"""The errors a user can mend, each one clear line, and the way every command prints them."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Sequence


class CaffeError(Exception):
    """Something wrong in what the user gave: `str(error)` is one line that names file, place and remedy.

    Pieces of a spoilt file may be in it: what a terminal would not print is a dot.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message if message.isprintable() else "".join(c if c.isprintable() else "·" for c in message))


class ParseError(CaffeError):
    """A file that is not what it should be.

    path: the file as the user named it; line, column: 1-based place in a text file, or None.
    """

    def __init__(self, path: str, message: str, line: int | None = None, column: int | None = None) -> None:
        place = "".join(f":{n}" for n in (line, column) if n is not None)
        super().__init__(f"{path}{place}: {message}")
        self.path, self.line, self.column = str(path), line, column


class LayerError(CaffeError):
    """A layer that cannot be what its prototxt says. layer: its name; field: the field at fault, or None."""

    def __init__(self, layer: str, message: str, field: str | None = None) -> None:
        super().__init__(f"layer '{layer}'" + (f", {field}" if field else "") + f": {message}")
        self.layer, self.field = layer, field


class UnknownShape(LayerError):
    """A layer whose top's shape only data or other code know; whoever knows it may give it."""


def suggest(name: str, choices: Iterable[str]) -> str:
    """`" (did you mean 'num_output'?)"` for the nearest of choices, or `""` where none is near; the dashes of flags do not count."""
    by_folded = {c.lower().lstrip("-"): c for c in choices}
    near = difflib.get_close_matches(name.lower().lstrip("-"), by_folded, n=1, cutoff=0.6)
    return f" (did you mean '{by_folded[near[0]]}'?)" if near else ""


def run_command(prog: str, main: Callable[[Sequence[str]], int | None], argv: Sequence[str] | None = None) -> int:
    """Run a command's main(argv) and return its exit status: 0, 1 after one `prog: error: …` line on stderr, 130 on Ctrl-C."""
    try:
        return main(sys.argv[1:] if argv is None else argv) or 0
    except CaffeError as error:
        message = str(error)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except KeyboardInterrupt:
        sys.stderr.write(f"{prog}: interrupted\n")
        return 130
    sys.stderr.write(f"{prog}: error: {message}\n")  # print() writes the end of the line by itself: two processes' lines could mix
    return 1
