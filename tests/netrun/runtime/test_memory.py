"""Out of memory: one line, with a batch that does fit, tried out under a real limit; a net that
fits no memory is refused at once.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.runtime import memory
from netrun.training import batch_size
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import build, data, layer
from tests.support import ROOT

IMAGE = 64 << 20  # bytes of one image in each of the blobs below
NET = f"""name: "large"
layer {{ name: "data" type: "DummyData" top: "data"
  dummy_data_param {{ shape {{ dim: BATCH dim: 1 dim: 1 dim: {IMAGE // 4} }} }} }}
layer {{ name: "a" type: "Scale" bottom: "data" top: "a" }}
layer {{ name: "b" type: "Power" bottom: "a" top: "b" power_param {{ scale: 0.5 }} }}
layer {{ name: "loss" type: "Reduction" bottom: "b" top: "loss" loss_weight: 1
  reduction_param {{ operation: MEAN }} }}
"""
SOLVER = (
    'net: "net.prototxt" base_lr: 1e-9 lr_policy: "fixed" max_iter: 3 display: 1 '
    'iter_size: 2 snapshot_prefix: "snap/n" solver_mode: CPU'
)
RUN = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * "
    "2); from netrun.cli import main; {}"
)


def run(limit: int, *command: str) -> subprocess.CompletedProcess[str]:
    """A netrun command in a process of so many bytes of address space."""
    code = RUN.format(
        "from ssd_common.command import run_command; sys.exit(run_command('netrun', "
        "main, sys.argv[2:]))"
    )
    argv = [sys.executable, "-c", code, str(limit), *command]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)


def bare(folder: Path) -> int:
    """Bytes of address space that training needs before any image."""
    (folder / "net.prototxt").write_text(NET.replace("BATCH", "1").replace(str(IMAGE // 4), "4"))
    code = (
        "import sys; from netrun.cli import main; main(sys.argv[1:]); "
        "print(open('/proc/self/status').read())"
    )
    argv = [sys.executable, "-c", code, "train", "--solver", "solver.prototxt", "--threads", "1"]
    found = subprocess.run(argv, capture_output=True, text=True, check=True)
    return int(re.search(r"VmPeak:\s+(\d+) kB", found.stdout)[1]) << 10  # type: ignore[index]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_the_advised_batch_runs_and_a_larger_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    limit = bare(tmp_path) + 12 * IMAGE
    train = ("train", "--solver", "solver.prototxt", "--threads", "1")
    (tmp_path / "net.prototxt").write_text(NET.replace("BATCH", "4"))
    refused = run(limit, *train)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    *_, line = refused.stderr.splitlines()
    found = re.fullmatch(
        r"netrun: error: out of memory on the CPU with batches of 4: up to (\d) fit; "
        r"batch_size: (\d) with iter_size: (\d+) "
        r"updates the weights by as many images as before, 8",
        line,
    )
    assert found, refused.stderr
    fits, batch, passes = map(int, found.groups())
    assert 1 <= batch <= fits < 4
    assert batch * passes == 8
    assert not list(tmp_path.glob("_iter_*")), "trials leave no snapshots"
    (tmp_path / "net.prototxt").write_text(NET.replace("BATCH", str(batch)))
    assert run(limit, *train).returncode == 0


def test_what_fits_no_memory_is_refused_before_it_is_allocated() -> None:
    net = data("x", 1, 1 << 15) + layer(
        "InnerProduct", "x", "y", "inner_product_param { num_output: 65535 }"
    )
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 33, before[1]))
    try:
        with pytest.raises(
            CaffeError, match=r"needs 8.0 GiB for its parameters .* there are .* of memory"
        ):
            build(net)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), True),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"
            ),
            True,
        ),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("The size of tensor a (2) must match"), False),
        (CaffeError("out of memory on the CPU"), False),
    ],
)
def test_errors_that_mean_out_of_memory(error: Exception, expected: bool) -> None:
    assert memory.exhausted(error) is expected


def test_batches_of_a_net() -> None:
    """The largest batch among its sources is the net's.

    Sources of fewer images are something else.
    """
    words = (
        (
            'layer { name: "d" type: "AnnotatedData" top: "data" '
            'data_param { source: "s" batch_size: 32 } }'
        )
        + data("w", 32, 2)
        + data("v", 1, 2)
    )
    net = text.parse(words, pb.NetParameter)
    assert batch_size.largest_batch(net) == 32
    changed = batch_size.with_batch(net, 5)
    assert changed.layer[0].data_param.batch_size == 5
    assert [layer.input_param.shape[0].dim[0] for layer in changed.layer[1:]] == [5, 1]
    assert net.layer[0].data_param.batch_size == 32
