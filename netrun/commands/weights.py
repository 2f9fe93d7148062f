"""Look at files of weights (.caffemodel, binary or .h5), compare or convert them, or make some fit another net.

examples:
  netrun weights list VGG.caffemodel
  netrun weights fit --model train.prototxt --weights VGG.caffemodel --rename fc6=fc6_conv --out start.caffemodel
  netrun weights convert net.caffemodel --out net.caffemodel.h5
  netrun weights diff one.caffemodel other.caffemodel
"""

from __future__ import annotations

import argparse
from math import prod

import numpy as np

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine import transfer
from netrun.weights import hdf5
from netrun.weights.files import StoredLayer, blob_message, shape_text, stored
from ssd_common.errors import CaffeError

FILES = {"list": 1, "fit": 0, "convert": 1, "diff": 2}


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "action", choices=FILES, help="list layers; fit to a net; convert between binary and HDF5; show how two files differ"
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="weights to list, convert or compare")
    parser.add_argument("--model", metavar="FILE", help="fit: prototxt of the net that the weights are for; its data need not be there")
    parser.add_argument("--phase", choices=("TRAIN", "TEST"), default="TRAIN", help="fit: which of the net's layers (default: TRAIN)")
    parser.add_argument("--weights", metavar="FILE[,FILE]", help="fit: weights to take over; of layers in several files the last counts")
    parser.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="fit: the files' layer OLD is the net's NEW")
    parser.add_argument("--out", metavar="FILE", help="fit, convert: file to write; HDF5 where it ends in .h5")


def run(args: argparse.Namespace) -> int:
    needed = ("model", "weights", "out") if args.action == "fit" else ("out",) if args.action == "convert" else ()
    if missing := [f"--{name}" for name in needed if not getattr(args, name)]:
        raise CaffeError(f"weights {args.action} needs {', '.join(missing)} (see netrun weights --help)")
    if len(args.files) != FILES[args.action]:
        raise CaffeError(f"weights {args.action} takes {FILES[args.action]} files, not {len(args.files)} (see netrun weights --help)")
    return _ACTIONS[args.action](args)


def _list(args: argparse.Namespace) -> int:
    layers = [layer for layer in stored(args.files[0]) if layer.blobs]
    counts = [sum(prod(blob.shape) for blob in layer.blobs.values()) for layer in layers]
    rows = [
        (layer.name, layer.type, " ".join(shape_text(b.shape) for b in layer.blobs.values()), f"{count:,}")
        for layer, count in zip(layers, counts, strict=True)
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    for name, kind, shapes, count in rows:
        print(f"{name:{widths[0]}}  {kind:{widths[1]}}  {shapes:{widths[2]}}  {count:>{widths[3]}}".rstrip())
    print(f"{len(rows)} layers with parameters, {sum(counts):,} values")
    return 0


def _fit(args: argparse.Namespace) -> int:
    renames = dict(pair.split("=", 1) if "=" in pair else (pair, "") for pair in args.rename)
    net = transfer.without_data(args.model, getattr(pb, args.phase))
    found = transfer.fit(net, args.weights.split(","), renames)
    if not found.copied:
        raise CaffeError(f"{args.weights}: no layer fits {args.model}; nothing written")
    for name, why in found.anew.items():
        print(f"{name}: filled anew: {why}")
    if found.left:
        print(f"not in the net: {', '.join(found.left)}")
    net.save(args.out)
    print(f"{args.out}: {len(found.copied)} of {len(net.params)} layers with parameters copied, {len(found.anew)} filled anew")
    return 0


def _convert(args: argparse.Namespace) -> int:
    path = args.files[0]
    if args.out.endswith(".h5"):
        layers = stored(path)
        hdf5.check_names([layer.name for layer in layers])
        hdf5.write_weights(args.out, {la.name: {i: blob.array() for i, blob in la.blobs.items()} for la in layers})
    elif not hdf5.is_hdf5(path):
        binary.write(binary.read_weights(path), args.out)
    else:
        net = pb.NetParameter()
        for layer in stored(path):
            if layer.blobs.keys() != set(range(len(layer.blobs))):
                raise CaffeError(f"{path}: layer '{layer.name}' shares parameters, which only its net knows; use netrun weights fit")
            net.layer.add(name=layer.name, blobs=[blob_message(blob.array()) for blob in layer.blobs.values()])
        binary.write(net, args.out)
    print(args.out)
    return 0


def _diff(args: argparse.Namespace) -> int:
    """Exit status 1 where the files differ, as diff has it."""
    one, other = ({layer.name: layer for layer in stored(path) if layer.blobs} for path in args.files)
    lines = [f"{name}: only in {args.files[name in other]}" for name in sorted(one.keys() ^ other.keys())]
    for name in (name for name in one if name in other):
        lines += [f"{name}: {said}" for said in _differences(one[name], other[name])]
    print("\n".join(lines) or "the same weights")
    return 1 if lines else 0


def _differences(one: StoredLayer, other: StoredLayer) -> list[str]:
    said = []
    for i in sorted(one.blobs.keys() | other.blobs.keys()):
        if i not in one.blobs or i not in other.blobs:
            said.append(f"{len(one.blobs)} blobs against {len(other.blobs)}")
            break
        a, b = one.blobs[i].array(), other.blobs[i].array()
        if not (one.blobs[i].fits(b.shape) or other.blobs[i].fits(a.shape)):
            said.append(f"blob {i}: {shape_text(a.shape)} against {shape_text(b.shape)}")
        elif (gap := np.abs(a.reshape(b.shape) - b)).any():
            scale = np.abs(b).max(initial=0)
            said.append(f"blob {i}: up to {gap.max(initial=0):g} apart, {(gap > 0).mean():.0%} of the values; the greatest is {scale:g}")
    return said


_ACTIONS = {"list": _list, "fit": _fit, "convert": _convert, "diff": _diff}
