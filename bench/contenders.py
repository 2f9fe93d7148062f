"""The contenders, each in a process of its own: `python -m bench.contenders NAME OPTIONS`.

A contender gets ready, warms up and prints its facts, measures once for every line that it reads,
and prints its memory at the end; all as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import torch

from bench import machine, nets
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.lmdb_reader import LmdbReader
from caffe_ir.records import parse
from caffe_ir.walk import walk
from netrun import Net, Solver
from netrun.data.datum import decode_image
from netrun.data.loader import Loader, Plan
from netrun.data.transform import Transformer
from netrun.layers.registry import Layer
from netrun.runtime import log
from netrun.runtime.memory import hold_freed

Options = dict[str, Any]
Run = Callable[[], object]  # one turn
Forward = Callable[..., list[torch.Tensor]]
_LOADER_BATCH = 32


def deploy(o: Options) -> tuple[Run, Options]:
    """Prepare a deploy net on `batch` images, with the weights of a named file if any."""
    net = Net(
        nets.prototxt(o["net"], "deploy"),
        pb.TEST,
        o.get("weights"),
        device=o["device"],
        precision=o["precision"],
        keep_blobs=False,  # as netrun's commands run nets
    )
    data = net.blobs[net.inputs[0]]
    data.reshape(o["batch"], *data.shape[1:])
    nets.feed(net)
    net.run()
    facts = {
        "needed": nets.needed(net),
        "macs": walk(net.param).macs,
        "by_type": _by_type(net),
        "first": _best(net.blobs[net.outputs[0]].tensor.cpu().numpy()),
    }
    return net.run, facts


def weights(o: Options) -> tuple[Run, Options]:
    """Write untrained weights and an image for the others; measure nothing."""
    net = Net(nets.prototxt(o["net"], "deploy"), pb.TEST)
    nets.feed(net)
    net.save(o["weights"])
    np.save(f"{o['weights']}.npy", net.blobs[net.inputs[0]].data)
    return lambda: None, {}


def _best(rows: np.ndarray) -> list[float]:
    """Return the surest detection, to see that contenders do the same work."""
    rows = rows.reshape(-1, 7)
    return rows[rows[:, 2].argmax()].tolist()


def _by_type(net: Net, rounds: int = 5) -> dict[str, float]:
    """Return seconds of a forward pass by layer type, medians of several passes."""
    passes: list[dict[str, float]] = []
    net.watch(_timed(net.device, passes))
    for _ in range(rounds):
        passes.append(defaultdict(float))
        net.run()
    net.watch(None)
    medians = {}
    for kind in passes[0]:
        seconds = [by_type[kind] for by_type in passes]
        medians[kind] = float(np.median(seconds))
    return medians


def _timed(device: torch.device, passes: list[dict[str, float]]) -> Forward:
    """Return a forward of layers that adds its seconds, by layer type, to the last of `passes`."""

    def timed(layer: Layer, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        start = _now(device)
        tops = layer.forward(bottoms)
        passes[-1][layer.type] += _now(device) - start
        return tops

    return timed


def opencv(o: Options) -> tuple[Run, Options]:
    """Prepare OpenCV's DNN module on the same deploy prototxt, weights and image."""
    cv2.setNumThreads(o["threads"])
    prototxt = nets.prototxt(o["net"], "deploy")
    net = cv2.dnn.readNetFromCaffe(str(prototxt), o["weights"])
    image = np.load(f"{o['weights']}.npy")

    def run() -> np.ndarray:
        net.setInput(image)
        return net.forward()

    return run, {"first": _best(run())}


def train(o: Options) -> tuple[Run, Options]:
    """Prepare whole training steps of the solver: forward, loss, backward, update.

    With `source` the images come from an LMDB and are augmented.
    """
    param = nets.solver(o["net"], o["batch"], o.get("source"), o["folder"])
    # From untrained weights the paper's rate would end in infinities, which take other times.
    param.base_lr = 1e-6
    solver = Solver(
        param,
        torch.device(o["device"]),
        precision=o["precision"],
        keep_blobs=False,  # as netrun's commands run nets
    )
    if solver.net.inputs:
        nets.feed(solver.net)
    facts: Options = {
        "needed": nets.needed(solver.net),
        "macs": walk(solver.net.param).macs,
    }
    for _ in range(2):
        solver.step(1)
    if o.get("parts"):
        # Later, because this takes memory that training does not.
        facts["later"] = lambda: {"parts": _parts(solver)}
    return lambda: solver.step(1), facts


def _parts(solver: Solver) -> dict[str, float]:
    """Return the seconds of a step's parts: the loss layer forward and backward, the update."""
    net = solver.net
    layer = next(layer for layer in net.layer_list if layer.type == "MultiBoxLoss")
    net.run()
    net.recompute()  # blobs that the run did not keep
    bottoms = [net.blobs[name].tensor.detach().clone() for name in layer.param.bottom]
    for leaf in bottoms[:2]:
        leaf.requires_grad_()

    def loss() -> None:
        layer.forward(bottoms)[0].sum().backward()

    net.run()
    net.loss.backward()
    return {
        "MultiBoxLoss, forward and backward": _median(loss, net.device),
        "update": _median(lambda: solver.updater.apply(0.0, 0), net.device),
    }


