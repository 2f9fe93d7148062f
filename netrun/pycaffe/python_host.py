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
from netrun.pycaffe.blob_arrays import HOST, Blob, BlobVec, ParamBlob
from netrun.pycaffe.python2 import importing
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest


class PythonLayerError(LayerError, RuntimeError):
    """An error raised by the user's code in a Python layer.

    It is also the RuntimeError that pycaffe's scripts catch.
    """


class Phase(int):
    """caffe.TRAIN or caffe.TEST, with its name as text, which py-faster-rcnn's layers go by.

    Source: rbgirshick/py-faster-rcnn, lib/rpn/proposal_layer.py, `str(self.phase)`.
    """

    def __str__(self) -> str:
        return pb.Phase.Name(self)


class Layer:
    """The base class of Python layers: pycaffe's `caffe.Layer`.

    A subclass has setup, reshape, forward(bottom, top) and backward(top, propagate_down,
    bottom). They get lists of blobs with `data`, `diff` and `reshape`, float32 on the host.
    As in Caffe, setup runs once, and reshape before every forward. A subclass may have seek(batch),
    which netrun calls when a run resumes.

    param_str: python_param's; param_str_ is its older name.
    phase: netrun.TRAIN or TEST.
    blobs: the parameters, which `setup` adds and may fill; backward adds to their diffs, and
        the solver updates them.
    """

    type = "Python"
    param_str = ""
    param_str_ = ""
    phase: int = pb.TEST

    def __init__(self, param: pb.LayerParameter | None = None) -> None:
        self.blobs = BlobVec()

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Prepare the layer, once, before anything else."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops their shapes, unless forward or setup does."""


