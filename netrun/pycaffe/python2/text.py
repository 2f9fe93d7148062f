"""Text as Python 2 shows it. Its byte strings are text here, in UTF-8."""

from __future__ import annotations


def text(value: str | bytes) -> str:
    """Return bytes as text; bytes that are not UTF-8 survive a round trip through `data`."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value


def data(value: str | bytes) -> bytes:
    """Return the bytes of a text."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return value


def shown(value: object) -> str:
    """Return what str and print make of a value: a float has 12 digits."""
    if type(value) is float:
        return _float(value)
    if isinstance(value, bytes):
        return text(value)
    return str(value)


def _float(value: float) -> str:
    """Show a float as format_float_short of Python 2.7's pystrtod.c does."""
    said = f"{value:.12g}"
    if not said.lstrip("-").replace(".", "").isdigit():
        return said  # has an exponent, or is inf or nan
    if abs(value) >= 1e11:
        digits, exponent = f"{value:.11e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{exponent}"
    if "." not in said:
        return f"{said}.0"
    return said
