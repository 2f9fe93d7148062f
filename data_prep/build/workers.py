"""Who does the work: this process, its threads, several processes, or a Dask cluster.

Results come in order, whoever did it.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, TypeVar

import cv2

from ssd_common.errors import CaffeError
from ssd_common.machine import cores

T = TypeVar("T")
FEW = 400  # items: not worth starting processes for
# At most: a sixth of the work on a resized image is Python's own, which one thread does at a time.
THREADS = 4
BATCH_ITEMS, BATCH_BYTES = 100, 4 << 20  # of results, at most and about; by 1 MB at a time, copying is a tenth slower
CLUSTER_ITEMS, CLUSTER_BYTES = 1000, 32 << 20  # the same on a cluster, where a batch costs more than its bytes
FIRST_ITEMS = 10  # of the first batches, whose bytes nobody knows


class Workers:
    """`with Workers(4) as workers: for results in workers.map(function, job, items): …`.

    workers: at work at a time, 0 for one per core; processes or, where OpenCV does nearly all of it
      (resizes) and there are not many, threads, which need not send each other images
    scheduler: address of a Dask scheduler, whose workers have data_prep and see the same files.
      OpenCV has one thread meanwhile: images go in parallel, not the rows of one.
    Raises CaffeError where there is no such scheduler, and where a process dies.
    """

    def __init__(self, workers: int = 0, scheduler: str | None = None, resizes: bool = False) -> None:
        self._workers, self._scheduler, self._resizes = workers or cores(), scheduler, resizes
        self._most = (CLUSTER_ITEMS, CLUSTER_BYTES) if scheduler else (BATCH_ITEMS, BATCH_BYTES)
        self._pool: Any = None

    def __enter__(self) -> Workers:
        if self._scheduler:
            self._pool = _cluster(self._scheduler)
            self._workers = max(sum(self._pool.nthreads().values()), 1)
        self._opencv_threads = cv2.getNumThreads()
        cv2.setNumThreads(0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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
        """Results of function(job, number of the first item, items) for batch after batch of items.

        Only a few batches are under way or waiting at a time.

        start: number of the first item to take
        weigh: bytes of a result, by which batches are made smaller or larger
        """
        if self._pool is None and self._workers > 1 and len(items) - start > FEW:
            threads = self._resizes and self._workers <= THREADS
            self._pool = ThreadPoolExecutor(self._workers) if threads else _processes(self._workers)
        packed = pickle.dumps(job)
        waiting: deque[Any] = deque()
        size = FIRST_ITEMS
        while start < len(items) or waiting:
            try:
                while start < len(items) and len(waiting) < (2 * self._workers if self._pool else 1):
                    waiting.append(self._submit(function, packed, start, items[start : start + size]))
                    start += size
                results = waiting.popleft().result()
            except BrokenProcessPool:
                raise CaffeError("a worker process was killed (too little memory? fewer --workers need less)") from None
            except Exception as error:
                if not self._scheduler or isinstance(error, (CaffeError, OSError)):
                    raise
                said = f"{type(error).__name__}: {error}".split("\n")[0]
                gave_up = "the Dask cluster gave up (do its workers have data_prep?)"
                raise CaffeError(f"{self._scheduler}: {gave_up}: {said}") from None
            yield results
            mean = sum(map(weigh, results)) / len(results)
            size = int(min(max(self._most[1] / max(mean, 1), 1), self._most[0]))

    def _submit(self, function: Callable[..., list[T]], packed: bytes, start: int, items: Sequence[Any]) -> Any:
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


def _call(function: Callable[[Any, int, list[Any]], list[T]], packed: bytes, start: int, items: list[Any]) -> list[T]:
    try:
        return function(_unpack(packed), start, items)
    except CaffeError as error:
        raise CaffeError(str(error)) from None  # those with more than a message do not travel


def _processes(workers: int) -> ProcessPoolExecutor:
    # Not fork: this process may have threads. forkserver's server imports once for all workers.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["data_prep.build.convert"])
    return ProcessPoolExecutor(workers, context, _start_worker)


def _start_worker() -> None:
    """Prepare a worker process: OpenCV gets one thread, and Ctrl-C is left to the parent.

    The worker ends with its parent, however suddenly that ends.
    """
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _cluster(address: str) -> Any:
    try:
        from distributed import Client  # noqa: PLC0415
    except ImportError:
        raise CaffeError("--scheduler needs Dask: pip install distributed") from None
    try:
        client = Client(address, timeout=10, set_as_default=False)
        client.wait_for_workers(1, timeout=30)
    except (OSError, ValueError, TimeoutError) as error:
        raise CaffeError(f"--scheduler {address}: no Dask scheduler with workers there: {error}".split("\n")[0]) from None
    return client
