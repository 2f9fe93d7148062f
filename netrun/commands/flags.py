"""Flags that several commands share."""

from __future__ import annotations

import argparse
import logging

import torch

from caffe_ir.errors import CaffeError
from netrun import log, memory
from netrun.layers.detection_output import DetectionOutput
from netrun.net import Net


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


def add_strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="stop at a corrupt record, image or box instead of leaving it out")


def set_up(args: argparse.Namespace, quiet: bool = False) -> None:
    """Start the log, and as many threads as --threads says. quiet: only warnings, to stderr. Raises CaffeError."""
    path = None if quiet else getattr(args, "log", None)
    try:
        log.setup(path, logging.WARNING if quiet else logging.INFO)
    except OSError as error:
        raise CaffeError(f"--log {path}: {error.strerror}") from None
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


def soften(args: argparse.Namespace, net: Net) -> None:
    """Carry out --soft-nms. Raises CaffeError for a net without detections."""
    layers = [layer for layer in net.layer_list if isinstance(layer, DetectionOutput)]
    if args.soft_nms and not layers:
        raise CaffeError(f"--soft-nms: {args.model} has no DetectionOutput layer")
    for layer in layers:
        layer.soft = args.soft_nms
