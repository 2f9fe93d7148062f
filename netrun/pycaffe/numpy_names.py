"""The names that NumPy had when pycaffe's scripts were written."""

from __future__ import annotations

import numpy as np

# Names that NumPy 2 has no more, or NumPy 1.24 already had not, and what they meant.
OLD = {
    "float": float,
    "int": int,
    "bool": bool,
    "object": object,
    "str": str,
    "complex": complex,
    "long": int,
    "unicode": str,
    "float_": np.float64,
    "complex_": np.complex128,
    "string_": np.bytes_,
    "unicode_": np.str_,
    "Inf": np.inf,
    "Infinity": np.inf,
    "infty": np.inf,
    "NaN": np.nan,
    "product": np.prod,
    "cumproduct": np.cumprod,
    "alltrue": np.all,
    "sometrue": np.any,
}


def add() -> None:
    """Give NumPy its old names, in this process."""
    for name, meaning in OLD.items():
        if name not in vars(np):
            setattr(np, name, meaning)
