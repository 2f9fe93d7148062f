"""Functions of netrun.pycaffe for the packages below it, so that none of them imports upwards.

`netrun/__init__.py`, which Python runs before any other module of the package, sets them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_PROVIDED: dict[str, Callable[..., Any]] = {}


def provide(python_layer_host: Callable[..., Any], layer_function: Callable[[str], Any]) -> None:
    """Set what the two functions below call.

    python_layer_host: makes the object that `python_layer_host` below returns.
    layer_function: makes the function that `layer_function` below returns.
    """
    _PROVIDED["python_layer_host"] = python_layer_host
    _PROVIDED["layer_function"] = layer_function


def python_layer_host(layer: Any, phase: int) -> Any:
    """The object that runs the user's class of a Python layer on NumPy arrays.

    layer: the layer's prototxt message.
    phase: TRAIN or TEST.
    Raises LayerError where the class cannot be imported or its setup fails.
    """
    return _PROVIDED["python_layer_host"](layer, phase)


def layer_function(name: str) -> Any:
    """pycaffe's function that adds a layer of this type to a NetSpec: `L.Convolution`."""
    return _PROVIDED["layer_function"](name)
