"""From annotated photographs to the annotated LMDBs that Caffe's SSD fork and netrun read."""

from __future__ import annotations

from ssd_common.version import __version__

__all__ = ["__version__"]
