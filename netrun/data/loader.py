"""Batches of images, which threads prepare in advance.

Sample i of a run (counted over all its processes) is record i modulo the number of records,
or the record that `order` gives for i. It draws from a generator of its own, Philox keyed by (seed,
i). So order and random numbers depend only on seed and batch number: a run can seek any batch and
resume exactly, with any number of threads.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.lmdb_reader import LmdbReader, key_text
from caffe_ir.records import CorruptRecord, parse
from netrun.data.boxes import Annotations
from netrun.data.buffers import Buffers
from netrun.data.datum import Sample, decode
from netrun.data.draws import Draws
from netrun.data.records import Records
from netrun.data.transform import Transformer
from netrun.runtime.memory import exhausted
from ssd_common import machine
from ssd_common.errors import CaffeError

log = logging.getLogger("netrun")
_NO_OBJECT = np.full((1, 8), -1, np.float32)


@dataclass(frozen=True)
class Plan:
    """Which samples this process takes, and how it loads them.

    batch_size: this process's batch size.
    seed: the random numbers' seed.
    rank, world: this process's number and the number of processes, which take batches in turn.
    labels: the labelmap's ids; None: accept any label.
    force_color, force_gray: decode every image in colour, or in grey.
    strict: stop at a corrupt record or object instead of leaving it out.
    pinned: keep batches in page-locked memory, for copies to a GPU.
    ahead: how many batches to make in advance.
    threads: 0 for one per core.
    """

    batch_size: int
    seed: int = 0
    rank: int = 0
    world: int = 1
    labels: frozenset[int] | None = None
    force_color: bool = False
    force_gray: bool = False
    strict: bool = False
    pinned: bool = False
    ahead: int = 4
    threads: int = 0


def cores() -> int:
    """Count the cores for each process of this run on this machine."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(machine.cores() // processes, 1)


class _Item(NamedTuple):
    """A sample that a thread made: its objects and label, and the array that holds its pixels."""

    found: Annotations
    label: int | None
    data: np.ndarray


