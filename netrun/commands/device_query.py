"""Show what netrun can compute with on this machine."""

from __future__ import annotations

import argparse
import platform

import torch

from netrun.commands import flags
from netrun.runtime import device


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gpu", metavar="ID", default="", help="only these GPUs (default: all)")
    flags.add_glog(parser)


def run(args: argparse.Namespace) -> int:
    wanted = device.parse(args.gpu)
    print(f"PyTorch {torch.__version__}, Python {platform.python_version()}")
    print(f"CPU: {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    if not torch.cuda.is_available():
        print("GPU: none that PyTorch sees")
    for i in wanted or range(torch.cuda.device_count()):
        p = torch.cuda.get_device_properties(i)
        print(f"GPU {i}: {p.name}, {p.total_memory / 2**30:.1f} GiB, compute capability {p.major}.{p.minor}, {p.multi_processor_count} SMs")
    return 0
