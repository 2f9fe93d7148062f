"""Runs commands in forks of one process that has imported everything, and has the shim in it.

Each line of stdin is an Order in JSON; the answer is a line of stdout.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import sys
import traceback
from typing import Any

from ssd_common.command import run_command
from tests.faults import changes

# What each program loads before it forks: it need not be loaded a thousand times.
LOADED = {
    "netrun": (
        "h5py",
        "multiprocessing.synchronize",
        "netrun.commands.test",
        "netrun.commands.train",
        "netrun.training.train",
    ),
    "data_prep": (
        "data_prep.build.build",
        "data_prep.commands.fetch",
        "data_prep.download.fetch",
        "data_prep.sources.voc_xml",
        "lmdb._envid",
        "multiprocessing.synchronize",
        "netrc",
    ),
    "netgen": ("netgen.commands.build", "netgen.writer", "netgen.zoo.configuration"),
}


def serve() -> None:
    """Answer orders until stdin ends."""
    library, *programs = sys.argv[1:]
    shim = ctypes.CDLL(library)
    for program in programs:
        for name in (f"{program}.cli", *LOADED[program]):
            importlib.import_module(name)
    gc.freeze()  # a collection in a fork would copy all of the memory
    for line in sys.stdin:
        order = json.loads(line)
        sys.stdout.write(f"{_run(order, shim)}\n")
        sys.stdout.flush()


def _run(order: dict[str, Any], shim: ctypes.CDLL) -> int:
    """Run a command in a fork, and return its exit status; that of a signal is negative."""
    child = os.fork()
    if not child:
        try:
            _become(order, shim)
        except BaseException:  # a user would see the traceback
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(70)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _become(order: dict[str, Any], shim: ctypes.CDLL) -> None:
    """Run the command in this process."""
    program, *argv = order["argv"]
    os.chdir(order["folder"])
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    for change in order["changes"]:
        getattr(changes, change)()
    main = importlib.import_module(f"{program}.cli").main
    log = order["log"].encode()
    shim.faults_arm(os.fsencode(order["folder"]), log, order["at"], order["how"], order["errno"])
    status = run_command(program, main, argv)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()
