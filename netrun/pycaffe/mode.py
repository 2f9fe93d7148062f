"""The default device and seed of nets: pycaffe's set_mode_gpu and related functions."""

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
    """Compute new nets and solvers on the CPU."""
    _STATE.gpu = False


def set_mode_gpu() -> None:
    """Compute new nets and solvers on a GPU.

    Warns if PyTorch finds no GPU; new nets and solvers then compute on the CPU.
    """
    _STATE.gpu = True
    if not torch.cuda.is_available():
        log.warning("set_mode_gpu: PyTorch sees no CUDA device here; nets compute on the CPU")


def set_device(number: int) -> None:
    """Choose the GPU for GPU mode.

    Raises CaffeError where there are GPUs, but this one does not exist.
    """
    count = 0
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
    if count and not 0 <= number < count:
        raise CaffeError(f"set_device: no device {number}; this machine has 0 to {count - 1}")
    _STATE.number = number


def set_random_seed(seed: int) -> None:
    """Give new nets this seed, for filling their parameters and for their random layers."""
    _STATE.seed = int(seed)


def device() -> torch.device:
    """Return the device of a net that gets no device argument."""
    if _STATE.gpu and torch.cuda.is_available():
        return torch.device("cuda", _STATE.number)
    return torch.device("cpu")


def seed() -> int:
    """Return the seed of a net that gets none: set_random_seed's, or 0 (in Caffe, the clock)."""
    return _STATE.seed or 0
