"""The version of this project and of all its packages; pyproject.toml reads it here."""

from __future__ import annotations

DISTRIBUTION = "ssd-zoo"
__version__ = "0.1.0"
