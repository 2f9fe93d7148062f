"""Spreads work over this process, its threads, several processes, or a Dask cluster.

Results come in order in any case.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.context import BaseContext
from multiprocessing.util import get_temp_dir
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

import cv2

from ssd_common import machine
from ssd_common.errors import CaffeError

T = TypeVar("T")
# Seconds that processes take: all to start, and each result to be sent and received.
STARTING = 1.0
SENDING = 2e-4
# Most workers that are threads. A sixth of the work on a resized image is Python's own, which only
# one thread does at a time.
THREADS = 4
BATCH_ITEMS = 100  # most items of a batch
BATCH_BYTES = 4 << 20  # about the bytes of its results; at 1 MB copying takes a tenth longer
# The same on a cluster, where a batch costs more than its bytes.
CLUSTER_ITEMS = 1000
CLUSTER_BYTES = 32 << 20
FIRST_ITEMS = 10  # items of the first batches, before the bytes of a result are known

_MARK = "data_prep-"  # begins the name of an empty file that says whose the folder around it is


class Workers:
    """Workers that call a function on batches of items.

    `with Workers(4) as workers: for results in workers.map(function, job, items): …`

    Inside the block OpenCV has one thread: images are processed in parallel, not the rows of one.

    workers: how many work at a time, 0 for one per core.
    scheduler: address of a Dask scheduler, whose workers have data_prep and see the same files.
    resizes: OpenCV does nearly all of the work; a few workers are then threads, which need not send
      images to each other, in place of processes.
    Raises CaffeError where there is no such scheduler, and where a process dies.
    """

    def __init__(
        self,
        workers: int = 0,
        scheduler: str | None = None,
        resizes: bool = False,
    ) -> None:
        self._workers = workers or machine.cores()
        self._scheduler = scheduler
        self._resizes = resizes
        self._most_items = BATCH_ITEMS
        self._most_bytes = BATCH_BYTES
        if scheduler:
            self._most_items = CLUSTER_ITEMS
            self._most_bytes = CLUSTER_BYTES
        self._pool: Any = None

    def __enter__(self) -> Workers:
        if self._scheduler:
            self._pool = _cluster(self._scheduler)
            self._workers = max(sum(self._pool.nthreads().values()), 1)
        self._opencv_threads = cv2.getNumThreads()
        cv2.setNumThreads(0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        cv2.setNumThreads(self._opencv_threads)
        if self._scheduler and self._pool:
            self._pool.close()
        elif self._pool:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def map(
        self,
        function: Callable[[Any, int, list[Any]], list[T]],
        job: Any,
        items: Sequence[Any],
        start: int = 0,
        weigh: Callable[[T], int] = lambda _: 1,
    ) -> Iterator[list[T]]:
        """Call function(job, number of the first item, items) for every batch of items.

        Only a few batches are under way or waiting at a time.

        start: number of the first item to take.
        weigh: returns the bytes of a result, which decide how large the next batches are.
        Yields the results of each batch.
        """
        packed = pickle.dumps(job)
        waiting: deque[Any] = deque()
        size = FIRST_ITEMS
        while start < len(items) or waiting:
            begun = perf_counter()
            try:
                while start < len(items) and len(waiting) < self._ahead:
                    batch = items[start : start + size]
                    waiting.append(self._submit(function, packed, start, batch))
                    start += size
                results = waiting.popleft().result()
            except BrokenProcessPool:
                raise CaffeError(
                    "a worker process was killed (too little memory? fewer --workers need less)"
                ) from None
            except Exception as error:
                if not self._scheduler or isinstance(error, (CaffeError, OSError)):
                    raise
                reason = f"{type(error).__name__}: {error}".split("\n")[0]
                raise CaffeError(
                    f"{self._scheduler}: the Dask cluster gave up (do its workers have data_prep?):"
                    f" {reason}"
                ) from None
            if self._pool is None:
                each = (perf_counter() - begun) / len(results)
                self._start_pool(each, len(items) - start)
            yield results
            mean = sum(map(weigh, results)) / len(results)
            fitting = self._most_bytes / max(mean, 1)
            size = int(min(max(fitting, 1), self._most_items))

    @property
    def _ahead(self) -> int:
        """How many batches may be under way or waiting."""
        if self._pool:
            return 2 * self._workers
        return 1

    def _start_pool(self, each: float, left: int) -> None:
        """Start threads or processes if they shorten the rest of the work.

        each: seconds that an item takes this process.
        left: number of items.
        """
        if self._workers == 1 or not left:
            return
        saved = left * (each - each / self._workers - SENDING)
        if self._resizes and self._workers <= THREADS:
            self._pool = ThreadPoolExecutor(self._workers)
        elif saved > STARTING:
            self._pool = _processes(self._workers)

    def _submit(
        self,
        function: Callable[..., list[T]],
        packed: bytes,
        start: int,
        items: Sequence[Any],
    ) -> Any:
        """Hand a batch to the pool, or do it at once without a pool. Returns its future."""
        if self._scheduler:
            return self._pool.submit(_call, function, packed, start, items, pure=False)
        if self._pool:
            return self._pool.submit(_call, function, packed, start, items)
        done: Future[list[T]] = Future()
        done.set_result(_call(function, packed, start, list(items)))
        return done


@functools.lru_cache(maxsize=4)
def _unpack(packed: bytes) -> Any:
    return pickle.loads(packed)


def _call(
    function: Callable[[Any, int, list[Any]], list[T]],
    packed: bytes,
    start: int,
    items: list[Any],
) -> list[T]:
    """Do a batch, in a worker."""
    try:
        return function(_unpack(packed), start, items)
    except CaffeError as error:
        # Errors with more arguments than a message cannot be sent from process to process.
        raise CaffeError(str(error)) from None


def _processes(workers: int) -> ProcessPoolExecutor:
    """Start worker processes, but not by fork, as this process may have threads."""
    _clear_temporary()
    context: BaseContext = multiprocessing.get_context("spawn")
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        # The server imports the module once for all workers.
        context.set_forkserver_preload(["data_prep.build.convert"])
    return ProcessPoolExecutor(workers, context, _start_worker)


def _clear_temporary() -> None:
    """Remove the folders in which killed builds met their worker processes, and sign this one's.

    multiprocessing makes such a folder for a process, and removes it when that ends well.
    """
    own = Path(get_temp_dir())
    for mark in own.parent.glob(f"pymp-*/{_MARK}*"):
        folder = mark.parent
        with suppress(OSError):
            ended = machine.has_ended(mark.name.removeprefix(_MARK))
            if ended and folder != own and folder.lstat().st_uid == os.getuid():
                shutil.rmtree(folder)
    (own / f"{_MARK}{machine.signature()}").touch()


def _start_worker() -> None:
    """Prepare a worker process: OpenCV gets one thread, and Ctrl-C is left to the parent.

    The worker ends with its parent, however suddenly that ends.
    """
    cv2.setNumThreads(0)
    machine.collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait in a thread of a worker for the end of its parent, and end the worker then."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _cluster(address: str) -> Any:
    """Connect to a Dask scheduler.

    Raises CaffeError where Dask, the scheduler or its workers are missing.
    """
    try:
        from distributed import Client  # noqa: PLC0415
    except ImportError:
        raise CaffeError("--scheduler needs Dask: pip install distributed") from None
    try:
        client = Client(address, timeout=10, set_as_default=False)
        client.wait_for_workers(1, timeout=30)
    except (OSError, ValueError, TimeoutError) as error:
        reason = f"--scheduler {address}: no Dask scheduler with workers there: {error}"
        raise CaffeError(reason.partition("\n")[0]) from None
    return client
