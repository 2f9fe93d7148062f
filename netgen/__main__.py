"""Run the command line: `python -m netgen`."""

import sys

from netgen.cli import entry

sys.exit(entry())
