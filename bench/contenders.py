"""The contenders, each in a process of its own: `python -m bench.contenders NAME OPTIONS`.

It gets ready, warms up and prints its facts, measures once for every line that it reads, and prints its memory at the end; all as JSON.
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
Run = Callable[[], object]


def deploy(o: Options) -> tuple[Run, Options]:
    """A deploy net on `batch` images, with the weights of a file where one is named."""
    how = {"device": o["device"], "precision": o["precision"], "keep_blobs": False}  # as the commands have it
    net = Net(nets.prototxt(o["net"], "deploy"), pb.TEST, o.get("weights"), **how)
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
    """Leave untrained weights and an image where the others find them."""
    net = Net(nets.prototxt(o["net"], "deploy"), pb.TEST)
    nets.feed(net)
    net.save(o["weights"])
    np.save(f"{o['weights']}.npy", net.blobs[net.inputs[0]].data)
    return lambda: None, {}


def _best(rows: np.ndarray) -> list[float]:
    """The surest detection, to see that contenders do the same work."""
    rows = rows.reshape(-1, 7)
    return rows[rows[:, 2].argmax()].tolist()


def _by_type(net: Net, rounds: int = 5) -> dict[str, float]:
    """Seconds of a forward pass spent in each layer type, medians."""
    spent: list[dict[str, float]] = []

    def watched(layer: Layer, forward: Callable[..., list[torch.Tensor]]) -> Callable[..., list[torch.Tensor]]:
        def timed(bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
            start = _now(net.device)
            tops = forward(bottoms)
            spent[-1][layer.type] += _now(net.device) - start
            return tops

        return timed

    for layer in net.layer_list:
        layer.forward = watched(layer, layer.forward)  # type: ignore[method-assign]
    for _ in range(rounds):
        spent.append(defaultdict(float))
        net.run()
    for layer in net.layer_list:
        del layer.forward
    return {kind: float(np.median([s[kind] for s in spent])) for kind in spent[0]}


def opencv(o: Options) -> tuple[Run, Options]:
    """OpenCV's DNN module on the same deploy prototxt, weights and image."""
    cv2.setNumThreads(o["threads"])
    net = cv2.dnn.readNetFromCaffe(str(nets.prototxt(o["net"], "deploy")), o["weights"])
    image = np.load(f"{o['weights']}.npy")

    def run() -> np.ndarray:
        net.setInput(image)
        return net.forward()

    return run, {"first": _best(run())}


def train(o: Options) -> tuple[Run, Options]:
    """Whole training steps of the solver: forward, loss, backward, update; with `source` from an LMDB, augmentation and all."""
    param = nets.solver(o["net"], o["batch"], o.get("source"), o["folder"])
    param.base_lr = 1e-6  # from untrained weights the paper's rate would end in infinities, and infinities take other times
    how = {"precision": o["precision"], "keep_blobs": False}  # as the commands have it
    solver = Solver(param, torch.device(o["device"]), **how)
    if solver.net.inputs:
        nets.feed(solver.net)
    facts = {"needed": nets.needed(solver.net), "macs": walk(solver.net.param).macs}
    for _ in range(2):
        solver.step(1)
    if o.get("parts"):
        facts["later"] = lambda: {"parts": _parts(solver)}  # it takes memory that training does not
    return lambda: solver.step(1), facts


def _parts(solver: Solver) -> dict[str, float]:
    """Seconds of a training step's parts: the loss layer forward and backward, the update."""
    net = solver.net
    layer = next(layer for layer in net.layer_list if layer.type == "MultiBoxLoss")
    net.run()
    net.recompute()  # what the run has let go of
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
    run()
    taken = []
    for _ in range(rounds):
        start = _now(device)
        run()
        taken.append(_now(device) - start)
    return float(np.median(taken))


def bare(o: Options) -> tuple[Run, Options]:
    """SSD300's layers in plain PyTorch, forward and backward, without loss or update."""
    torch.manual_seed(0)
    order = torch.channels_last if o["channels_last"] else torch.contiguous_format
    model = nets.BareSSD300().to(o["device"], memory_format=order)  # type: ignore[call-overload]
    images = torch.randn(o["batch"], 3, 300, 300, device=o["device"]).contiguous(memory_format=order)

    def run() -> None:
        model.zero_grad(set_to_none=True)
        loc, conf = model(images)
        (loc.sum() + conf.sum()).backward()

    run()
    run()
    return run, {}


def loader(o: Options) -> tuple[Run, Options]:
    """SSD300's training data: decoded, augmented and put together in batches of 32."""
    net = text.read_net(nets.prototxt(o["net"], "train"))
    layer = net.layer[0]
    transformer = Transformer(layer.transform_param, layer.annotated_data_param.batch_sampler, pb.TRAIN)
    batches = Loader(LmdbReader(o["source"]), transformer, Plan(32, threads=o["threads"]))
    position, count = 0, o["images"] // 32

    def run() -> None:
        nonlocal position
        for _ in range(count):
            next(batches)  # let go of at once, as by a training step that is faster
        position += count + 1
        batches.seek(position)  # nothing is made ahead between turns

    run()
    return run, {}


def decoding(o: Options) -> tuple[Run, Options]:
    """The same records, only decoded: no loader can be faster."""
    cv2.setNumThreads(0)
    reader = LmdbReader(o["source"])
    threads = ThreadPoolExecutor(o["threads"])

    def one(i: int) -> None:
        decode_image(parse(reader.value(i % len(reader))).datum)

    return lambda: list(threads.map(one, range(o["images"]))), {}


def products(o: Options) -> tuple[Run, Options]:
    """The device's matrix rate: a product of two square matrices."""
    torch.backends.cuda.matmul.allow_tf32 = o["precision"] == "tf32"
    kind = torch.bfloat16 if o["precision"] == "bf16" else torch.float32
    a, b = (torch.randn(o["side"], o["side"], device=o["device"], dtype=kind) for _ in range(2))
    a @ b
    return lambda: a @ b, {"macs": o["side"] ** 3}


CONTENDERS = {f.__name__: f for f in (weights, deploy, opencv, train, bare, loader, decoding, products)}


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def replies(name: str, options: Options, requests: Iterator[str]) -> Iterator[Options]:
    """Facts once ready, seconds for every request, the memory used at the end."""
    log.setup(level=50)
    torch.set_num_threads(options["threads"])
    device = torch.device(options["device"])
    hold_freed()
    torch.nn.Conv2d(8, 8, 3)(torch.ones(1, 8, 9, 9)).sum().backward()  # what PyTorch takes for itself is there before any net
    before = machine.memory("VmRSS")
    run, facts = CONTENDERS[name](options)
    later = facts.pop("later", dict)
    machine.forget_peak()  # of reading weights
    yield facts
    for _ in requests:
        start = _now(device)
        run()
        yield {"seconds": _now(device) - start}
    used = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else machine.memory("VmHWM") - before
    yield {"memory": used, "facts": later()}


def main(argv: list[str]) -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # nothing but replies goes to stdout
    for reply in replies(argv[0], json.loads(argv[1]), iter(sys.stdin)):
        print(json.dumps(reply), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
