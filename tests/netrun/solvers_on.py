"""What the families' training tests share: a solver of a train net whose data layer is replaced by
given images.
"""

from __future__ import annotations

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from netrun import Solver


def solver_on(net: pb.NetParameter, images: np.ndarray, *, last_class: int = 20) -> Solver:
    """A solver that takes one step on `images` (N, 3, H, W), with an object of class 5 in the first
    and one of last_class in the last.

    net: a train net, whose first layer is its data layer; changed in place.
    """
    # Image, label, instance, corners, difficult.
    objects = [
        [0, 5, 0, 0.1, 0.2, 0.5, 0.6, 0],
        [len(images) - 1, last_class, 0, 0.3, 0.3, 0.9, 0.8, 0],
    ]
    values = {"data": images, "label": np.reshape(objects, (1, 1, 2, 8))}
    net.layer[0].CopyFrom(pb.LayerParameter(name="data", type="Input", top=list(values)))
    for value in values.values():
        net.layer[0].input_param.shape.add(dim=value.shape)
    solver = Solver(
        pb.SolverParameter(
            train_net_param=net,
            base_lr=1e-3,
            lr_policy="fixed",
            momentum=0.9,
            weight_decay=5e-4,
            max_iter=1,
        )
    )
    for name, value in values.items():
        solver.net.blobs[name].data[...] = value
    return solver
