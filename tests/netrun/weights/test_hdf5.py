"""HDF5 weights and states: files that the SSD fork wrote, files in its layout, resumed runs, and
files that are none.

fixtures/caffe_iter_3.*.h5 are what the fork's own `caffe train` made of NET in three steps (base_lr
0.1, halved every 2, momentum 0.9, snapshot_diff).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun import Solver
from netrun.training import snapshot
from netrun.weights import files, hdf5
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import build, data, layer

FIXTURES = Path(__file__).parent / "fixtures"
MODEL, STATE = FIXTURES / "caffe_iter_3.caffemodel.h5", FIXTURES / "caffe_iter_3.solverstate.h5"
DENSE = "inner_product_param { num_output: 2 %s }"
NET = (
    'layer { name: "x" type: "DummyData" top: "x" top: "y" '
    "dummy_data_param { shape { dim: 2 dim: 2 } shape { dim: 2 dim: 2 }"
    " data_filler { value: 0.5 } data_filler { value: 1 } } }\n"
    + layer(
        "InnerProduct",
        "x",
        "f",
        'param { name: "w" } ' + DENSE % 'weight_filler { type: "xavier" }',
    )
    + layer("InnerProduct", "f", "g", 'param { name: "w" } ' + DENSE % "bias_term: false")
    + layer("EuclideanLoss", "g y", "loss")
)
FIELDS = """base_lr: 0.1 lr_policy: "step" stepsize: 2 gamma: 0.5 momentum: 0.9 max_iter: 3
snapshot_prefix: "s/n" snapshot_format: HDF5 """


def solver(fields: str = "", net: str = NET) -> Solver:
    param = text.parse(FIELDS + fields, pb.SolverParameter)
    param.net_param.CopyFrom(text.parse(net, pb.NetParameter))
    return Solver(param)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def layout(path: Path | str) -> list[tuple]:
    """Every group and dataset of a file, with all that makes up its type."""
    found: list[tuple] = []

    def add(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Group):
            found.append((name,))
        else:
            size = None if name == "learned_net" else node.dtype
            found.append(
                (
                    name,
                    node.shape,
                    size,
                    node.id.get_type().get_class(),
                    node.id.get_space().get_simple_extent_type(),
                )
            )

    with h5py.File(path) as file:
        file.visititems(add)
    return found


def test_caffes_weights_and_state_are_read() -> None:
    """What a layer shares with an earlier one is not in the file."""
    net = build(NET)
    assert net.copy_from(MODEL) == []
    np.testing.assert_allclose(
        net.params["f"][0].data, [[-0.1923299, 1.2478819], [0.5206178, 1.0237548]], rtol=1e-6
    )
    np.testing.assert_allclose(net.params["f"][1].data, [-0.04375777, 0.01936414], rtol=1e-6)
    np.testing.assert_array_equal(net.params["g"][0].data, net.params["f"][0].data)
    state = snapshot.read(STATE)
    assert (state.iteration, state.current_step, state.last_event, state.losses) == (3, 1, 0, [])
    assert state.minimum_loss == np.finfo(np.float32).max
    assert state.model == str(
        MODEL
    )  # the state says "caffe_iter_3.caffemodel.h5", which lies beside it
    assert [tuple(h.shape) for h in state.history] == [(2, 2), (2,)]
    np.testing.assert_allclose(state.history[1], [0.018155206, -0.009369426], rtol=1e-6)


def test_what_netrun_writes_has_caffes_layout() -> None:
    run = solver("snapshot_diff: true")
    run.solve()
    assert layout("s/n_iter_3.caffemodel.h5") == layout(MODEL)
    assert layout("s/n_iter_3.solverstate.h5") == layout(STATE)
    with h5py.File("s/n_iter_3.solverstate.h5") as file:
        assert (
            file["learned_net"].dtype.itemsize == len("s/n_iter_3.caffemodel.h5") + 1
        )  # Caffe reads up to the zero
        assert file["learned_net"][()] == b"s/n_iter_3.caffemodel.h5"


@pytest.mark.parametrize("wanted", ["HDF5", "BINARYPROTO"])
def test_a_resumed_run_is_the_uninterrupted_one(wanted: str) -> None:
    """Halfway through in HDF5, also with plateau.

    Its window of losses is carried over by netrun's own dataset alone.
    """
    fields = 'lr_policy: "plateau" plateau_winsize: 2 average_loss: 3 max_iter: 12 snapshot: 6 '
    fields = FIELDS.replace('lr_policy: "step" ', "").replace("max_iter: 3", "") + fields
    for resume in (None, "s/n_iter_6.solverstate.h5"):
        end = fields if resume is None else fields.replace("HDF5", wanted).replace("s/n", "s/again")
        param = text.parse(end, pb.SolverParameter)
        param.net_param.CopyFrom(text.parse(NET, pb.NetParameter))
        Solver(param).solve(resume)
    suffix = ".h5" if wanted == "HDF5" else ""
    whole, again = (
        snapshot.read("s/n_iter_12.solverstate.h5"),
        snapshot.read(f"s/again_iter_12.solverstate{suffix}"),
    )
    assert whole.losses
    assert (whole.losses, whole.current_step, whole.minimum_loss) == (
        again.losses,
        again.current_step,
        again.minimum_loss,
    )
    for mine, theirs in zip(whole.history, again.history, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    first, second = (
        files.read("s/n_iter_12.caffemodel.h5"),
        files.read(f"s/again_iter_12.caffemodel{suffix}"),
    )
    np.testing.assert_array_equal(first["f"][0], second["f"][0])
    assert not list(Path("s").glob(".*"))


def test_latest_knows_both_forms() -> None:
    solver("snapshot: 1").step(2)
    run = solver("snapshot: 3")
    run.param.snapshot_format = pb.SolverParameter.BINARYPROTO
    run.step(3)
    assert snapshot.latest("s/n") == "s/n_iter_3.solverstate"
    Path("s/n_iter_3.caffemodel").unlink()
    assert snapshot.latest("s/n") == "s/n_iter_2.solverstate.h5"
    os.truncate("s/n_iter_2.caffemodel.h5", 900)
    assert snapshot.latest("s/n") == "s/n_iter_1.solverstate.h5"


def test_names_that_hdf5_cannot_hold_are_refused_before_training() -> None:
    with pytest.raises(CaffeError, match="layer 'f/1': its name contains '/'"):
        solver(net=NET.replace('name: "f"', 'name: "f/1"'))
    with pytest.raises(CaffeError, match="layer 'f': its name is the name of two layers"):
        build(NET.replace('name: "g"', 'name: "f"')).save("w.caffemodel.h5")
    assert not list(Path().iterdir())


def test_pycaffes_names(tmp_path: Path) -> None:
    one, other = build(NET), build(NET, seed=1)
    one.save_hdf5("weights")
    other.load_hdf5("weights")
    np.testing.assert_array_equal(one.params["f"][0].data, other.params["f"][0].data)


def damaged(path: str, change: str) -> None:
    with h5py.File(path, "a") as file:
        exec(change, {"file": file, "np": np})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("del file['data']", "is HDF5, but not weights .*: it has no 'data'"),
        ("file['data'].move('f/0', 'f/weights')", "'weights' is no number of a blob"),
        (
            "del file['data/f/1']",
            r"layer 'f' has 1 blobs, the net's 2; to train it anew, rename .* `netrun weights fit`",
        ),
        (
            "del file['data/f/1']; file['data/f/1'] = np.zeros(3)",
            r"layer 'f', blob 1: shape \(3\) in the file, \(2\) in the net",
        ),
        ("del file['data/f/1']; file['data/f/1'] = b'text'", "holds no numbers"),
        (
            "file['data'].create_dataset('f/2', (1 << 40,), 'f4')",
            "has shape .*, but not as many numbers",
        ),
        ("del file['data']; file['data'] = 3", "not weights"),
    ],
)
def test_foreign_weights_change_nothing(change: str, said: str) -> None:
    net = build(NET)
    net.save("w.caffemodel.h5")
    damaged("w.caffemodel.h5", change)
    before = [blob.data.copy() for blob in net.params["f"]]
    with pytest.raises(CaffeError, match=rf"^w\.caffemodel\.h5: .*{said}"):
        net.copy_from("w.caffemodel.h5")
    for mine, blob in zip(before, net.params["f"], strict=True):
        np.testing.assert_array_equal(mine, blob.data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("del file['iter']", "it has no 'iter'"),
        ("del file['history/1']; file['history/7'] = 3.0", "it has no '1'"),
        ("del file['history/1']", "1 history blobs"),
        ("del file['iter']; file['iter'] = [1, 2]", "not a single number"),
        ("del file['history']; file['history'] = 1", "truncated, damaged or not a solver state"),
    ],
)
def test_foreign_states_are_refused(change: str, said: str) -> None:
    run = solver("snapshot: 1")
    run.step(1)
    damaged("s/n_iter_1.solverstate.h5", change)
    with pytest.raises(CaffeError, match=said):
        run.restore("s/n_iter_1.solverstate.h5")


@pytest.mark.parametrize("size", [*range(0, 100, 7), *range(100, 6300, 400)])
@pytest.mark.parametrize("file", [MODEL, STATE])
def test_a_truncated_file_is_refused(file: Path, size: int) -> None:
    Path("t.h5").write_bytes(file.read_bytes()[:size])
    with pytest.raises(CaffeError, match=r"^t\.h5: "):
        files.read("t.h5") if file is MODEL else snapshot.read("t.h5")


@pytest.mark.parametrize(("file", "read"), [(MODEL, files.read), (STATE, snapshot.read)])
def test_flipped_bits_are_read_or_refused(file: Path, read: Callable) -> None:
    rng, refused = np.random.default_rng(5), []
    for _ in range(300):
        flipped = bytearray(file.read_bytes())
        for at in rng.integers(4, len(flipped), 4):
            flipped[at] ^= 1 << rng.integers(8)
        Path("f.h5").write_bytes(flipped)
        try:
            read("f.h5")
        except CaffeError as error:
            refused.append(str(error))
    assert 30 < len(refused) < 270
    assert all(said.startswith("f.h5: ") and "\n" not in said for said in refused)


def test_a_binary_file_by_the_name_of_an_hdf5_file_is_read_for_what_it_is() -> None:
    net = build(
        data("x", 1, 3)
        + layer("InnerProduct", "x", "f", DENSE % 'weight_filler { type: "xavier" }'),
        netrun.TEST,
    )
    net.save("w.caffemodel")
    Path("w.caffemodel").rename("w.h5")
    np.testing.assert_array_equal(files.read("w.h5")["f"][0], net.params["f"][0].data)


@pytest.mark.parametrize("virtual", [False, True])
@pytest.mark.parametrize("name", ["data/f/0", "iter", "history/0", "learned_net"])
def test_values_in_other_files_are_refused(name: str, virtual: bool) -> None:
    """HDF5's external storage would copy any file of the reader's into weights."""
    source = MODEL if name.startswith("data") else STATE
    Path("a.h5").write_bytes(source.read_bytes())
    with h5py.File("other.h5", "w") as other:
        other["values"] = np.zeros(4, np.float32)
    with h5py.File("a.h5", "r+") as file:
        del file[name]
        if virtual:
            layout = h5py.VirtualLayout((4,), np.float32)
            layout[:] = h5py.VirtualSource("other.h5", "values", (4,))
            file.create_virtual_dataset(name, layout)
        else:
            place = [(str(Path("other.h5").resolve()), 0, 16)]
            file.create_dataset(name, (4,), np.float32, external=place)
    read = hdf5.read_weights if source == MODEL else hdf5.read_state
    with pytest.raises(CaffeError, match=f"a.h5: .* dataset '/{name}' keeps its values in other"):
        read("a.h5")


@pytest.mark.parametrize("name", ["a\0b", "a\0b.h5"])
def test_a_name_with_a_zero_byte_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(CaffeError, match=r"no file has this name"):
        files.stored(name)


def test_a_layer_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.caffemodel.h5"
    with h5py.File(path, "w") as file:
        file.create_group("data").create_group(b"\xff\xfe")["0"] = np.ones(3, np.float32)
    with pytest.raises(CaffeError, match=r"w\.caffemodel\.h5: .*a layer's name is not UTF-8"):
        files.stored(path)
