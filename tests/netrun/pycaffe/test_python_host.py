"""Layers of type Python: a user's class in NumPy, by pycaffe's interface."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun import Solver
from netrun.cli import entry
from ssd_common.errors import CaffeError, LayerError
from tests.netrun.small_nets import build, data, layer

RNG = np.random.default_rng(5)

MINE = """
import caffe
import numpy as np

class Loss(caffe.Layer):  # half the squared distance over the batch size: Caffe's EuclideanLoss
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs")
        self.setups = getattr(self, "setups", 0) + 1

    def reshape(self, bottom, top):
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff ** 2) / bottom[0].num / 2.

    def backward(self, top, propagate_down, bottom):
        self.asked = list(propagate_down)
        for i, sign in enumerate((1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * top[0].diff * self.diff / bottom[i].num

class Affine(caffe.Layer):  # x * a + b, in place or not; param_str is what a starts from
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = float(self.param_str_)  # the older name

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        self.x = bottom[0].data.copy()
        top[0].data[...] = bottom[0].data * self.blobs[0].data + self.blobs[1].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += (top[0].diff * self.x).sum()
        self.blobs[1].diff[...] += top[0].diff.sum()
        bottom[0].diff[...] = top[0].diff * self.blobs[0].data

class Count(caffe.Layer):  # a data layer; its batches grow, as a proposal layer's do
    def setup(self, bottom, top):
        self.n = 0
        self.rows = 1

    def reshape(self, bottom, top):
        top[0].reshape(self.rows, 2)

    def forward(self, bottom, top):
        self.n += 1
        top[0].reshape(self.n, 2)
        top[0].data[...] = self.n if self.phase == caffe.TRAIN else -self.n

    def backward(self, top, propagate_down, bottom):
        pass

    def seek(self, batch):
        self.n = batch

class NoBackward(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

class Wrong(NoBackward):
    def forward(self, bottom, top):
        top[0].data[...] = np.zeros(99)

class NotALayer(object):
    pass
"""


@pytest.fixture(autouse=True)
def mine(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("layers")
    (folder / "mine.py").write_text(MINE)
    (folder / "neither.py").write_text("print f'neither Python 2 nor 3'\n")
    (folder / "needs.py").write_text("import caffe\nimport no_such_package\n")
    monkeypatch.syspath_prepend(folder)
    yield
    for name in ("mine", "neither", "needs"):
        sys.modules.pop(name, None)


def python(name: str, bottoms: str, tops: str, fields: str = "", param_str: str = "") -> str:
    return layer(
        "Python",
        bottoms,
        tops,
        f'python_param {{ module: "mine" layer: "{name}" param_str: "{param_str}" }} {fields}',
    )


def test_a_loss_is_the_native_one() -> None:
    inputs = "force_backward: true " + data("x", 3, 4) + data("y", 3, 4)
    mine = build(inputs + python("Loss", "x y", "l", "loss_weight: 2"))
    native = build(inputs + layer("EuclideanLoss", "x y", "l", "loss_weight: 2"))
    for _ in range(2):  # also the second time
        for name in "xy":
            mine.blobs[name].data[...] = native.blobs[name].data[...] = RNG.standard_normal((3, 4))
        np.testing.assert_allclose(mine.forward()["l"][0], native.forward()["l"], rtol=1e-6)
        theirs = native.backward()
        for name, diff in mine.backward().items():
            np.testing.assert_allclose(diff, theirs[name], rtol=1e-6)
    user = mine.layers[-1]
    assert (user.type, user.setups, user.asked) == ("Python", 1, [True, True])


def test_propagate_down_is_what_the_net_wants() -> None:
    net = build(
        data("x", 3, 4)
        + data("y", 3, 4)
        + layer("Power", "x", "p", "propagate_down: true")
        + python("Loss", "p y", "l", "loss_weight: 1")
    )
    net.forward(x=np.ones((3, 4)), y=np.zeros((3, 4)))
    net.backward()
    assert net.layers[-1].asked == [True, False]
    np.testing.assert_allclose(net.blobs["x"].diff, 1 / 3)


@pytest.mark.parametrize("top", ["y", "x"])
def test_parameters_learn_save_and_share(top: str, tmp_path: Path) -> None:
    words = (
        "force_backward: true "
        + data("x", 2, 3)
        + python("Affine", "x", top, param_str="3").replace('name: "x"', 'name: "y"')
    )
    net, other = build(words), build(words)
    x = RNG.standard_normal((2, 3)).astype("f")
    net.forward(x=x)
    np.testing.assert_allclose(net.blobs[top].data, 3 * x, rtol=1e-6)
    for factor in (1, 2):  # diffs add up
        net.backward(**{top: np.full((2, 3), 2)})
        np.testing.assert_allclose(net.params["y"][0].diff, [factor * 2 * x.sum()], rtol=1e-5)
        np.testing.assert_allclose(net.params["y"][1].diff, [factor * 12])
    np.testing.assert_allclose(net.blobs["x"].diff, 6)
    net.clear_param_diffs()
    assert not net.layers[-1].blobs[0].diff.any()  # one memory
    net.params["y"][1].data[...] = 7
    net.save(tmp_path / "w.caffemodel")
    other.copy_from(tmp_path / "w.caffemodel")
    np.testing.assert_allclose(other.forward(x=x)[top], 3 * x + 7, rtol=1e-6)
    third = build(words)
    third.share_with(net)
    net.layers[-1].blobs[0].data[...] = 0
    assert (third.forward(x=x)[top] == 7).all()


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ),
    ],
)
def test_a_solver_trains_it(device: str) -> None:
    """One step of gradient descent by hand: d loss / da = mean over rows of (a x + b - y) x."""
    net = (
        python("Count", "", "x")
        + python("Affine", "x", "y", param_str="2")
        + layer("Power", "x", "t", "power_param { scale: 5 }")
    )
    words = net + python("Loss", "y t", "loss", "loss_weight: 1")
    param = pb.SolverParameter(base_lr=0.01, lr_policy="fixed", max_iter=9)
    param.train_net_param.CopyFrom(text.parse(words, pb.NetParameter))
    solver = Solver(param, device=device)
    solver.step(1)  # x = 1 1 and y = 2 2 where 5 5 is wanted
    np.testing.assert_allclose(solver.net.params["y"][0].data, 2 + 0.01 * 2 * 3, rtol=1e-6)
    np.testing.assert_allclose(solver.net.params["y"][1].data, 0.01 * 2 * 3, rtol=1e-6)
    solver.net.seek(4)
    solver.net.forward()
    assert solver.net.blobs["x"].data.tolist() == [[5, 5]] * 5
    solver.close()


@pytest.mark.parametrize("phase", [netrun.TRAIN, netrun.TEST])
def test_tops_take_the_shape_that_forward_gives(phase: int) -> None:
    net = build(
        python("Count", "", "x") + layer("Power", "x", "y", "power_param { scale: 2 }"), phase
    )
    assert net.blobs["x"].shape == (1, 2)
    for n in (1, 2, 3):
        value = 2 * n if phase == netrun.TRAIN else -2 * n
        assert net.forward()["y"].tolist() == [[value, value]] * n


@pytest.mark.parametrize(("phase", "name"), [(netrun.TRAIN, "TRAIN"), (netrun.TEST, "TEST")])
def test_a_layers_phase_is_a_number_that_reads_as_its_name(phase: int, name: str) -> None:
    """py-faster-rcnn's layers look settings up by str(self.phase); others compare it."""
    net = build(python("Count", "", "x"), phase)
    (layer,) = net.layers
    assert (layer.phase, str(layer.phase), f"{layer.phase:d}") == (phase, name, str(phase))


def test_reshape_goes_through() -> None:
    net = build(
        data("x", 2, 3) + python("Affine", "x", "y", param_str="1") + layer("Power", "y", "z"),
        netrun.TEST,
    )
    net.blobs["x"].reshape(4, 1, 5)
    net.reshape()
    assert net.blobs["z"].shape == (4, 1, 5)
    assert net.layers[1] is net.layer_dict["y"]


def test_two_nets_keep_apart() -> None:
    nets = [
        build(data("x", 1) + python("Affine", "x", "y", param_str=str(n)), netrun.TEST)
        for n in (2, 3)
    ]
    assert [float(net.forward(x=np.ones(1))["y"][0]) for net in nets] == [2, 3]


WRONG = [
    (
        python("Wrong", "x", "y"),
        (
            r"layer 'y': Wrong\.forward failed at .*mine\.py:71: ValueError: could not "
            r"broadcast.*NETRUN_TRACEBACK=1"
        ),
    ),
    (
        python("Loss", "x", "y"),
        r"layer 'y': Loss\.setup failed at .*mine\.py:8: Exception: Need two inputs",
    ),
    (
        python("Los", "x", "y"),
        (
            r"layer 'y', python_param\.layer: module 'mine' has no class 'Los' \(did you mean "
            r"'Loss'\?\)"
        ),
    ),
    (
        python("NotALayer", "x", "y"),
        r"layer 'y', python_param\.layer: mine\.NotALayer is not derived",
    ),
    (
        python("Loss", "x", "y").replace('"mine"', '"neither"'),
        r"layer 'y', python_param\.module: cannot import 'neither' at .*neither\.py:1: SyntaxError",
    ),
    (
        python("Loss", "x", "y").replace('"mine"', '"needs"'),
        r"cannot import 'needs' at .*needs\.py:2: ModuleNotFoundError.*no_such_package",
    ),
    (
        python("Loss", "x", "y").replace('"mine"', '"my"'),
        r"cannot import 'my': ModuleNotFoundError.*put its folder on PYTHONPATH",
    ),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_errors_are_one_line_with_the_place_in_the_users_file(words: str, message: str) -> None:
    with pytest.raises(LayerError, match=message) as caught:
        build(data("x", 2, 3) + words, netrun.TEST).forward()
    assert "\n" not in str(caught.value)


def test_what_user_code_raises_is_a_runtime_error_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = build(data("x", 2, 3) + python("Wrong", "x", "y"), netrun.TEST)
    with pytest.raises(RuntimeError) as caught:  # as scripts for pycaffe catch it
        net.forward()
    assert isinstance(caught.value.__cause__, ValueError)
    assert not capsys.readouterr().err
    monkeypatch.setenv("NETRUN_TRACEBACK", "1")
    with pytest.raises(CaffeError):
        net.forward()
    assert "Traceback" in capsys.readouterr().err


def test_a_layer_without_backward_says_so_when_it_is_asked() -> None:
    net = build("force_backward: true " + data("x", 2, 3) + python("NoBackward", "x", "y"))
    net.forward()
    with pytest.raises(LayerError, match=r"layer 'y': class NoBackward has no method backward"):
        net.backward(y=np.ones((2, 3)))


def test_training_stops_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = python("Count", "", "x") + python("Wrong", "x", "y", "loss_weight: 1")
    (tmp_path / "net.prototxt").write_text(words)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 3'
    )
    monkeypatch.setattr(
        sys, "argv", ["netrun", "train", "--solver", str(tmp_path / "solver.prototxt")]
    )
    assert entry() == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("netrun: error: layer 'y': Wrong.forward failed at")


def test_the_alias_gives_the_very_modules() -> None:
    build(
        data("x", 1) + python("Affine", "x", "y", param_str="1"), netrun.TEST
    )  # a layer's `import caffe` puts it in place
    import caffe  # noqa: PLC0415 (as a script does)
    import caffe.io  # noqa: PLC0415
    from caffe.proto import caffe_pb2  # noqa: PLC0415

    assert caffe.Layer is netrun.Layer
    assert caffe.Net is netrun.Net
    assert caffe.io is netrun.io
    assert caffe_pb2 is netrun.proto.caffe_pb2 is pb
    assert caffe.__spec__.name == "caffe"
    assert caffe.io.__spec__.name == "netrun.pycaffe.io"
    assert "Python" in caffe.layer_type_list()
    assert not set(itertools.chain(caffe.__all__)) - set(dir(caffe))
