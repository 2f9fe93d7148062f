"""A run of a recipe: its data, devices and folder, and the nets and solvers made from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from caffe_ir import caffe_ir_pb2 as pb
from netgen.data_layer import annotated_data
from netgen.datasets import Dataset
from netgen.graph import Blob, Net
from netgen.names import AP_VERSIONS, PHASES, RESULT_FORMATS, TARGETS
from netgen.recipe import Recipe, Size
from netgen.schedules import Plan, Schedule, plan
from netgen.solvers import solver_chain, solver_message, tests_alone, without_tests
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


@dataclass(frozen=True)
class Run:
    """A recipe on a data set and on devices, in a folder. `Run.of` makes the recipe's own.

    schedule: the recipe's, possibly shortened or with another batch.
    output_prefix: beginning of the names of detection files; "" for the data set's own.
    gpus: numbers of the GPUs to train on; [] for the CPU, None for the schedule's.
    batch_per_gpu: images per GPU and pass; None to let `schedules.plan` choose.
    start_folder: folder of the run whose newest weights training starts from; "" for the recipe's
        own start.
    folder: where the files lie; "" for prototxt/<zoo id> and runs/<zoo id>.
    target: the Caffe build that nets are written for, "ssd" (stock layers) or "fssd" (has Interp).
    """

    recipe: Recipe
    dataset: Dataset
    schedule: Schedule
    output_prefix: str = ""
    gpus: Sequence[int] | None = None
    batch_per_gpu: int | None = None
    start_folder: str = ""
    folder: str = ""
    target: str = "ssd"

    @classmethod
    def of(cls, recipe: Recipe) -> Run:
        """Return the run that the recipe itself describes."""
        return cls(recipe, recipe.dataset, recipe.schedule, recipe.output_prefix)

    @property
    def id(self) -> str:
        """The zoo id, made from the run's own data set, size and backbone."""
        return f"{self.recipe.name}_{self.dataset.key}{self.recipe.suffix}"

    @property
    def image_size(self) -> Size:
        """(height, width) of the input in pixels."""
        return self.recipe.image_size

    @property
    def devices(self) -> tuple[int, ...]:
        """Numbers of the GPUs to train on, none for the CPU."""
        if self.gpus is None:
            return self.schedule.gpus
        return tuple(self.gpus)

    @property
    def plan(self) -> Plan:
        """How a batch is spread over the devices."""
        return plan(self.schedule, self.devices, self.batch_per_gpu)

    @property
    def weights(self) -> str:
        """The file that training starts from; "" to train from scratch.

        Where a recipe starts from another detector, this is what that one, trained on this data
        set at this size, ends with; the newest of its snapshots will do.
        """
        start = self.start
        if start is not None:
            return start.final_weights
        if self.start_folder:
            return f"{self.start_snapshots}/*_iter_*.caffemodel"
        return self.recipe.weights

    @property
    def start(self) -> Run | None:
        """The run of the detector that this one starts from; None where it starts from a file."""
        recipe = self.recipe.starts_from
        if recipe is None:
            return None
        if recipe.image_size != self.image_size:
            recipe = recipe.resized(self.recipe.size)
        return replace(Run.of(recipe), dataset=self.dataset, folder=self.start_folder)

    @property
    def start_snapshots(self) -> str:
        """Folder of the snapshots of which training starts from the newest; "" for a file."""
        folder = self.start_folder
        if self.start is not None:
            folder = self.start.run_folder
        if not folder:
            return ""
        return f"{folder}/snapshots"

    def on(self, dataset: Dataset) -> Run:
        """Return the same run on another data set, which changes no more than the data do.

        See `Dataset.in_place_of` for what stays the recipe's. Its own data set by name leaves the
        run as it is, since some releases differ from that. A user's own data set is tested in
        batches that divide the number of its test images, so that each image counts once.
        """
        if not dataset.own and dataset.key == self.dataset.key:
            return self
        schedule = replace(self.schedule, test_iter=0)  # released counts fit the released data
        if dataset.own:
            sizes = range(schedule.test_batch, 0, -1)
            test_batch = next(size for size in sizes if dataset.test_images % size == 0)
            schedule = replace(schedule, test_batch=test_batch)
        prefix = ""
        if dataset.own:
            prefix = self.output_prefix
        dataset = dataset.in_place_of(self.dataset)
        return replace(self, dataset=dataset, schedule=schedule, output_prefix=prefix)

    def scored(self, ap_version: str | None, result_format: str | None) -> Run:
        """Return the same run with another average precision or other result files.

        ap_version: one of names.AP_VERSIONS; None for the run's own.
        result_format: one of names.RESULT_FORMATS; None for the run's own.

        Raises CaffeError for another name.
        """
        data = self.dataset
        if ap_version is not None:
            _check_choice("version of average precision", ap_version, AP_VERSIONS)
            data = replace(data, ap_version=ap_version)
        if result_format is not None:
            _check_choice("format of result files", result_format, RESULT_FORMATS)
            data = replace(data, output_format=result_format)
        return replace(self, dataset=data)

    def resized(self, size: int | Size) -> Run:
        """Return the same run for another input size; see `Recipe.resized`."""
        return replace(self, recipe=self.recipe.resized(size))

    @property
    def net_folder(self) -> str:
        """Folder of the nets and solvers."""
        return self.folder or f"prototxt/{self.id}"

    @property
    def run_folder(self) -> str:
        """Folder that training writes into."""
        return self.folder or f"runs/{self.id}"

    @property
    def snapshot_prefix(self) -> str:
        """Beginning of the paths of snapshots, folder included."""
        return f"{self.run_folder}/snapshots/{self.id}"

    @property
    def final_weights(self) -> str:
        """Path of the last snapshot's weights."""
        return f"{self.snapshot_prefix}_iter_{self.schedule.max_iter}.caffemodel"

    def build(self, phase: str) -> pb.NetParameter:
        """Return the net of a phase.

        phase: "train", "test" or "deploy".

        Raises CaffeError for another phase or target, LayerError where a layer cannot be built.
        """
        _check_choice("phase", phase, PHASES)
        _check_choice("target", self.target, TARGETS)
        net = Net(f"{self.id}_{phase}", phase, self.target)
        data = self.dataset
        head = self.recipe.head
        image, label = self._inputs(net)
        sources = self.recipe.features(net, image)
        predictions = head.predict(net, image, sources, data)
        if phase == "train":
            assert label
            head.add_loss(net, predictions, label, data)
            return net.proto
        save = None
        if phase == "test" or data.deploy_saves:
            save = self._save_output()
        detections = head.detect(net, predictions, data, save)
        if label:
            head.evaluate(net, detections, label, data)
        return net.proto

    def _inputs(self, net: Net) -> tuple[Blob, Blob | None]:
        """Add the images and their labels; a deploy net has no labels."""
        if net.phase == "deploy":
            return net.input("data", (1, 3, *self.image_size)), None
        batch = self.schedule.test_batch
        if net.phase == "train":
            batch = self.plan.per_gpu
        return annotated_data(
            net,
            self.dataset,
            self.image_size,
            batch,
            pixels=self.recipe.pixels,
            augmentation=self.recipe.augmentation,
        )

    def solver(self) -> pb.SolverParameter:
        """Return the solver; the last one where the schedule takes several.

        Its paths lie in `net_folder` and `run_folder`.
        """
        return self.solvers()[-1]

    def solvers(self) -> list[pb.SolverParameter]:
        """Return the solvers that train in turn, each from the last snapshot of the one before."""
        final = self._whole_solver()
        if self.schedule.test_apart:
            final = without_tests(final)
        return solver_chain(self.schedule, final)

    def test_solver(self) -> pb.SolverParameter | None:
        """Return the solver that tests given weights; None where the training solver tests."""
        if not self.schedule.test_apart:
            return None
        return tests_alone(self._whole_solver())

    def _whole_solver(self) -> pb.SolverParameter:
        return solver_message(
            self.schedule,
            self.dataset,
            self.plan.iter_size,
            self.devices,
            folder=self.net_folder,
            snapshot_prefix=self.snapshot_prefix,
        )

    def _save_output(self) -> dict:
        """Return the fields of SaveOutputParameter."""
        data = self.dataset
        prefix = self.output_prefix or data.output_prefix.format(detector=self.recipe.name)
        return {
            "output_directory": f"{self.run_folder}/results",
            "output_name_prefix": prefix,
            "output_format": data.output_format,
            "label_map_file": data.path(data.labelmap),
            "name_size_file": data.path(data.name_size),
            "num_test_image": data.test_images,
        }


def _check_choice(what: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        known = ", ".join(choices)
        near = suggest(value, choices)
        raise CaffeError(f"no {what} '{value}'{near}; there are {known}")
