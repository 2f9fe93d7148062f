"""Batches of images, made ahead by threads, in an order and with random numbers that depend on nothing but seed and batch number.

Sample i of a run (counted over all its processes) is record i modulo the number of records, or what `order` makes of i, and draws from
a generator of its own, Philox keyed by (seed, i). So any batch can be sought, a resumed run goes on exactly, and the number of threads
is free.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.lmdb_reader import LmdbReader, key_text
from caffe_ir.records import CorruptRecord, parse
from netrun.data.boxes import Annotations
from netrun.data.buffers import Buffers
from netrun.data.datum import Sample, decode
from netrun.data.records import Records
from netrun.data.transform import Transformer
from netrun.runtime.memory import exhausted
from ssd_common import machine
from ssd_common.errors import CaffeError

log = logging.getLogger("netrun")
_NO_OBJECT = np.full((1, 8), -1, np.float32)


@dataclass(frozen=True)
class Plan:
    """Which samples this process takes, and how.

    batch_size: of this process. rank, world: its place among the processes of the run, whose batches interleave.
    labels: the labelmap's ids, None: unchecked. strict: stop at a corrupt record or object instead of leaving it out.
    pinned: batches in page-locked memory, for copies to a GPU. ahead: batches made in advance. threads: 0 for one per core.
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


class Draws(threading.local):
    """A generator that a thread keeps: to set Philox is much faster than to make it, which first asks the system for a seed."""

    def __init__(self) -> None:
        self._bits = np.random.Philox(0)
        self._rng, self._start = np.random.Generator(self._bits), self._bits.state

    def of(self, seed: int, index: int) -> np.random.Generator:
        """At the start of the stream that is keyed by (seed, index), valid until the thread's next."""
        self._start["state"]["key"] = np.array([seed % (1 << 64), index], np.uint64)
        self._bits.state = self._start
        return self._rng


