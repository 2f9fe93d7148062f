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
    count: int = 1
    rank: int = 0


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


def set_solver_count(count: int) -> None:
    """Say how many processes train together."""
    _STATE.count = int(count)


def set_solver_rank(rank: int) -> None:
    """Say which of the processes that train together this is, from 0.

    Solvers made from now on read their part of the data; only rank 0's tests and writes snapshots.
    """
    _STATE.rank = int(rank)


def set_multiprocess(multiprocess: bool) -> None:
    """Do nothing: netrun's solvers always train in processes, never in threads."""


def solver_count() -> int:
    """Return how many processes train together."""
    return _STATE.count


def solver_rank() -> int:
    """Return which of the processes that train together this is, from 0."""
    return _STATE.rank


def device() -> torch.device:
    """Return the device of a net that gets no device argument."""
    if _STATE.gpu and torch.cuda.is_available():
        return torch.device("cuda", _STATE.number)
    return torch.device("cpu")


def seed() -> int:
    """Return the seed of a net that gets none: set_random_seed's, or 0 (in Caffe, the clock)."""
    return _STATE.seed or 0
