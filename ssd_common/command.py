"""How every command ends: its exit status, and its errors on one line of stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ssd_common.errors import CaffeError


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
