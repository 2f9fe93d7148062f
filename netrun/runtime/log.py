"""Log lines in glog's format with Caffe's phrases, so that Caffe's own log parsers read them."""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from tqdm import tqdm

logger = logging.getLogger("netrun")
_LEVELS = (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)  # glog's 0 to 3


def severity(number: str) -> int:
    """The level of one of glog's numbers, of the nearest beyond them. Raises ValueError."""
    return _LEVELS[min(max(int(number), 0), 3)]


def asked(name: str, default: str = "") -> str:
    """What the environment asks of glog."""
    return os.environ.get(f"GLOG_{name}") or default


with suppress(ValueError):
    logger.setLevel(severity(asked("minloglevel")))  # `import netrun as caffe` starts no log, but warnings are seen


class GlogFormatter(logging.Formatter):
    """`I1121 02:03:04.000000  1234 solver.cpp:243] message`: level, date, time, thread, place.

    The place is the record's `at` where it has one (Caffe's own file and line for Caffe's own phrases: some parsers
    look for "solver.cpp"), else the Python file and line.
    """

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created)
        place = getattr(record, "at", None) or f"{record.filename}:{record.lineno}"
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        level = "F" if record.levelno >= logging.CRITICAL else record.levelname[0]
        return f"{level}{when:%m%d %H:%M:%S.%f} {threading.get_native_id():5d} {place}] {text}"


class _StderrHandler(logging.Handler):
    """Writes to the current stderr, above a progress bar if one is drawn there. A terminal that has gone does not end a run."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            tqdm.write(self.format(record), file=sys.stderr)
            sys.stderr.flush()


class _FileHandler(logging.FileHandler):
    """Appends to a file. A full disk does not end a run: it is said once on stderr, and what could not be written is tried again."""

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.failed:
            self.failed = True
            warning(f"the log file {self.baseFilename} cannot be written: {sys.exc_info()[1]}")

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def setup(*paths: str | Path, level: int = logging.INFO, on_stderr: int = logging.INFO) -> None:
    """Send netrun's log from this level on to the ends of these files (their folders are made), and to stderr from `on_stderr` on.

    Calling it again replaces the targets.
    """
    for old in list(logger.handlers):
        logger.removeHandler(old)
        old.close()
    handlers: list[logging.Handler] = [_StderrHandler(on_stderr)]
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_FileHandler(path, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(GlogFormatter())
        logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


def file_in(folder: str | Path) -> Path:
    """Where glog would write this process's log in a folder: `<program>.<host>.<user>.log.INFO.<date>-<time>.<pid>`."""
    program = Path(sys.argv[0]).name
    who = f"{'netrun' if program == '__main__.py' else program}.{platform.node()}.{os.environ.get('USER', 'invalid-user')}"
    return Path(folder, f"{who}.log.INFO.{datetime.now():%Y%m%d-%H%M%S}.{os.getpid()}")


def info(message: str, at: str | None = None) -> None:
    """Log a line. at: Caffe's file and line where Caffe prints the same phrase."""
    logger.info("%s", message, extra={"at": at} if at else None, stacklevel=2)


def warning(message: str, at: str | None = None) -> None:
    """Log a warning, as info()."""
    logger.warning("%s", message, extra={"at": at} if at else None, stacklevel=2)


def error(message: str, at: str | None = None) -> None:
    """Log an error, as info(). Caffe has one line of this level that is none (net.cpp, the norms of debug_info)."""
    logger.error("%s", message, extra={"at": at} if at else None, stacklevel=2)


def number(value: float) -> str:
    """A float as a C++ stream prints it: six significant digits."""
    return f"{value:g}"


class Progress:
    """How far a run is: a bar on a terminal, elsewhere a log line with the time left about once a minute.

    done, total: iterations. show: whether to show anything. Use as a context manager and call step() once an iteration.
    """

    EVERY_S = 60.0

    def __init__(self, done: int, total: int, show: bool = True) -> None:
        self.first, self.done, self.total, self.show = done, done, total, show
        self.started = self.reported = time.monotonic()
        drawn = show and sys.stderr.isatty()
        self.bar = tqdm(initial=done, total=total, unit="it", dynamic_ncols=True, leave=False) if drawn else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            with suppress(OSError):
                self.bar.close()

    def step(self) -> None:
        self.done += 1
        if self.bar is not None:
            with suppress(OSError):
                self.bar.update()
            return
        now = time.monotonic()
        if self.show and now - self.reported >= self.EVERY_S:
            self.reported = now
            each = (now - self.started) / (self.done - self.first)
            left = round(each * (self.total - self.done))
            info(f"Progress: {self.done} of {self.total}, {each:.3g} s each, {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left")
