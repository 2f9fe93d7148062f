"""The version of this project, of all its packages; pyproject.toml reads it here."""

__version__ = "0.1.0"
