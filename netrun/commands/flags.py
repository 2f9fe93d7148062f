"""Flags that several commands share."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from netrun.engine.engine import Engine
from netrun.layers.detection_output import DetectionOutput
from netrun.runtime import log, memory
from ssd_common.arguments import switch
from ssd_common.errors import CaffeError


def positive(value: str) -> int:
    """An integer of at least 1, for argparse."""
    number = int(value)
    if number < 1:
        raise ValueError
    return number


positive.__name__ = "positive number"  # argparse: "invalid positive number value: '0'"


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gpu", metavar="ID", help="GPU to run on; train: or several, separated by ',', or 'all'; without it the CPU")
    parser.add_argument("--cpu", action="store_true", help="run on the CPU, whatever the solver says")
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: PyTorch's own choice)")
    parser.add_argument("--precision", default="fp32", metavar="fp32|bf16|tf32", help="of matrix products (default: fp32, as Caffe)")


def add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--level", type=int, default=0, help="network level")
    parser.add_argument("--stage", default="", help="network stages, separated by ','")


def add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", metavar="FILE", help="append the log to this file as well as to stderr")
    add_glog(parser)


def add_glog(parser: argparse.ArgumentParser) -> None:
    """glog's flags, which people give `caffe`."""
    group = parser.add_argument_group("glog's flags (the first four also from the environment: GLOG_minloglevel=2)")

    def add(name: str, default: str, kind: Callable[[str], object], text: str, **options: str) -> None:
        group.add_argument(f"--{name}", type=kind, default=default, help=text, **options)  # type: ignore[arg-type]

    add("minloglevel", log.asked("minloglevel", "0"), log.severity, "1: only warnings and errors, 2: only errors", metavar="0-3")
    add("log-dir", log.asked("log_dir"), str, "write the log to a file in this folder as well, by glog's name", metavar="DIR")
    add("logtostderr", log.asked("logtostderr", "0"), switch, "no such file", metavar="0|1", nargs="?")
    add("stderrthreshold", log.asked("stderrthreshold", "2"), log.severity, "with --noalsologtostderr (default: 2)", metavar="0-3")
    add("alsologtostderr", "1", switch, "0: on stderr only what --stderrthreshold says (default: 1, as caffe)", metavar="0|1", nargs="?")
    add("v", "0", int, "taken and not used: there are no such lines", metavar="N")


def add_strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="stop at a corrupt record, image or box instead of leaving it out")


def set_up(args: argparse.Namespace, quiet: bool = False) -> None:
    """Start the log as its flags say, and as many threads as --threads says. quiet: only warnings, to stderr. Raises CaffeError."""
    paths = [Path(args.log)] if getattr(args, "log", None) else []
    if not args.logtostderr and (args.log_dir or not args.alsologtostderr):
        paths.append(log.file_in(args.log_dir or tempfile.gettempdir()))
    level = max(args.minloglevel, logging.WARNING if quiet else logging.INFO)
    try:
        log.setup(
            *([] if quiet else paths),
            level=level,
            on_stderr=logging.INFO if args.alsologtostderr or args.logtostderr else args.stderrthreshold,
        )
    except OSError as error:
        raise CaffeError(f"cannot log to {error.filename}: {error.strerror}") from None
    memory.hold_freed()
    if args.threads:
        torch.set_num_threads(args.threads)


def stages(args: argparse.Namespace) -> list[str]:
    return [s for s in args.stage.split(",") if s]


def add_suppression(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--soft-nms",
        action="store_true",
        help="lower the scores of overlapping boxes, linearly and from the net's nms_threshold on, instead of dropping them",
    )


def check_suppression(args: argparse.Namespace, net: Engine) -> None:
    """Raises CaffeError where --soft-nms is given and the net makes no detections."""
    if args.soft_nms and not any(isinstance(layer, DetectionOutput) for layer in net.layer_list):
        raise CaffeError(f"--soft-nms: {args.model} has no DetectionOutput layer")
