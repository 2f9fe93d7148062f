"""Flags that several commands share, and what they mean. Importing this module loads no library."""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from netrun.runtime import log
from netrun.runtime.options import PRECISIONS, RunOptions
from ssd_common import image_limits
from ssd_common.arguments import positive, switch
from ssd_common.errors import CaffeError

if TYPE_CHECKING:
    import torch


def add_device(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add --gpu, --cpu, --threads and --precision.

    several: whether the command takes several GPUs.
    """
    gpu = "GPU to run on; without it the CPU"
    cpu = "run on the CPU"
    if several:
        gpu = "GPU to run on, or several, separated by ',', or 'all' (default: as the solver says)"
        cpu = "run on the CPU, whatever the solver says"
    parser.add_argument("--gpu", metavar="ID", help=gpu)
    parser.add_argument("--cpu", action="store_true", help=cpu)
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="CPU threads (default: PyTorch's own choice)",
    )
    parser.add_argument(
        "--precision",
        default="fp32",
        choices=PRECISIONS,
        metavar="|".join(PRECISIONS),
        help="of matrix products (default: fp32, as Caffe)",
    )


def add_state(parser: argparse.ArgumentParser) -> None:
    """Add --level and --stage, for include and exclude rules."""
    parser.add_argument("--level", type=int, default=0, help="network level")
    parser.add_argument("--stage", default="", help="network stages, separated by ','")


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add --log and glog's flags."""
    parser.add_argument(
        "--log",
        metavar="FILE",
        help="append the log to this file as well as to stderr",
    )
    add_glog(parser)


def add_glog(parser: argparse.ArgumentParser) -> None:
    """Add glog's flags, which `caffe` takes too."""
    title = "glog's flags (the first four also from the environment: GLOG_minloglevel=2)"
    add = parser.add_argument_group(title).add_argument
    add(
        "--minloglevel",
        type=_severity,
        default=log.glog_variable("minloglevel", "0"),
        metavar="0-3",
        help="1: only warnings and errors, 2: only errors",
    )
    add(
        "--log-dir",
        type=str,
        default=log.glog_variable("log_dir"),
        metavar="DIR",
        help="write the log to a file in this folder as well, by glog's name",
    )
    add(
        "--logtostderr",
        type=switch,
        default=log.glog_variable("logtostderr", "0"),
        nargs="?",
        metavar="0|1",
        help="no such file",
    )
    add(
        "--stderrthreshold",
        type=_severity,
        default=log.glog_variable("stderrthreshold", "2"),
        metavar="0-3",
        help="with --noalsologtostderr (default: 2)",
    )
    add(
        "--alsologtostderr",
        type=switch,
        default="1",
        nargs="?",
        metavar="0|1",
        help="0: on stderr only what --stderrthreshold says (default: 1, as caffe)",
    )
    add(
        "--v",
        type=int,
        default="0",
        metavar="N",
        help="taken and not used: there are no such lines",
    )


def _severity(word: str) -> int:
    try:
        return log.severity(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{word}' is not a whole number") from None


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add --strict."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at a corrupt record, image or box instead of leaving it out",
    )


def add_max_pixels(parser: argparse.ArgumentParser) -> None:
    """Add --max-pixels."""
    image_limits.add_flag(parser)


def add_suppression(parser: argparse.ArgumentParser) -> None:
    """Add --soft-nms."""
    parser.add_argument(
        "--soft-nms",
        action="store_true",
        help="lower the scores of overlapping boxes, linearly and from the net's nms_threshold on,"
        " instead of dropping them",
    )


def refuse_unreadable(model: str, labelmap: str | None) -> None:
    """Read a net and a label map, so that a wrong name is told before anything is logged.

    Raises ParseError.
    """
    from caffe_ir import label_map, text

    text.read_net(model)
    if labelmap:
        label_map.read(labelmap)


def set_up(args: argparse.Namespace, quiet: bool = False) -> None:
    """Start the log as its flags say, and let PyTorch use as many threads as --threads says.

    quiet: log only warnings, and only to stderr.
    Raises CaffeError where the log cannot be written.
    """
    import torch

    from netrun.runtime import memory

    on_stderr = args.stderrthreshold
    if args.alsologtostderr or args.logtostderr:
        on_stderr = logging.INFO
    lowest = logging.INFO
    files = _log_files(args)
    if quiet:
        lowest = logging.WARNING
        files = []
    try:
        log.setup(*files, level=max(args.minloglevel, lowest), on_stderr=on_stderr)
    except OSError as error:
        raise CaffeError(f"cannot log to {error.filename}: {error.strerror}") from None
    memory.hold_freed()
    if args.threads:
        torch.set_num_threads(args.threads)


def _log_files(args: argparse.Namespace) -> list[Path]:
    """The files that --log and glog's flags ask for."""
    paths = []
    if getattr(args, "log", None):
        paths.append(Path(args.log))
    if not args.logtostderr and (args.log_dir or not args.alsologtostderr):
        paths.append(log.file_in(args.log_dir or tempfile.gettempdir()))
    return paths


def stages(args: argparse.Namespace) -> list[str]:
    """The stages that --stage lists."""
    return [stage for stage in args.stage.split(",") if stage]


def device(
    args: argparse.Namespace,
    default: int | None = None,
    local: int = 0,
) -> torch.device:
    """The device that --gpu and --cpu choose, see netrun.runtime.device.choose.

    Raises CaffeError, as `choose` does.
    """
    from netrun.runtime.device import choose

    return choose(args.gpu, args.cpu, default=default, local=local)


def options(args: argparse.Namespace) -> RunOptions:
    """The RunOptions that this command's flags ask for."""
    return RunOptions(
        precision=args.precision,
        strict=getattr(args, "strict", False),
        soft_nms=getattr(args, "soft_nms", False),
        sync_batch_norm=getattr(args, "sync_bn", False),
        jpeg_recoding=getattr(args, "jpeg_recoding", None),
    )
