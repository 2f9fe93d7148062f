"""Refuses a net that cannot fit into memory, before the engine allocates anything."""

from __future__ import annotations

from math import prod

import torch

from caffe_ir.rules import VALUE_BYTES
from caffe_ir.walk import Walk
from netrun.runtime.memory import available
from ssd_common.errors import CaffeError
from ssd_common.words import memory_size


def require_memory(walked: Walk, device: torch.device) -> None:
    """Refuse a net whose parameters and largest blob alone need more memory than is free.

    Without this check, the kernel would kill the process when it wrote to memory that the machine
    lacks.
    Raises CaffeError.
    """
    left = available(device)
    if left is None:
        return
    params = (walked.learnable + walked.statistics) * VALUE_BYTES
    sizes = {name: prod(shape) * VALUE_BYTES for name, shape in walked.blobs.items()}
    name = max(sizes, key=sizes.__getitem__, default="")
    largest = sizes.get(name, 0)
    if params + largest > left:
        needed = f"{memory_size(params)} for its parameters"
        blob = f"{memory_size(largest)} for blob '{name}' alone"
        found = f"there are {memory_size(left)} of memory"
        raise CaffeError(f"the net needs {needed} and {blob}; {found}")
