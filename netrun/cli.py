"""The command line `netrun`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from ssd_common.command import Program, run_command
from ssd_common.errors import CaffeError
from ssd_common.installation import require_own_netgen


@contextmanager
def loading() -> Iterator[None]:
    """Have Ctrl-C end the process at once while modules load.

    Extension modules swallow a KeyboardInterrupt, or turn it into other errors.
    """
    # Processes of distributed.launch() start with Ctrl-C blocked.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    by_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not by_default or not in_main_thread:
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> NoReturn:
    """A signal handler that ends the process."""
    os.write(2, b"netrun: interrupted\n")
    os._exit(130)


PROGRAM = Program(
    name="netrun",
    description="Runs Caffe's nets on PyTorch: Caffe's command line (`caffe train -solver …`), and"
    " commands to look at what it made.",
    commands={
        "train": ("netrun.commands.train", "train or finetune a model"),
        "test": ("netrun.commands.test", "score a model"),
        "detect": ("netrun.commands.detect", "draw a detector's boxes on images"),
        "coco": ("netrun.commands.coco", "COCO's metrics of a result file"),
        "show": (
            "netrun.commands.show",
            "draw a net's training images as it sees them, with their boxes",
        ),
        "plot": ("netrun.commands.plot", "draw the loss curve of a log"),
        "status": ("netrun.commands.status", "show how far a run is"),
        "weights": (
            "netrun.commands.weights",
            "list, compare or convert files of weights, or make them fit another net",
        ),
        "time": ("netrun.commands.time", "benchmark a model's execution time"),
        "python": ("netrun.commands.python", "run a script written for pycaffe"),
        "device_query": ("netrun.commands.device_query", "show what this machine computes with"),
    },
    examples="""
        netrun train --solver runs/mine/solver.prototxt --gpu 0
        netrun test --model runs/mine/test.prototxt --weights mine.caffemodel
        netrun detect --model runs/mine/deploy.prototxt --weights mine.caffemodel PHOTOS""",
    loading=loading,
    # PyTorch, OpenCV and the rest took 0.95 GiB with the threads of two cores. Below that, one of
    # them crashes while it loads.
    least_memory=1 << 30,
)


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit status. Raises CaffeError."""
    require_own_netgen()
    try:
        return PROGRAM.main(argv)
    except CaffeError:
        raise
    except Exception as error:
        # Only an error needs this import, which loads torch.
        from netrun.runtime.memory import exhausted  # noqa: PLC0415

        if not exhausted(error):
            raise
        lines = str(error).splitlines() or [type(error).__name__]
        raise CaffeError(f"out of memory ({lines[0]})") from None


def entry() -> int:
    """Run the console script `netrun`, and return its exit status."""
    # OpenMP's threads spin while they wait for each other. By default they spin so long that
    # training on two cores takes ten times as long once another process wants one of them. This
    # number costs 3 % on an idle machine. torch reads it when it is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    status = run_command("netrun", main)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # While Python shuts down, nothing would catch a KeyboardInterrupt.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return status