class Loader:
    """Batches (data, labels), in order.

    data is (N, C, H, W) float32. labels is (1, 1, rows, 8) float32, a row for each object of
    the batch: [item, label, instance, xmin, ymin, xmax, ymax, difficult], or one row of -1.
    For records without annotations, labels is (N,). Where nothing fixes the images' size, a batch
    of one has the size of its image.

    A record that cannot be read is logged with its key, and the next readable record takes
    its place. Objects that `decode` leaves out are logged likewise. close() logs the counts.

    reader: the records.
    transformer: what happens to each image.
    plan: which samples this process takes.
    annotated: whether records have annotations; None: decided by the first record.
    read: returns the content of the record with a number; default: decodes an AnnotatedDatum.
    order: returns the record's number for a sample's number.
    Raises CaffeError when no record can be read, and where `Transformer` does, naming source
    and record.
    """

    def __init__(
        self,
        reader: Records,
        transformer: Transformer,
        plan: Plan,
        annotated: bool | None = None,
        *,
        read: Callable[[int], Sample] | None = None,
        order: Callable[[int], int] = int,
    ) -> None:
        self._reader = reader
        self._transformer = transformer
        self._plan = plan
        self._read = read or self._decoded
        self._order = order
        # For each logged record, how many of its objects are left out; -1: the whole record.
        self._left_out: dict[int, int] = {}
        self._lock = threading.Lock()
        self._draws = Draws()
        record, sample = self._sample(0)
        if annotated is None:
            annotated = parse(self._value(record)).HasField("type")
        self.annotated = annotated
        height, width, channels = sample.image.shape
        out_width, out_height = transformer.size(width, height)
        self.shape = (plan.batch_size, channels, out_height, out_width)
        self._free_size = not transformer.one_size and plan.batch_size == 1
        self._check_batch_size()
        buffer_shape: tuple[int, ...] = self.shape
        if self._free_size:
            buffer_shape = (0,)
        self._buffers = Buffers(buffer_shape)
        self._threads: ThreadPoolExecutor | None = None
        self._made: deque[tuple[torch.Tensor, list[Future[_Item]]]] = deque()
        self._next = 0  # the batch that the consumer gets next

    def _check_batch_size(self) -> None:
        resize = self._transformer.resize
        if resize is None or self._plan.batch_size == 1:
            return
        if resize.param.resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE:
            raise CaffeError(
                "FIT_SMALL_SIZE gives each image its own size: batch_size must be 1, "
                f"is {self._plan.batch_size}"
            )

    def seek(self, batch: int) -> None:
        """Go to batch number `batch`, counted from 0 over the whole run."""
        if batch != self._next:
            self._drop()
            self._next = batch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return self

    def __next__(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next batch; the loader keeps no hold of its memory."""
        while len(self._made) <= self._plan.ahead:
            self._made.append(self._start(self._next + len(self._made)))
        data, jobs = self._made.popleft()
        try:
            # Wait for all at once: if it woke in between, this thread would only disturb the
            # workers.
            wait(jobs)
            items = [job.result() for job in jobs]
        except BaseException:
            self._drop()
            raise
        self._next += 1
        if self._free_size:
            data = torch.from_numpy(items[0].data)
        return data, self._labels(items)

    def passed_over(self, record: int) -> bool:
        """Tell whether a record could not be read, so that the next one took its place."""
        with self._lock:
            return self._left_out.get(record, 0) < 0

    def close(self) -> None:
        """Stop the threads and close the file."""
        self._drop()
        if self._threads:
            self._threads.shutdown()
            self._threads = None
        self._reader.close()
        if self._left_out:
            records = sum(n < 0 for n in self._left_out.values())
            objects = sum(n for n in self._left_out.values() if n > 0)
            log.warning(
                "%s: skipped %d corrupt records and %d corrupt objects of others",
                self._reader.source,
                records,
                objects,
            )
            self._left_out.clear()

    def _drop(self) -> None:
        """Cancel the unfinished batches."""
        for _, jobs in self._made:
            for job in jobs:
                job.cancel()
        self._made.clear()

    def _start(self, batch: int) -> tuple[torch.Tensor, list[Future[_Item]]]:
        """Let the threads make a batch; return its memory and their jobs."""
        plan = self._plan
        if self._threads is None:
            cv2.setNumThreads(0)  # images in parallel, not the rows of one
            threads = plan.threads or min(cores(), 16)
            self._threads = ThreadPoolExecutor(threads, "netrun-data")
        data = self._memory()
        begin = (batch * plan.world + plan.rank) * plan.batch_size
        jobs = []
        for k in range(plan.batch_size):
            jobs.append(self._threads.submit(self._make, begin + k, data.numpy(), k))
        return data, jobs

    def _memory(self) -> torch.Tensor:
        if self._plan.pinned:
            return torch.empty(self._buffers.shape, pin_memory=True)
        return self._buffers.take()

    def _make(self, index: int, data: np.ndarray, item: int) -> _Item:
        """Make sample `index` of the run, its pixels in data[item]."""
        record, sample = self._sample(index)
        try:
            rng = self._draws.of(self._plan.seed, index)
            image, found = self._transformer(sample, rng)
            shape = (image.shape[2], *image.shape[:2])
            if self._free_size:
                data = np.empty((1, *shape), np.float32)
            elif shape != self.shape[1:]:
                raise CaffeError(
                    f"its data are {shape} (C, H, W), the batch's {self.shape[1:]}; "
                    "set resize_param or force_color"
                )
            self._transformer.normalise(image, data[item])
        except (CaffeError, cv2.error, ArithmeticError, ValueError) as error:
            if exhausted(error):
                raise
            message = str(error).strip().splitlines()[-1]
            place = f"{self._reader.source}: record '{self._key(record)}'"
            raise CaffeError(f"{place}: {message}") from None
        return _Item(found, sample.label, data)

    def _sample(self, index: int) -> tuple[int, Sample]:
        """The number and content of the record of sample `index`, or of the next readable one."""
        count = len(self._reader)
        first = self._order(index)
        for step in range(count):
            record = (first + step) % count
            try:
                sample = self._read(record)
            except CorruptRecord as error:
                self._note(record, -1, f"cannot be read: {error}", "the next one takes its place")
                continue
            if sample.faults:
                self._note_faults(record, sample.faults)
            return record, sample
        raise CaffeError(
            f"{self._reader.source}: none of the {count} records can be read; "
            "build it again (data_prep)"
        )

    def _value(self, record: int) -> bytes:
        assert isinstance(self._reader, LmdbReader)
        return self._reader.value(record)

    def _decoded(self, record: int) -> Sample:
        plan = self._plan
        return decode(self._value(record), plan.labels, plan.force_color, plan.force_gray)

    def _note_faults(self, record: int, faults: tuple[str, ...]) -> None:
        more = ""
        if len(faults) > 1:
            more = f" and {len(faults) - 1} more"
        self._note(record, len(faults), f"has {faults[0]}{more}", "left out")

    def _note(self, record: int, objects: int, what: str, remedy: str) -> None:
        """Log once what is wrong with a record; in a strict run, raise CaffeError instead."""
        where = f"{self._reader.source}: record '{self._key(record)}' {what}"
        if self._plan.strict:
            raise CaffeError(where)
        with self._lock:
            known = record in self._left_out
            self._left_out[record] = objects
        if not known:
            log.warning("%s; %s", where, remedy)

    def _key(self, record: int) -> str:
        return key_text(self._reader.keys[record])

    def _labels(self, items: list[_Item]) -> torch.Tensor:
        """The batch's label blob."""
        if not self.annotated:
            labels = [item.label for item in items]
            if None in labels:
                source = self._reader.source
                raise CaffeError(f"{source}: a record has neither annotations nor a label")
            return torch.tensor(labels, dtype=torch.float32)
        found = [item.found for item in items]
        counts = [len(annotations) for annotations in found]
        numbers = np.repeat(np.arange(len(found), dtype=np.float32), counts)
        ids = np.concatenate([annotations.ids for annotations in found])
        boxes = np.concatenate([annotations.boxes for annotations in found])
        rows = np.column_stack([numbers, ids[:, :2], boxes, ids[:, 2]])
        if not len(rows):
            rows = _NO_OBJECT.copy()
        return torch.from_numpy(rows).reshape(1, 1, -1, 8)
