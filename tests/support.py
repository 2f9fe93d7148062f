"""What several test modules need: where shared/ and a real Caffe lie, and golden cases as pytest parameters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared"))
NO_SHARED = f"shared reference data not found at {SHARED} (set SHARED)"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=NO_SHARED)
CAFFE = Path(os.environ.get("CAFFE_ROOT", "")) / "build/tools/caffe"
needs_caffe = pytest.mark.skipif(not os.environ.get("CAFFE_ROOT"), reason="needs a real Caffe, the SSD fork: set CAFFE_ROOT")


def golden(pattern: str) -> list:
    """Files of shared/golden that match a glob, as pytest parameters named by stem; one skipped parameter without shared/."""
    files = sorted((SHARED / "golden").glob(pattern))
    if not files:
        return [pytest.param(None, marks=pytest.mark.skip(reason=NO_SHARED))]
    return [pytest.param(f, id=f.stem) for f in files]