def cores() -> int:
    """Cores for each process of this run on this machine."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(machine.cores() // processes, 1)


class Loader:
    """Batches (data, labels) in order: data (N, C, H, W) float32, labels (1, 1, rows, 8) float32 with a row per object of the batch,
    [item, label, instance, xmin, ymin, xmax, ymax, difficult], or one row of -1; (N,) where the records carry no annotations.

    annotated: None to ask the first record. read: a record's content by its number (default: that of an AnnotatedDatum). order: the
    record's number for a sample's. Where nothing fixes the images' size, a batch of one has the size of its image.

    A record or image that cannot be read is logged with its key, and the next readable record takes its place; objects that `decode`
    leaves out are logged likewise. close() logs how many there were.
    Raises CaffeError when no record can be read, and where `Transformer` does, naming source and record.
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
        self._reader, self._transformer, self._plan = reader, transformer, plan
        self._read, self._order = read or self._decoded, order
        self._left_out: dict[int, int] = {}  # by record that was logged: how many of its objects were left out, -1 for all of it
        self._lock = threading.Lock()
        self._draws = Draws()
        first = self._sample(0)
        self.annotated = parse(self._value(first[0])).HasField("type") if annotated is None else annotated
        height, width, channels = first[1].image.shape
        out_width, out_height = transformer.size(width, height)
        self.shape = (plan.batch_size, channels, out_height, out_width)
        resize = transformer.resize
        self._free_size = not transformer.one_size and plan.batch_size == 1
        if resize is not None and resize.param.resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE and plan.batch_size != 1:
            raise CaffeError(f"FIT_SMALL_SIZE gives each image its own size: batch_size must be 1, is {plan.batch_size}")
        self._buffers = Buffers((0,) if self._free_size else self.shape)
        self._threads: ThreadPoolExecutor | None = None
        self._made: deque[tuple[torch.Tensor, list[Future]]] = deque()
        self._next = 0  # the batch that the consumer gets next

    def seek(self, batch: int) -> None:
        """The next batch will be number `batch`, counted from 0 over the whole run."""
        if batch != self._next:
            self._drop()
            self._next = batch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return self

    def __next__(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch; the loader keeps no hold of its memory."""
        while len(self._made) <= self._plan.ahead:
            self._made.append(self._start(self._next + len(self._made)))
        data, jobs = self._made.popleft()
        try:
            wait(jobs)  # for all at once: this thread would only be in the way of those that work
            done = [job.result() for job in jobs]
        except BaseException:
            self._drop()
            raise
        self._next += 1
        if self._free_size:
            data = torch.from_numpy(done[0][2])
        return data, self._labels([d[0] for d in done], [d[1] for d in done])

    def passed_over(self, record: int) -> bool:
        """Whether this record could not be read, so that the next one has taken its place in the batches made so far."""
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
            log.warning("%s: skipped %d corrupt records and %d corrupt objects of others", self._reader.source, records, objects)
            self._left_out.clear()

    def _drop(self) -> None:
        for _, jobs in self._made:
            for job in jobs:
                job.cancel()
        self._made.clear()

    def _start(self, batch: int) -> tuple[torch.Tensor, list[Future]]:
        if self._threads is None:
            cv2.setNumThreads(0)  # images in parallel, not the rows of one
            self._threads = ThreadPoolExecutor(self._plan.threads or min(cores(), 16), "netrun-data")
        plan = self._plan
        data = torch.empty(self._buffers.shape, pin_memory=True) if plan.pinned else self._buffers.take()
        begin = (batch * plan.world + plan.rank) * plan.batch_size
        return data, [self._threads.submit(self._make, begin + k, data.numpy(), k) for k in range(plan.batch_size)]

    def _make(self, index: int, data: np.ndarray, item: int) -> tuple[Annotations, int | None, np.ndarray]:
        """Sample `index` of the run into data[item]; its objects, its label, and its pixels."""
        record, sample = self._sample(index)
        try:
            image, found = self._transformer(sample, self._draws.of(self._plan.seed, index))
            shape = (image.shape[2], *image.shape[:2])
            if self._free_size:
                data = np.empty((1, *shape), np.float32)
            elif shape != self.shape[1:]:
                raise CaffeError(f"its data are {shape} (C, H, W), the batch's {self.shape[1:]}; set resize_param or force_color")
            self._transformer.normalise(image, data[item])
        except (CaffeError, cv2.error, ArithmeticError, ValueError) as error:
            if exhausted(error):
                raise
            said = str(error).strip().splitlines()[-1]
            raise CaffeError(f"{self._reader.source}: record '{self._key(record)}': {said}") from None
        return found, sample.label, data

    def _sample(self, index: int) -> tuple[int, Sample]:
        """The number and content of the record for sample `index`, or of the next one that can be read."""
        count, first = len(self._reader), self._order(index)
        for step in range(count):
            record = (first + step) % count
            try:
                sample = self._read(record)
            except CorruptRecord as error:
                self._note(record, -1, f"cannot be read: {error}", "the next one takes its place")
            else:
                if sample.faults:
                    more = f" and {len(sample.faults) - 1} more" if len(sample.faults) > 1 else ""
                    self._note(record, len(sample.faults), f"has {sample.faults[0]}{more}", "left out")
                return record, sample
        raise CaffeError(f"{self._reader.source}: none of the {count} records can be read; build it again (data_prep)")

    def _value(self, record: int) -> bytes:
        assert isinstance(self._reader, LmdbReader)
        return self._reader.value(record)

    def _decoded(self, record: int) -> Sample:
        return decode(self._value(record), self._plan.labels, self._plan.force_color, self._plan.force_gray)

    def _note(self, record: int, objects: int, what: str, remedy: str) -> None:
        """Log what is wrong with a record, once; or stop there, if strict."""
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

    def _labels(self, found: list[Annotations], labels: list[int | None]) -> torch.Tensor:
        if not self.annotated:
            if None in labels:
                raise CaffeError(f"{self._reader.source}: a record has neither annotations nor a label")
            return torch.tensor(labels, dtype=torch.float32)
        items = np.repeat(np.arange(len(found), dtype=np.float32), [len(a) for a in found])
        ids, boxes = np.concatenate([a.ids for a in found]), np.concatenate([a.boxes for a in found])
        rows = np.column_stack([items, ids[:, :2], boxes, ids[:, 2]])
        return torch.from_numpy(rows if len(rows) else _NO_OBJECT.copy()).reshape(1, 1, -1, 8)
