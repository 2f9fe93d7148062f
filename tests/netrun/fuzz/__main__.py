"""`python -m tests.netrun.fuzz --seed N --cases N`: spoilt files against netrun, each must be
refused in one line or be what it says.

A case that hangs ends the process with every thread's traceback, one that crashes it leaves its
number in the file `case`.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import json
import logging
import os
import resource
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import torch

from tests.netrun.fuzz import cases


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", choices=cases.KINDS)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--most", type=int, default=1, help="failures after which to stop")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    cases.set_up()
    found: collections.Counter[str] = collections.Counter()
    failures = 0
    for number, kind, draw in cases.drawn(args.seed, args.first, args.cases, args.only):
        Path("case").write_text(f"--seed {args.seed} --first {number} --cases 1 ({kind})")
        faulthandler.dump_traceback_later(30, exit=True)
        try:
            found[f"{kind} {cases.outcome(kind, draw)}"] += 1
        except Exception:
            failures += 1
            print(f"FAILED --seed {args.seed} --first {number} --cases 1 ({kind})", file=sys.stderr)
            traceback.print_exc()
            if failures >= args.most:
                break
        faulthandler.cancel_dump_traceback_later()
    print(json.dumps(dict(sorted(found.items()))))
    return failures > 0


sys.exit(main())
