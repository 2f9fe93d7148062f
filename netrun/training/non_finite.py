"""Where in a net the first NaN or infinity is."""

from __future__ import annotations

import numpy as np

from netrun.engine.net import Net


def first_non_finite(net: Net) -> str:
    """The first blob, in the order of computing, that is not finite after the latest forward: a layer's parameter or its top."""
    if not net.keep_blobs:
        net.recompute()
    seen = set()
    for layer in net.layer_list:
        for i, blob in enumerate(layer.blobs):
            if not blob.isfinite().all():
                return f"blob {i} of layer '{layer.name}' (its parameters)"
        for name in layer.param.top:
            if name not in seen and not np.isfinite(net.blobs[name].data).all():
                return f"'{name}' (top of layer '{layer.name}')"
            seen.add(name)
    return "none any more; the loss recovered"
