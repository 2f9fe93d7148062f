"""netrun: the embedded engine, Caffe's nets on PyTorch. `netrun.Net` in the manner of pycaffe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caffe_ir.caffe_ir_pb2 import TEST, TRAIN

if TYPE_CHECKING:
    from netrun.net import Net

__all__ = ["TEST", "TRAIN", "Net"]


def __getattr__(name: str) -> Any:
    """Net, imported when it is first asked for: `netrun --help` need not wait for torch."""
    if name == "Net":
        from netrun.net import Net  # noqa: PLC0415

        return Net
    raise AttributeError(f"module 'netrun' has no attribute '{name}'")
