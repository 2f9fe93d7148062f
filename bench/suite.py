"""The parts of `make bench`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import pictures
from bench.measured import Measured
from bench.turns import Contender, Contenders, compare
from ssd_common.machine import cores

PAPERS: tuple[str, ...] = ("ssd300_voc0712", "fssd300_voc0712", "dsod300_voc0712")
Results = dict[str, Measured]  # contender's name → measurements


class Suite:
    """The parts of the benchmark: each method compares contenders."""

    def __init__(self, folder: Path, device: str, quick: bool) -> None:
        """Prepare the parts.

        folder: for weights and data. device: "cpu" or "cuda". quick: take fewer turns.
        """
        self.folder = folder
        self.on_cpu = device == "cpu"
        self.quick = quick
        self.common = {
            "threads": cores(),
            "device": device,
            "precision": "fp32",
            "folder": str(folder),
        }
        self.precisions: tuple[str, ...] = ("fp32", "tf32", "bf16")
        if self.on_cpu:
            self.precisions = ("fp32", "bf16")

    def _rounds(self, count: int) -> int:
        if self.quick:
            return max(2, count // 5)
        return count

    def _pictures(self) -> str:
        """The LMDB of drawn JPEGs, written once."""
        source = self.folder / "lmdb"
        if not source.exists():
            pictures.write(source, 200)
        return str(source)

    def _training_batch(self) -> int:
        if self.on_cpu:
            return 4
        return 32

    def inference(self) -> Results:
        """SSD300, batch 1: OpenCV's DNN against netrun, on the same prototxt, weights and image."""
        options = {
            **self.common,
            "net": PAPERS[0],
            "batch": 1,
            "weights": str(self.folder / "ssd300.caffemodel"),
        }
        with Contender("weights", Measured("weights", options)):
            pass
        contenders: Contenders = {}
        for precision in self.precisions:
            contenders[f"netrun {precision}"] = ("deploy", {**options, "precision": precision})
        contenders["OpenCV DNN"] = ("opencv", {**options, "device": "cpu"})
        return compare(contenders, self._rounds(25))

    def training(self) -> Results:
        """SSD300, batch 4 (GPU: 32): PyTorch's forward and backward against netrun's whole step."""
        options = {**self.common, "net": PAPERS[0], "batch": self._training_batch()}
        contenders: Contenders = {
            "PyTorch": ("bare", {**options, "channels_last": False}),
            "PyTorch, channels last": ("bare", {**options, "channels_last": True}),
        }
        for precision in self.precisions:
            own = {**options, "precision": precision, "parts": True}
            contenders[f"netrun {precision}"] = ("train", own)
        with_data = {**options, "source": self._pictures()}
        contenders["netrun fp32, with its data"] = ("train", with_data)
        return compare(contenders, self._rounds(6))

    def loading(self) -> Results:
        """640x480 JPEGs with SSD's augmentation (CPU: in two threads): against decoding alone."""
        threads = cores()
        images = 640
        if self.on_cpu:
            threads = 2
        if self.quick:
            images = 64
        options = {
            **self.common,
            "device": "cpu",
            "net": PAPERS[0],
            "source": self._pictures(),
            "threads": threads,
            "images": images,
        }
        contenders: Contenders = {
            "netrun": ("loader", options),
            "netrun --jpeg-recoding": ("loader", {**options, "jpeg_recoding": True}),
            "decoding alone": ("decoding", options),
        }
        return compare(contenders, self._rounds(10))

    def detectors(self) -> Results:
        """SSD300, FSSD300, DSOD300, one by one: inference of 1 image (GPU: and 32) and training."""
        zoo_ids = PAPERS
        batches: tuple[int, ...] = (1, 32)
        precisions = self.precisions
        if self.on_cpu:
            batches = (1,)
            precisions = ("fp32",)
        if self.quick:
            zoo_ids = PAPERS[:1]
        found: Results = {}
        for zoo_id in zoo_ids:
            for precision in precisions:
                options = {**self.common, "net": zoo_id, "precision": precision}
                for batch in batches:
                    found |= self._inference_of(options, batch)
                found |= self._training_of(options)
        return found

    def _inference_of(self, options: dict[str, Any], batch: int) -> Results:
        name = f"{options['net']} inference, {batch}, {options['precision']}"
        return compare({name: ("deploy", {**options, "batch": batch})}, self._rounds(8))

    def _training_of(self, options: dict[str, Any]) -> Results:
        batch = self._training_batch()
        name = f"{options['net']} training, {batch}, {options['precision']}"
        return compare({name: ("train", {**options, "batch": batch})}, self._rounds(4))

    def matrices(self) -> Results:
        """The device's matrix rate."""
        side = 8192
        if self.on_cpu:
            side = 2048
        contenders: Contenders = {}
        for precision in self.precisions:
            options = {**self.common, "precision": precision, "side": side}
            contenders[precision] = ("products", options)
        return compare(contenders, self._rounds(10))

    def parts(self) -> dict[str, Callable[[], Results]]:
        """Return the parts by name; their docstrings are what `make bench` prints."""
        return {
            "inference": self.inference,
            "training": self.training,
            "loading": self.loading,
            "detectors": self.detectors,
            "matrices": self.matrices,
        }