class Host:
    """One Python layer of one net: the user's object and its blobs."""

    def __init__(self, param: pb.LayerParameter, phase: int) -> None:
        self.param = param
        with self.watch("setup"):
            self.user = self._class()(param)
            # A subclass's own __init__ may not call Layer's.
            if not isinstance(getattr(self.user, "blobs", None), BlobVec):
                self.user.blobs = BlobVec()
        self.user.param_str = self.user.param_str_ = param.python_param.param_str
        self.user.phase = Phase(phase)
        self.bottoms = [Blob((), HOST) for _ in param.bottom]
        own = dict(zip(param.bottom, self.bottoms, strict=True))
        # A top in place is the same object as its bottom.
        self.tops = [own.get(name) or Blob((), HOST) for name in param.top]
        self.set_up = False

    def _class(self) -> type[Layer]:
        """The user's class.

        Raises LayerError where the module cannot be imported or has no such class.
        """
        module = self.param.python_param.module
        name = self.param.python_param.layer
        import_hook.install()
        try:
            cls = getattr(importlib.import_module(module), name, None)
        except Exception as error:
            what = _import_failure(error, module)
            raise self._error(what, error, "python_param.module") from error
        known = vars(sys.modules[module])
        if cls is None:
            classes = [n for n, v in known.items() if isinstance(v, type)]
            what = f"module '{module}' has no class '{name}'{suggest(name, classes)}"
            raise LayerError(self.param.name, what, "python_param.layer")
        if not (isinstance(cls, type) and issubclass(cls, Layer)):
            what = f"{module}.{name} is not derived from netrun's caffe.Layer"
            raise LayerError(self.param.name, what, "python_param.layer")
        return cls

    def bind(self, parameters: Sequence[torch.Tensor]) -> None:
        """Make these tensors of the net the user's parameter blobs."""
        blobs = (ParamBlob(tuple(t.shape), t.device, tensor=t) for t in parameters)
        self.user.blobs = BlobVec(blobs)

    def initial(self, index: int) -> np.ndarray:
        """Return the values that setup gave parameter `index`."""
        return self.user.blobs[index].data.copy()

    def upload(self) -> None:
        """Copy to the device what the user's code wrote to parameters and their diffs."""
        for blob in self.user.blobs:
            blob.upload()

    def facts(self, shapes: Sequence[Shape]) -> Facts:
        """Return the shapes that setup and reshape give for bottoms of these shapes."""
        for blob, shape in zip(self.bottoms, shapes, strict=True):
            blob.reshape(*shape)
        if not self.set_up:
            self.call("setup", self.bottoms, self.tops)
            self.set_up = True
        self.call("reshape", self.bottoms, self.tops)
        tops = [blob.shape for blob in self.tops]
        params = [Param(blob.shape) for blob in self.user.blobs]
        return Facts(tops, params)

    def forward(self, bottoms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Compute the tops for these bottoms, in memory of their own."""
        for blob, tensor in zip(self.bottoms, bottoms, strict=True):
            blob.tensor = tensor.detach().to(HOST, torch.float32).contiguous()
        self.call("reshape", self.bottoms, self.tops)
        self.call("forward", self.bottoms, self.tops)
        return [blob.tensor.clone() for blob in self.tops]

    def backward(
        self,
        gradients: Sequence[torch.Tensor | None],
        wanted: Sequence[bool],
    ) -> list[torch.Tensor | None]:
        """Compute the bottoms' gradients from the tops'.

        The user's code adds to the parameters' diffs.
        gradients: of the tops; None: zeros.
        wanted: for each bottom, whether to return its gradient.
        """
        for blob in self.bottoms:
            blob.set_diff(None)
        for blob, gradient in zip(self.tops, gradients, strict=True):
            if gradient is None:
                blob.set_diff(torch.zeros(blob.shape))
            else:
                blob.set_diff(gradient.detach().to(HOST, torch.float32, copy=True))
        self.call("backward", self.tops, list(wanted), self.bottoms)
        found: list[torch.Tensor | None] = [None] * len(self.bottoms)
        for i, (blob, want) in enumerate(zip(self.bottoms, wanted, strict=True)):
            if want:
                found[i] = torch.from_numpy(blob.diff.copy())
        return found

    def call(self, method: str, *args: object) -> None:
        """Call the user's method.

        Raises PythonLayerError, one line with the place in the user's file, for any error in it.
        """
        with self.watch(method):
            function = getattr(self.user, method, None)
            if function is None:
                what = f"class {type(self.user).__name__} has no method {method}"
                raise LayerError(self.param.name, what)
            function(*args)

    @contextmanager
    def watch(self, method: str) -> Iterator[None]:
        """Turn errors of the user's code into PythonLayerError.

        method: the running method, for the error's text.
        """
        try:
            yield
        except LayerError:
            raise
        except Exception as error:
            p = self.param.python_param
            what = f"{p.layer}.{method} failed{_at(error)}: {_line(error)}"
            raise self._error(what, error) from error

    def _error(
        self,
        what: str,
        error: Exception,
        field: str | None = None,
    ) -> PythonLayerError:
        if os.environ.get("NETRUN_TRACEBACK"):
            traceback.print_exception(error)
        else:
            what += " (NETRUN_TRACEBACK=1 shows how it came there)"
        return PythonLayerError(self.param.name, what, field)


def _import_failure(error: Exception, module: str) -> str:
    """Say why a module cannot be imported."""
    where = _at(error)
    hint = ""
    if isinstance(error, ModuleNotFoundError) and error.name == module:
        where = ""
        hint = "; put its folder on PYTHONPATH"
    return f"cannot import '{module}'{where}: {_line(error)}{hint}"


def _line(error: Exception) -> str:
    """The error's type and message on one line."""
    message = " ".join(str(error).split())
    if not message:
        return type(error).__name__
    return f"{type(error).__name__}: {message}"


def _at(error: Exception) -> str:
    """The text " at file:line" for the user's code that raised an error, or "" if unknown."""
    place, line = _raised_at(error)
    if not place:
        return ""
    return f" at {place}:{line}"


def _raised_at(error: Exception) -> tuple[str, int]:
    """File and line of the user's code that raised an error.

    This is the last step in a file of the user's: the module's or one that it imports; or else the
    last of all.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    trace = traceback.extract_tb(error.__traceback__)
    steps = [step for step in trace if "importlib" not in step.filename]
    own = [step for step in steps if importing.is_users(step.filename)]
    if not own:
        own = [step for step in steps if Path(step.filename) != Path(__file__)]
    if not own:
        return "", 0
    return own[-1].filename, own[-1].lineno or 0