def _median(run: Run, device: torch.device, rounds: int = 5) -> float:
    """Return the median seconds of several turns, after one to warm up."""
    run()
    taken = []
    for _ in range(rounds):
        start = _now(device)
        run()
        taken.append(_now(device) - start)
    return float(np.median(taken))


def bare(o: Options) -> tuple[Run, Options]:
    """Prepare SSD300 in plain PyTorch, forward and backward, without loss or update."""
    torch.manual_seed(0)
    order = torch.contiguous_format
    if o["channels_last"]:
        order = torch.channels_last
    model = nets.BareSSD300().to(o["device"], memory_format=order)  # type: ignore[call-overload]
    images = torch.randn(o["batch"], 3, 300, 300, device=o["device"])
    images = images.contiguous(memory_format=order)

    def run() -> None:
        model.zero_grad(set_to_none=True)
        loc, conf = model(images)
        (loc.sum() + conf.sum()).backward()

    run()
    run()
    return run, {}


def loader(o: Options) -> tuple[Run, Options]:
    """Prepare SSD300's training data: decoded, augmented and put into batches.

    jpeg_recoding: whether images are encoded again after distort, expand and crop.
    """
    net = text.read_net(nets.prototxt(o["net"], "train"))
    layer = net.layer[0]
    samplers = layer.annotated_data_param.batch_sampler
    recoding = o.get("jpeg_recoding", False)
    param = layer.transform_param
    transformer = Transformer(param, samplers, pb.TRAIN, jpeg_recoding=recoding)
    plan = Plan(_LOADER_BATCH, threads=o["threads"])
    batches = Loader(LmdbReader(o["source"]), transformer, plan)
    count = o["images"] // _LOADER_BATCH
    position = 0

    def run() -> None:
        nonlocal position
        for _ in range(count):
            next(batches)  # dropped at once, as by a training step that is faster
        position += count + 1
        batches.seek(position)  # so that no batch is made ahead between turns

    run()
    return run, {}


def decoding(o: Options) -> tuple[Run, Options]:
    """Prepare decoding of the loader's records alone: no loader can be faster."""
    cv2.setNumThreads(0)
    reader = LmdbReader(o["source"])
    count = len(reader)
    threads = ThreadPoolExecutor(o["threads"])

    def one(i: int) -> None:
        record = parse(reader.value(i % count))
        decode_image(record.datum)

    def run() -> None:
        list(threads.map(one, range(o["images"])))

    return run, {}


def products(o: Options) -> tuple[Run, Options]:
    """Prepare the device's matrix rate: a product of two square matrices."""
    torch.backends.cuda.matmul.allow_tf32 = o["precision"] == "tf32"
    kind = torch.float32
    if o["precision"] == "bf16":
        kind = torch.bfloat16
    side = o["side"]
    a = torch.randn(side, side, device=o["device"], dtype=kind)
    b = torch.randn(side, side, device=o["device"], dtype=kind)
    a @ b
    return lambda: a @ b, {"macs": side**3}


CONTENDERS: dict[str, Callable[[Options], tuple[Run, Options]]] = {
    "weights": weights,
    "deploy": deploy,
    "opencv": opencv,
    "train": train,
    "bare": bare,
    "loader": loader,
    "decoding": decoding,
    "products": products,
}


def _now(device: torch.device) -> float:
    """Return the time in seconds, once the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def replies(name: str, options: Options, requests: Iterator[str]) -> Iterator[Options]:
    """Run a contender: yield its facts, the seconds of a turn per request, then its memory.

    name: in `CONTENDERS`. options: as its function reads them, "threads" and "device" besides.
    """
    log.setup(level=50)
    torch.set_num_threads(options["threads"])
    device = torch.device(options["device"])
    hold_freed()
    _warm_up()
    before = machine.memory("VmRSS")
    run, facts = CONTENDERS[name](options)
    later = facts.pop("later", dict)
    machine.forget_peak()  # the peak of reading weights
    yield facts
    for _ in requests:
        start = _now(device)
        run()
        yield {"seconds": _now(device) - start}
    used = machine.memory("VmHWM") - before
    if device.type == "cuda":
        used = torch.cuda.max_memory_allocated(device)
    yield {"memory": used, "facts": later()}


def _warm_up() -> None:
    """Make PyTorch take the memory that it needs for itself, before any net is built."""
    convolution = torch.nn.Conv2d(8, 8, 3)
    tops = convolution(torch.ones(1, 8, 9, 9))
    tops.sum().backward()


def main(argv: list[str]) -> None:
    """Run the contender argv[0] with the options argv[1], a request per line of standard input."""
    out = sys.stdout
    sys.stdout = sys.stderr  # only replies go to standard output
    for reply in replies(argv[0], json.loads(argv[1]), iter(sys.stdin)):
        print(json.dumps(reply), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
