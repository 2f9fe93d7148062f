"""Runs `python -m data_prep`."""

import sys

from data_prep.cli import entry

sys.exit(entry())
