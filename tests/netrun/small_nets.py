"""Words for small nets in prototxt, and the nets that they make."""

from __future__ import annotations

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text


def data(name: str, *dims: int) -> str:
    shape = " ".join(f"dim: {d}" for d in dims)
    return (
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {shape} }} }} }}\n"
    )


def layer(type_: str, bottoms: str, tops: str, fields: str = "", name: str = "") -> str:
    blobs = (
        " ".join(f'bottom: "{b}"' for b in bottoms.split())
        + " "
        + " ".join(f'top: "{t}"' for t in tops.split())
    )
    return f'layer {{ name: "{name or tops}" type: "{type_}" {blobs} {fields} }}\n'


def build(words: str, phase: int = netrun.TRAIN, **options: object) -> netrun.Net:
    return netrun.Net(text.parse('name: "n"\n' + words, pb.NetParameter), phase, **options)
