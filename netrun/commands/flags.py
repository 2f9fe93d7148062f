"""Flags that several commands share, and what they mean. Importing this waits for no library."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from netrun.runtime import log
from netrun.runtime.options import PRECISIONS, RunOptions
from ssd_common.arguments import positive, switch
from ssd_common.errors import CaffeError

if TYPE_CHECKING:
    import torch


def add_device(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add --gpu, --cpu, --threads and --precision. several: the command takes several GPUs."""
    if several:
        about = "GPU to run on, or several, separated by ',', or 'all'"
        about += " (default: as the solver says)"
        cpu = "run on the CPU, whatever the solver says"
    else:
        about, cpu = "GPU to run on; without it the CPU", "run on the CPU"
    parser.add_argument("--gpu", metavar="ID", help=about)
    parser.add_argument("--cpu", action="store_true", help=cpu)
    about = "CPU threads (default: PyTorch's own choice)"
    parser.add_argument("--threads", type=positive, metavar="N", help=about)
    about = "of matrix products (default: fp32, as Caffe)"
    parser.add_argument(
        "--precision", default="fp32", choices=PRECISIONS, metavar="|".join(PRECISIONS), help=about
    )


def add_state(parser: argparse.ArgumentParser) -> None:
    """Add --level and --stage, for include and exclude rules."""
    parser.add_argument("--level", type=int, default=0, help="network level")
    parser.add_argument("--stage", default="", help="network stages, separated by ','")


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add --log and glog's flags."""
    about = "append the log to this file as well as to stderr"
    parser.add_argument("--log", metavar="FILE", help=about)
    add_glog(parser)


def add_glog(parser: argparse.ArgumentParser) -> None:
    """Add glog's flags, which people give `caffe`."""
    title = "glog's flags (the first four also from the environment: GLOG_minloglevel=2)"
    group = parser.add_argument_group(title)

    def add(name: str, default: str, kind: Callable[[str], object], text: str, **more: str) -> None:
        group.add_argument(f"--{name}", type=kind, default=default, help=text, **more)  # type: ignore[arg-type]

    number, yes_or_no = {"metavar": "0-3"}, {"metavar": "0|1", "nargs": "?"}
    about = "1: only warnings and errors, 2: only errors"
    add("minloglevel", log.asked("minloglevel", "0"), log.severity, about, **number)
    about = "write the log to a file in this folder as well, by glog's name"
    add("log-dir", log.asked("log_dir"), str, about, metavar="DIR")
    add("logtostderr", log.asked("logtostderr", "0"), switch, "no such file", **yes_or_no)
    about = "with --noalsologtostderr (default: 2)"
    add("stderrthreshold", log.asked("stderrthreshold", "2"), log.severity, about, **number)
    about = "0: on stderr only what --stderrthreshold says (default: 1, as caffe)"
    add("alsologtostderr", "1", switch, about, **yes_or_no)
    add("v", "0", int, "taken and not used: there are no such lines", metavar="N")


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add --strict."""
    about = "stop at a corrupt record, image or box instead of leaving it out"
    parser.add_argument("--strict", action="store_true", help=about)


def add_suppression(parser: argparse.ArgumentParser) -> None:
    """Add --soft-nms."""
    parser.add_argument(
        "--soft-nms",
        action="store_true",
        help="lower the scores of overlapping boxes, linearly and from the net's nms_threshold on,"
        " instead of dropping them",
    )


def set_up(args: argparse.Namespace, quiet: bool = False) -> None:
    """Start the log as its flags say, and as many threads as --threads says.

    quiet: only warnings, to stderr. Raises CaffeError where the log cannot be written.
    """
    import torch

    from netrun.runtime import memory

    on_stderr = args.stderrthreshold
    if args.alsologtostderr or args.logtostderr:
        on_stderr = logging.INFO
    try:
        if quiet:
            level = max(args.minloglevel, logging.WARNING)
            log.setup(level=level, on_stderr=on_stderr)
        else:
            level = max(args.minloglevel, logging.INFO)
            log.setup(*_log_files(args), level=level, on_stderr=on_stderr)
    except OSError as error:
        raise CaffeError(f"cannot log to {error.filename}: {error.strerror}") from None
    memory.hold_freed()
    if args.threads:
        torch.set_num_threads(args.threads)


def _log_files(args: argparse.Namespace) -> list[Path]:
    """Where --log and glog's flags want the log."""
    paths = []
    if getattr(args, "log", None):
        paths.append(Path(args.log))
    if not args.logtostderr and (args.log_dir or not args.alsologtostderr):
        paths.append(log.file_in(args.log_dir or tempfile.gettempdir()))
    return paths


def stages(args: argparse.Namespace) -> list[str]:
    """What --stage lists."""
    return [stage for stage in args.stage.split(",") if stage]


def device(args: argparse.Namespace, default: int | None = None, local: int = 0) -> torch.device:
    """What --gpu and --cpu choose, see netrun.runtime.device.choose. Raises CaffeError."""
    from netrun.runtime.device import choose

    return choose(args.gpu, args.cpu, default=default, local=local)


def options(args: argparse.Namespace) -> RunOptions:
    """How the run computes, by those of its flags that the command has."""
    return RunOptions(
        precision=args.precision,
        strict=getattr(args, "strict", False),
        soft_nms=getattr(args, "soft_nms", False),
        sync_batch_norm=getattr(args, "sync_bn", False),
    )
