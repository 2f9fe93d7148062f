"""`netrun <command> <flags>`: Caffe's command line (`caffe train -solver …`), and commands to look at what it made."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from ssd_common.arguments import Parser
from ssd_common.command import run_command
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

COMMANDS = {
    "train": "train or finetune a model",
    "test": "score a model",
    "detect": "draw a detector's boxes on images",
    "coco": "COCO's metrics of a result file",
    "show": "draw a net's training images as it sees them, with their boxes",
    "plot": "draw the loss curve of a log",
    "status": "show how far a run is",
    "weights": "list, compare or convert files of weights, or make them fit another net",
    "time": "benchmark a model's execution time",
    "python": "run a script written for pycaffe",
    "device_query": "show what this machine computes with",
}


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(["usage: netrun <command> <flags>", "", "commands:", *lines, "", "netrun <command> --help lists a command's flags."])


@contextmanager
def loading() -> Iterator[None]:
    """While modules load, Ctrl-C ends the process at once: extension modules swallow a KeyboardInterrupt, or make other errors of it."""
    if hasattr(signal, "pthread_sigmask"):  # distributed.launch() starts processes that hear of Ctrl-C only from here on
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> NoReturn:
    os.write(2, b"netrun: interrupted\n")
    os._exit(130)


def main(argv: Sequence[str]) -> int:
    """Run one command. Raises CaffeError."""
    if not argv or argv[0] in ("-h", "--help", "-help", "help"):
        print(_usage())
        return 0
    name = argv[0].replace("-", "_")
    if name not in COMMANDS:
        raise CaffeError(f"unknown command '{argv[0]}'{suggest(name, COMMANDS)}; there are {', '.join(COMMANDS)}")
    with loading():
        command = importlib.import_module(f"netrun.commands.{name}")  # only this one: torch or matplotlib take seconds
    said, _, examples = (command.__doc__ or "").partition("\n\n")
    parser = Parser(prog=f"netrun {name}", description=said, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_flags(parser)
    ours, theirs = command.split(argv[1:]) if hasattr(command, "split") else (argv[1:], [])
    args = parser.parse_args(ours)
    args.argv, args.rest = ours, theirs
    try:
        return int(command.run(args))
    except CaffeError:
        raise
    except Exception as error:
        from netrun.runtime.memory import exhausted  # noqa: PLC0415 - imports torch, which the command has done already or can do without

        if not exhausted(error):
            raise
        raise CaffeError(f"out of memory ({(str(error).splitlines() or [type(error).__name__])[0]})") from None


def entry() -> int:
    """The console script `netrun`."""
    # OpenMP's threads wait for each other spinning, by default so long that training on two cores takes ten times as long as soon as
    # anything else wants one of them; so much is 3 % slower than the default on an idle machine. Read when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    status = run_command("netrun", main)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own end has nothing that would catch a KeyboardInterrupt
    return status
