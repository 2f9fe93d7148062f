"""Measure netrun beside what else runs the same nets, and write a table, the figures as JSON, and a plot.

Every contender is a process of its own. Those of one comparison wait ready while they take turns, so that a drift of the machine's
speed meets all of them alike, and the medians of their turns are compared.
usage: python -m bench [--quick] [--parts inference,training,...] [--out DIR]    (`make bench` calls it; about six minutes)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from bench import machine, nets, pictures, report
from bench.report import Measured
from ssd_common.arguments import Parser
from ssd_common.command import run_command
from ssd_common.machine import cores

PAPERS = ("ssd300_voc0712", "fssd300_voc0712", "dsod300_voc0712")


class Contender:
    """A running `bench.contenders` process."""

    def __init__(self, kind: str, measured: Measured) -> None:
        self.measured = measured
        environment = {**os.environ, "PYTHONPATH": str(nets.ROOT), "GOMP_SPINCOUNT": "2000"}
        command = [sys.executable, "-m", "bench.contenders", kind, json.dumps(measured.options)]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=nets.ROOT, env=environment, **pipes)
        measured.facts = self._reply()  # it is ready

    def _reply(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr
            self.measured.failed = (self.process.stderr.read().strip().splitlines() or ["ended without a word"])[-1]
            return {}
        return json.loads(line)

    def turn(self) -> None:
        assert self.process.stdin
        if not self.measured.failed:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
            if seconds := self._reply().get("seconds"):
                self.measured.seconds.append(seconds)

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None and not self.measured.failed:
            assert self.process.stdin
            self.process.stdin.close()
            last = self._reply()
            self.measured.memory = last.get("memory", 0)
            self.measured.facts |= last.get("facts", {})
        self.process.kill()
        with self.process:  # closes its pipes
            pass


def compare(contenders: dict[str, tuple[str, dict[str, Any]]], rounds: int) -> dict[str, Measured]:
    """Let contenders (name -> kind, options) take turns."""
    done = {name: Measured(name, options) for name, (_, options) in contenders.items()}
    with ExitStack() as stack:
        running = []
        for name, (kind, _) in contenders.items():
            print(f"  {name} …", flush=True)
            running.append(stack.enter_context(Contender(kind, done[name])))
        for _ in range(rounds):
            for contender in running:
                contender.turn()
    for m in done.values():
        said = f"failed: {m.failed}" if m.failed else f"{m.median * 1e3:.1f} ms, {m.rate:.1f} a second"
        print(f"  {m.name}: {said}", flush=True)
    return done


class Suite:
    """The parts of the benchmark. folder: for weights and data. quick: fewer turns."""

    def __init__(self, folder: Path, device: str, quick: bool) -> None:
        self.folder, self.device, self.quick = folder, device, quick
        self.common = {"threads": cores(), "device": device, "precision": "fp32", "folder": str(folder)}
        self.precisions = ("fp32", "bf16") if device == "cpu" else ("fp32", "tf32", "bf16")

    def _rounds(self, count: int) -> int:
        return max(2, count // 5) if self.quick else count

    def _pictures(self) -> str:
        source = self.folder / "lmdb"
        return str(source if source.exists() else pictures.write(source, 200))

    def inference(self) -> dict[str, Measured]:
        """SSD300, batch 1: OpenCV's DNN against netrun, on the same prototxt, weights and image."""
        options = {**self.common, "net": PAPERS[0], "batch": 1, "weights": str(self.folder / "ssd300.caffemodel")}
        with Contender("weights", Measured("weights", options)):
            pass
        mine = {f"netrun {p}": ("deploy", {**options, "precision": p}) for p in self.precisions}
        return compare(mine | {"OpenCV DNN": ("opencv", {**options, "device": "cpu"})}, self._rounds(25))

    def training(self) -> dict[str, Measured]:
        """SSD300, batch 4 (32 on a GPU): plain PyTorch's forward and backward against netrun's whole step."""
        batch = 4 if self.device == "cpu" else 32
        options = {**self.common, "net": PAPERS[0], "batch": batch}
        contenders: dict[str, tuple[str, dict[str, Any]]] = {}
        for order in (False, True):
            contenders["PyTorch, channels last" if order else "PyTorch"] = ("bare", {**options, "channels_last": order})
        for p in self.precisions:
            contenders[f"netrun {p}"] = ("train", {**options, "precision": p, "parts": True})
        contenders["netrun fp32, with its data"] = ("train", {**options, "source": self._pictures()})
        return compare(contenders, self._rounds(6))

    def loading(self) -> dict[str, Measured]:
        """640x480 JPEGs with SSD's whole augmentation, one thread a core (on a CPU two): against decoding alone."""
        threads = 2 if self.device == "cpu" else cores()
        options = {**self.common, "device": "cpu", "net": PAPERS[0], "source": self._pictures(), "threads": threads}
        options["images"] = 64 if self.quick else 640
        return compare({"netrun": ("loader", options), "decoding alone": ("decoding", options)}, self._rounds(10))

    def detectors(self) -> dict[str, Measured]:
        """SSD300, FSSD300 and DSOD300: inference of 1 image (and 32 on a GPU) and training, one after the other."""
        found: dict[str, Measured] = {}
        batches, train, precisions = ((1,), 4, ("fp32",)) if self.device == "cpu" else ((1, 32), 32, self.precisions)
        for zoo_id in PAPERS[:1] if self.quick else PAPERS:
            for p in precisions:
                options = {**self.common, "net": zoo_id, "precision": p}
                for batch in batches:
                    found |= compare({f"{zoo_id} inference, {batch}, {p}": ("deploy", {**options, "batch": batch})}, self._rounds(8))
                found |= compare({f"{zoo_id} training, {train}, {p}": ("train", {**options, "batch": train})}, self._rounds(4))
        return found

    def matrices(self) -> dict[str, Measured]:
        """The device's matrix rate."""
        side = 2048 if self.device == "cpu" else 8192
        return compare({p: ("products", {**self.common, "precision": p, "side": side}) for p in self.precisions}, self._rounds(10))

    def parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("inference", "training", "loading", "detectors", "matrices")}


def main(argv: Sequence[str]) -> int:
    """Measure what the flags ask for, and write the figures. Raises CaffeError."""
    parser = Parser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer turns, one detector: a look, no result")
    parser.add_argument("--parts", metavar="A,B", help="inference, training, loading, detectors, matrices (default: all)")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda (default: cuda where there is one)"
    )
    parser.add_argument("--out", type=Path, default=nets.ROOT / "bench/results", metavar="DIR", help="default: bench/results")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(Path(folder), args.device, args.quick)
        parts = suite.parts()
        wanted = args.parts.split(",") if args.parts else list(parts)
        if unknown := set(wanted) - set(parts):
            parser.error(f"no part '{unknown.pop()}'; there are {', '.join(parts)}")
        found = {}
        for name in wanted:
            print(f"{name}: {parts[name].__doc__}", flush=True)
            found[name] = parts[name]()
    return report.write(args.out, args.device, machine.describe(), found)


if __name__ == "__main__":
    sys.exit(run_command("bench", main))
