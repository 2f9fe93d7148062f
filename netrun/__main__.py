"""Runs the command line: `python -m netrun`."""

from __future__ import annotations

import sys

from netrun.cli import entry

sys.exit(entry())
