"""Logs in glog's format with Caffe's phrases, so that Caffe's own log parsers can read it."""

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
    """The logging level of one of glog's numbers, 0 to 3.

    A number outside that range counts as the nearest in it. Raises ValueError for other text.
    """
    nearest = min(max(int(number), 0), 3)
    return _LEVELS[nearest]


def glog_variable(name: str, default: str = "") -> str:
    """The environment's value of one of glog's flags, such as GLOG_minloglevel.

    default: replaces an empty or missing value.
    """
    return os.environ.get(f"GLOG_{name}") or default


# With `import netrun as caffe` there is no log, but warnings show.
with suppress(ValueError):
    logger.setLevel(severity(glog_variable("minloglevel")))


class GlogFormatter(logging.Formatter):
    """`I1121 02:03:04.000000  1234 solver.cpp:243] message`: level, date, time, thread, place.

    The place is the record's `at` if it has one: Caffe's own file and line for Caffe's own phrases,
    because some parsers look for "solver.cpp". Otherwise it is the Python file and line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format the record as a line of glog's; a logged error's traceback follows."""
        when = datetime.fromtimestamp(record.created)
        place = getattr(record, "at", None) or f"{record.filename}:{record.lineno}"
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        level = record.levelname[0]
        if record.levelno >= logging.CRITICAL:
            level = "F"
        thread = threading.get_native_id()
        return f"{level}{when:%m%d %H:%M:%S.%f} {thread:5d} {place}] {text}"


class _StderrHandler(logging.Handler):
    """Writes to the current stderr, above a progress bar if there is one.

    A closed terminal does not end a run.
    """

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            tqdm.write(self.format(record), file=sys.stderr)
            sys.stderr.flush()


class _FileHandler(logging.FileHandler):
    """Appends to a file.

    A full disk does not end a run: stderr reports it once, and the handler later tries again to
    write the missing lines.
    """

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.failed:
            self.failed = True
            why = sys.exc_info()[1]
            warning(f"the log file {self.baseFilename} cannot be written: {why}")

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def setup(*paths: str | Path, level: int = logging.INFO, on_stderr: int = logging.INFO) -> None:
    """Send netrun's log to files and to stderr. A second call replaces the targets.

    paths: files to append to; their folders are made.
    level: the lowest level to log.
    on_stderr: the lowest level to show on stderr.
    Raises OSError where a file cannot be opened.
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
    """The path at which glog would write this process's log in a folder.

    Returns `<program>.<host>.<user>.log.INFO.<date>-<time>.<pid>` there.
    """
    program = Path(sys.argv[0]).name
    if program == "__main__.py":
        program = "netrun"
    host = platform.node()
    user = os.environ.get("USER", "invalid-user")
    when = f"{datetime.now():%Y%m%d-%H%M%S}"
    return Path(folder, f"{program}.{host}.{user}.log.INFO.{when}.{os.getpid()}")


def info(message: str, at: str | None = None) -> None:
    """Log a line.

    at: Caffe's file and line where Caffe prints the same phrase.
    """
    logger.info("%s", message, extra=_place(at), stacklevel=2)


def warning(message: str, at: str | None = None) -> None:
    """Log a warning, as info()."""
    logger.warning("%s", message, extra=_place(at), stacklevel=2)


def error(message: str, at: str | None = None) -> None:
    """Log an error, as info().

    Caffe logs one line at this level that is not an error: debug_info's norms, in net.cpp.
    """
    logger.error("%s", message, extra=_place(at), stacklevel=2)


def _place(at: str | None) -> dict[str, str]:
    """The extra field of a record, for GlogFormatter."""
    if not at:
        return {}
    return {"at": at}


def number(value: float) -> str:
    """Format a float as a C++ stream does: with six significant digits."""
    return f"{value:g}"


class Progress:
    """Shows a run's progress: a bar on a terminal, elsewhere a log line about once a minute.

    Use it as a context manager, and call step() once per iteration.

    done, total: iterations.
    show: whether to show progress at all.
    """

    EVERY_S = 60.0

    def __init__(self, done: int, total: int, show: bool = True) -> None:
        self.first = done
        self.done = done
        self.total = total
        self.show = show
        self.started = self.reported = time.monotonic()
        self.bar: tqdm | None = None
        if show and sys.stderr.isatty():
            self.bar = tqdm(
                initial=done,
                total=total,
                unit="it",
                dynamic_ncols=True,
                leave=False,
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            with suppress(OSError):
                self.bar.close()

    def step(self) -> None:
        """Count an iteration, and show it."""
        self.done += 1
        if self.bar is not None:
            with suppress(OSError):
                self.bar.update()
            return
        now = time.monotonic()
        if self.show and now - self.reported >= self.EVERY_S:
            self.reported = now
            self._report(now)

    def _report(self, now: float) -> None:
        """Log the progress, and the time left.

        now: the monotonic clock's time, in seconds.
        """
        each = (now - self.started) / (self.done - self.first)
        left = round(each * (self.total - self.done))
        clock = f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}"
        info(f"Progress: {self.done} of {self.total}, {each:.3g} s each, {clock} left")
