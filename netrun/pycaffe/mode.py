"""Where and from which seed nets are built that say neither: pycaffe's set_mode_gpu, set_device and set_random_seed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from netrun.runtime import log
from ssd_common.errors import CaffeError


@dataclass
class _State:
    gpu: bool = False
    number: int = 0
    seed: int | None = None


_STATE = _State()


def set_mode_cpu() -> None:
    """Nets and solvers that are built from now on compute on the CPU."""
    _STATE.gpu = False


def set_mode_gpu() -> None:
    """Nets and solvers that are built from now on compute on a GPU; where PyTorch sees none, on the CPU, with a warning."""
    _STATE.gpu = True
    if not torch.cuda.is_available():
        log.warning("set_mode_gpu: PyTorch sees no CUDA device here; nets compute on the CPU")


def set_device(number: int) -> None:
    """Take this GPU once the mode is GPU. Raises CaffeError where there are GPUs, but not this one."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count and not 0 <= number < count:
        raise CaffeError(f"set_device: no device {number}; this machine has 0 to {count - 1}")
    _STATE.number = number


def set_random_seed(seed: int) -> None:
    """Fill the parameters, and draw for the random layers, of nets that are built from now on from this seed."""
    _STATE.seed = int(seed)


def device() -> torch.device:
    """Where a net goes that is told no device."""
    return torch.device("cuda", _STATE.number) if _STATE.gpu and torch.cuda.is_available() else torch.device("cpu")


def seed() -> int:
    """The seed of a net that is given none: 0 unless set_random_seed was called (Caffe: the clock's)."""
    return _STATE.seed or 0
