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
    "PINF": np.inf,
    "NINF": -np.inf,
    "infty": np.inf,
    "NaN": np.nan,
    "NAN": np.nan,
    "bool8": np.bool_,
    "int0": np.intp,
    "uint0": np.uintp,
    "in1d": lambda values, *others, **options: np.isin(np.ravel(values), *others, **options),
    "trapz": getattr(np, "trapezoid", None),  # NumPy 1 has trapz
    "round_": np.round,
    "mat": np.asmatrix,
    "rank": np.ndim,
    "alen": len,
    "msort": lambda values: np.sort(values, axis=0),
    "asscalar": lambda array: np.asarray(array).item(),
    "asfarray": lambda values, dtype=float: np.asarray(values, dtype),
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
