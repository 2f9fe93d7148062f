"""A net that cannot fit into memory is refused before anything is allocated."""

from __future__ import annotations

from math import prod

import torch

from caffe_ir.rules import VALUE_BYTES
from caffe_ir.walk import Walk
from netrun.runtime.memory import available
from ssd_common.errors import CaffeError
from ssd_common.words import memory_size


def require_memory(walked: Walk, device: torch.device) -> None:
    """Refuse a net whose parameters and largest blob alone take more memory than there is.

    Without this the kernel would kill the process as soon as it wrote what it had been promised.
    Raises CaffeError.
    """
    left = available(device)
    if left is None:
        return
    params = (walked.learnable + walked.statistics) * VALUE_BYTES
    name, shape = max(walked.blobs.items(), key=lambda item: prod(item[1]), default=("", (0,)))
    largest = prod(shape) * VALUE_BYTES
    if params + largest > left:
        raise CaffeError(
            f"the net needs {memory_size(params)} for its parameters and {memory_size(largest)} "
            f"for blob '{name}' alone; there are {memory_size(left)} of memory"
        )
