"""A detector: features, heads and data put together into train, test and deploy nets and their solver."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from netgen.backbones.registry import BACKBONES, VGG16, Stack
from netgen.data_layer import VGG_PIXELS, Pixels, annotated_data
from netgen.datasets import Dataset
from netgen.graph import PHASES, Blob, Net
from netgen.heads.multibox import (
    SSD_SUPPRESSION,
    Predictions,
    Source,
    Suppression,
    detection_evaluate,
    detection_output,
    multibox_head,
    multibox_loss,
)
from netgen.heads.priors import SSD300, SSD300_SMALL, SSD512, SSD512_SMALL, Priors, Scales, derive
from netgen.schedules import Plan, Schedule, plan, solver_chain, solver_message, tests_alone, without_tests
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

VGG_WEIGHTS = VGG16.weights
TARGETS = ("ssd", "fssd")
Features = Callable[[Net, Blob], list[Source]]
Size = tuple[int, int]


@dataclass(frozen=True)
class Detector:
    """Everything that a detector's files follow from.

    name: with its input size, "fssd300"; the zoo id is name, data set and suffix. size: of the input in pixels, side or (height, width).
    features: image → source maps, largest first. scales: prior sizes, SSD's for this input size and data set where left out.
    ratios: aspect ratios per map where they are not SSD's, one row for all maps alike. priors: boxes per map, where they follow from no
    scales. head, loss, detect: what makes predictions of source maps, and of those a loss and detections, where that is not SSD's; each is
    called as `multibox_head`, `multibox_loss` and `detection_output` are. weights: what training starts from; "" for from scratch.
    """

    name: str
    size: int | Size
    features: Features
    dataset: Dataset
    schedule: Schedule
    suffix: str = ""
    scales: Scales | None = None
    ratios: Sequence[Sequence[float]] | None = None
    priors: Sequence[Priors] | None = None
    suppression: Suppression = SSD_SUPPRESSION  # of boxes in the test and deploy nets
    head: Callable[..., Predictions] = multibox_head
    head_lr_mult: float = 1
    loss: Callable[..., Blob] = multibox_loss
    detect: Callable[..., Blob] = detection_output
    weights: str = VGG_WEIGHTS
    pixels: Pixels = VGG_PIXELS
    needs_weights: bool = False  # some layers never learn: without weights there is nothing to train
    expand: float = 4  # the largest canvas in training, in an image's own sides
    crops: bool = True  # train on patches too, not on whole images alone
    distort: bool = True  # the colours of training images
    overlap_threshold: float = 0.5  # of a detection that counts as right while training
    output_prefix: str = ""  # of written detections, where the data set's is not used
    folder: str = ""  # where the files lie; "" for the repository's own places
    gpus: Sequence[int] | None = None  # to train on; [] for the CPU, None for the schedule's own
    batch_per_gpu: int | None = None  # images; None for what `schedules.plan` works out

    @property
    def id(self) -> str:
        return f"{self.name}_{self.dataset.key}{self.suffix}"

    @property
    def image_size(self) -> Size:
        """(height, width) of the input in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def devices(self) -> tuple[int, ...]:
        """The GPUs to train on, none for the CPU."""
        return tuple(self.schedule.gpus if self.gpus is None else self.gpus)

    @property
    def plan(self) -> Plan:
        """How a batch is spread over the devices."""
        return plan(self.schedule, self.devices, self.batch_per_gpu)

    def on(self, dataset: Dataset) -> Detector:
        """The same detector for another data set; a user's own is tested in batches that divide its test images: each counts once.

        Weights that another detector's training leaves are then those that its training on this data set leaves.
        """
        schedule = replace(self.schedule, test_iter=0)  # a released count is of the released data
        if dataset.own:
            test_batch = next(b for b in range(schedule.test_batch, 0, -1) if dataset.test_images % b == 0)
            schedule = replace(schedule, test_batch=test_batch)
        weights = self.weights.replace(f"_{self.dataset.key}", f"_{dataset.key}") if self.weights.startswith("runs/") else self.weights
        return replace(self, dataset=dataset, schedule=schedule, weights=weights, output_prefix="")

    def resized(self, size: int | Size) -> Detector:
        """The same detector for another input size, (height, width) or the side; prior boxes of its own grow with the shorter side.

        Raises CaffeError for a size below one pixel. Whether the layers fit is seen when the net is built.
        """
        if isinstance(size, tuple) and size[0] == size[1]:
            size = size[0]
        other = replace(self, size=size, name=re.sub(rf"(?<!\d){_spell(self.size)}(?!\d)", _spell(size), self.name, count=1))
        if min(other.image_size) < 1:
            raise CaffeError(f"an input has at least one pixel, not {_spell(size)}")
        if not self.priors:
            return other
        factor = min(other.image_size) / min(self.image_size)
        return replace(other, priors=[p.scaled(factor) for p in self.priors])

    def on_backbone(self, name: str) -> Detector:
        """The same neck and heads on another backbone, started from that one's weights.

        Raises CaffeError where there is no such backbone, or the neck is made for its own alone.
        """
        if not isinstance(self.features, Stack):
            raise CaffeError(f"{self.id}: this neck is made for its own backbone; others take {', '.join(BACKBONES)}")
        features = self.features.on(name)
        if features == self.features:
            return self
        backbone = BACKBONES[name]
        weights = self.weights and backbone.weights
        return replace(self, features=features, name=f"{self.name}_{name}", weights=weights, needs_weights=False, pixels=backbone.pixels)

    # Where files lie.

    @property
    def net_folder(self) -> str:
        return self.folder or f"prototxt/{self.id}"

    @property
    def run_folder(self) -> str:
        return self.folder or f"runs/{self.id}"

    @property
    def snapshot_prefix(self) -> str:
        return f"{self.run_folder}/snapshots/{self.id}"

    # What they hold.

    def build(self, phase: str, target: str = "ssd") -> pb.NetParameter:
        """The net of a phase ("train", "test" or "deploy") for a Caffe build ("ssd" or "fssd").

        Raises CaffeError for another phase or target, LayerError where a layer cannot be built.
        """
        for value, choices, what in ((phase, PHASES, "phase"), (target, TARGETS, "target")):
            if value not in choices:
                raise CaffeError(f"no {what} '{value}'{suggest(value, choices)}; there are {', '.join(choices)}")
        net = Net(f"{self.id}_{phase}", phase, target)
        data, classes = self.dataset, self.dataset.num_classes
        label = None
        if phase == "deploy":
            image = net.input("data", (1, 3, *self.image_size))
        else:
            batch = self.plan.per_gpu if phase == "train" else self.schedule.test_batch
            augmentation: dict[str, Any] = {"pixels": self.pixels, "expand": self.expand, "crops": self.crops, "distort": self.distort}
            image, label = annotated_data(net, data, self.image_size, batch, **augmentation)
        sources = self.features(net, image)
        priors = self.priors or derive(self.scales or self._standard_scales(), min(self.image_size), len(sources), self.ratios)
        predictions = self.head(net, image, sources, priors, classes, lr_mult=self.head_lr_mult)
        if phase == "train":
            assert label
            self.loss(net, predictions, label, classes, train_on_difficult=data.train_on_difficult)
            return net.proto
        save = self._save_output() if phase == "test" or data.deploy_saves else None
        detections = self.detect(net, predictions, classes, save, self.suppression)
        if label:
            detection_evaluate(net, detections, label, classes, data.path(data.name_size), overlap_threshold=self.overlap_threshold)
        return net.proto

    def solver(self) -> pb.SolverParameter:
        """The solver, with paths of `net_folder` and `run_folder`; the last one where the schedule takes several."""
        return self.solvers()[-1]

    def solvers(self) -> list[pb.SolverParameter]:
        """The solvers that train one after the other, each from the snapshot of the one before."""
        final = self._whole_solver()
        return solver_chain(self.schedule, without_tests(final) if self.schedule.test_apart else final)

    def test_solver(self) -> pb.SolverParameter | None:
        """The solver that tests the weights that it is given, where training does not test; or None."""
        return tests_alone(self._whole_solver()) if self.schedule.test_apart else None

    def _whole_solver(self) -> pb.SolverParameter:
        return solver_message(
            self.schedule,
            self.plan.iter_size,
            self.devices,
            train_net=f"{self.net_folder}/train.prototxt",
            test_net=f"{self.net_folder}/test.prototxt",
            snapshot_prefix=self.snapshot_prefix,
            test_images=self.dataset.test_images,
            ap_version=self.dataset.ap_version,
            test_labels=self.dataset.test_labels,
        )

    def _standard_scales(self) -> Scales:
        small = self.dataset.small_objects
        if min(self.image_size) < 512:
            return SSD300_SMALL if small else SSD300
        return SSD512_SMALL if small else SSD512

    def _save_output(self) -> dict:
        data = self.dataset
        return {
            "output_directory": f"{self.run_folder}/results",
            "output_name_prefix": self.output_prefix or data.output_prefix.format(detector=self.name),
            "output_format": data.output_format,
            "label_map_file": data.path(data.labelmap),
            "name_size_file": data.path(data.name_size),
            "num_test_image": data.test_images,
        }


def _spell(size: int | Size) -> str:
    """300 → "300", (512, 320) → "512x320"."""
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"
