"""Python layers as pycaffe runs them: the user's class, called with blobs that are NumPy arrays."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Param, Shape
from netrun.pycaffe import import_hook
from netrun.pycaffe.blob_arrays import Blob, ParamBlob
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest

HOST = torch.device("cpu")


class PythonLayerError(LayerError, RuntimeError):
    """What the user's code of a Python layer raised; also the RuntimeError that pycaffe's scripts catch."""


class BlobVec(list[Blob]):
    """A layer's parameter blobs; `setup` adds what the layer learns."""

    def add_blob(self, *shape: int) -> None:
        """Add a blob of zeros."""
        self.append(Blob(tuple(shape), HOST))


class Layer:
    """What a Python layer derives from: pycaffe's `caffe.Layer`.

    A subclass has setup, reshape, forward(bottom, top) and backward(top, propagate_down, bottom), all over lists of blobs with
    `data`, `diff` and `reshape`, float32 on the host. As in Caffe, setup runs once, reshape before every forward.

    param_str: python_param's. phase: netrun.TRAIN or TEST. blobs: the parameters, which `setup` adds and may fill; their
    diffs are added to by backward, and the solver updates them. Where it is given, seek(batch) is called when a run is resumed.
    """

    type = "Python"
    param_str = ""
    phase: int = pb.TEST

    def __init__(self, param: pb.LayerParameter | None = None) -> None:
        self.blobs = BlobVec()

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Once, before anything else."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops their shapes. Not needed where forward or setup does it."""


class Host:
    """One Python layer of one net: the user's object and the blobs that it sees."""

    def __init__(self, param: pb.LayerParameter, phase: int) -> None:
        self.param = param
        with self.watch("setup"):
            self.user = self._class()(param)
            if not isinstance(getattr(self.user, "blobs", None), BlobVec):  # a subclass with an __init__ of its own
                self.user.blobs = BlobVec()
        self.user.param_str, self.user.phase = param.python_param.param_str, phase
        self.bottoms = [Blob((), HOST) for _ in param.bottom]
        own = dict(zip(param.bottom, self.bottoms, strict=True))
        self.tops = [own.get(name) or Blob((), HOST) for name in param.top]  # in place: the very blob
        self.set_up = False

    def _class(self) -> type[Layer]:
        module, name = self.param.python_param.module, self.param.python_param.layer
        import_hook.install()
        try:
            cls = getattr(importlib.import_module(module), name, None)
        except Exception as error:
            place, line = _raised_at(error, module)
            hint = "; put its folder on PYTHONPATH" if isinstance(error, ModuleNotFoundError) and error.name == module else ""
            where = f" at {place}:{line}" if place and not hint else ""
            raise self._error(f"cannot import '{module}'{where}: {_line(error)}{hint}", error, "python_param.module") from error
        known = vars(sys.modules[module])
        if cls is None:
            classes = [n for n, v in known.items() if isinstance(v, type)]
            raise LayerError(self.param.name, f"module '{module}' has no class '{name}'{suggest(name, classes)}", "python_param.layer")
        if not (isinstance(cls, type) and issubclass(cls, Layer)):
            what = f"{module}.{name} is not derived from netrun's caffe.Layer"
            raise LayerError(self.param.name, what, "python_param.layer")
        return cls

    def bind(self, parameters: Sequence[torch.Tensor]) -> None:
        """Make these, which belong to the net, the user's parameter blobs."""
        self.user.blobs = BlobVec(ParamBlob(tuple(t.shape), t.device, tensor=t) for t in parameters)

    def initial(self, index: int) -> np.ndarray:
        """What setup put into parameter `index`."""
        return self.user.blobs[index].data.copy()

    def upload(self) -> None:
        """Put on the device what the user's code wrote to parameters and their diffs."""
        for blob in self.user.blobs:
            blob.upload()

    def facts(self, shapes: Sequence[Shape]) -> Facts:
        """What setup and reshape make of bottoms of these shapes."""
        for blob, shape in zip(self.bottoms, shapes, strict=True):
            blob.reshape(*shape)
        if not self.set_up:
            self.call("setup", self.bottoms, self.tops)
            self.set_up = True
        self.call("reshape", self.bottoms, self.tops)
        return Facts([blob.shape for blob in self.tops], [Param(blob.shape) for blob in self.user.blobs])

    def forward(self, bottoms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The tops for these bottoms, in memory of their own."""
        for blob, tensor in zip(self.bottoms, bottoms, strict=True):
            blob.tensor = tensor.detach().to(HOST, torch.float32).contiguous()
        self.call("reshape", self.bottoms, self.tops)
        self.call("forward", self.bottoms, self.tops)
        return [blob.tensor.clone() for blob in self.tops]

    def backward(self, gradients: Sequence[torch.Tensor | None], wanted: Sequence[bool]) -> list[torch.Tensor | None]:
        """The bottoms' gradients from the tops', for those bottoms that want one; parameters' diffs are added to by the user's code."""
        for blob in self.bottoms:
            blob.set_diff(None)
        for blob, gradient in zip(self.tops, gradients, strict=True):
            blob.set_diff(torch.zeros(blob.shape) if gradient is None else gradient.detach().to(HOST, torch.float32, copy=True))
        self.call("backward", self.tops, list(wanted), self.bottoms)
        return [torch.from_numpy(blob.diff.copy()) if want else None for blob, want in zip(self.bottoms, wanted, strict=True)]

    def call(self, method: str, *args: object) -> None:
        """Call the user's method. Raises PythonLayerError, one line with the place in the user's file, for whatever it raises."""
        with self.watch(method):
            function = getattr(self.user, method, None)
            if function is None:
                raise LayerError(self.param.name, f"class {type(self.user).__name__} has no method {method}")
            function(*args)

    @contextmanager
    def watch(self, method: str) -> Iterator[None]:
        try:
            yield
        except LayerError:
            raise
        except Exception as error:
            p = self.param.python_param
            place, line = _raised_at(error, p.module)
            where = f" at {place}:{line}" if place else ""
            raise self._error(f"{p.layer}.{method} failed{where}: {_line(error)}", error) from error

    def _error(self, what: str, error: Exception, field: str | None = None) -> PythonLayerError:
        if os.environ.get("NETRUN_TRACEBACK"):
            traceback.print_exception(error)
            return PythonLayerError(self.param.name, what, field)
        return PythonLayerError(self.param.name, f"{what} (NETRUN_TRACEBACK=1 shows how it came there)", field)


def _line(error: Exception) -> str:
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _raised_at(error: Exception, module: str) -> tuple[str, int]:
    """File and line of the user's code that an exception comes from: the last step in the module's own file, or else the very last."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    steps = [step for step in traceback.extract_tb(error.__traceback__) if "importlib" not in step.filename]
    theirs = getattr(sys.modules.get(module), "__file__", None)
    steps = [step for step in steps if step.filename == theirs] or [s for s in steps if Path(s.filename) != Path(__file__)]
    return (steps[-1].filename, steps[-1].lineno or 0) if steps else ("", 0)
