"""Packs the golden cases that every checkout has out of those in shared/golden.

usage: SHARED=/path/to/shared python -m tests.golden.pack
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caffe_ir import binary
from netrun.weights.files import blob_array
from tests.golden.packed import Case, write
from tests.support import SHARED

GOLDEN = SHARED / "golden"

# One case a layer type, or one a way that the type goes; the smallest of its kind.
LAYERS = {
    "layers": """
        absval batchnorm_scale_relu_inplace batchnorm_test bias concat_axis2 conv_3x3_stride2
        conv_depthwise_stride2 conv_kernel_hw crop deconv_3x3_stride1 dropout_test eltwise_max
        eltwise_sum_coeff elu euclidean_loss exp flatten_axis1 inner_product log lrn_across mvn
        normalize_spatial_false_shared_false permute_0231 pool_ave_2x2_ceil pool_max_2x2_ceil power
        prelu reduction_mean relu reshape_0_m1_3 scale_bias sigmoid sigmoid_ce_loss slice_axis1
        smooth_l1_loss softmax_axis2 softmax_loss split_shared_input tanh tile""",
    "fssd": """
        axpy_1x1 focal_default focal_gamma25_alpha2 focal_ignore_label focal_large_inputs
        focal_linear_beta2 focal_map focal_norm_full_ignore interp_1x6_to_4x3
        interp_pad_end_shrink2 interp_shrink3 interp_to_1x4 interp_zoom1 interp_zoom3""",
}
DETECTION = {"detection": "prior_* detection_* evaluate_*"}
LOSSES = {
    "detection": "multibox_*",
    "fssd": """
        multibox_focal_default multibox_focal_no_difficult multibox_focal_norm_full
        multibox_focal_loc_weight_half""",
}
RULES = ("sgd_multistep", "nesterov", "adagrad", "rmsprop", "adadelta", "adam")


def chosen(patterns: dict[str, str]) -> dict[str, Case]:
    """Cases of these folders of shared/golden, by name."""
    found = {}
    for folder, words in patterns.items():
        for word in words.split():
            files = sorted((GOLDEN / folder).glob(f"{word}.npz"))
            assert files, f"no case {folder}/{word}"
            found.update({file.stem: _case(file) for file in files})
    return found


def trajectories() -> dict[str, Case]:
    """Losses of every recorded run, and of one an update rule its last weights and histories."""
    start = _weights(GOLDEN / "solver/adam/init.caffemodel", "init")
    found: dict[str, Case] = {
        "start": {"prototxt": (GOLDEN / "solver/adam/net.prototxt").read_text(), **start}
    }
    for folder in sorted(path.parent for path in GOLDEN.glob("solver/*/trajectory.npz")):
        case: Case = {
            "solver": _solver_text(folder),
            "loss": np.load(folder / "trajectory.npz")["loss"].astype(np.float32),
        }
        if folder.name in RULES:
            case |= _weights(folder / "final.caffemodel", "final")
            history = binary.read_state(folder / "final.solverstate").history
            case |= {f"history:{i}": blob_array(blob) for i, blob in enumerate(history)}
        found[folder.name] = case
    return found


def _solver_text(folder: Path) -> str:
    lines = (folder / "solver.prototxt").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith(("net:", "snapshot_prefix:")))


def _weights(path: Path, kind: str) -> Case:
    layers = binary.read_weights(path).layer
    return {
        f"{kind}:{layer.name}:{i}": blob_array(blob)
        for layer in layers
        for i, blob in enumerate(layer.blobs)
    }


def _case(file: Path) -> Case:
    with np.load(file) as arrays:
        return {key: _plain(arrays[key]) for key in arrays.files}


def _plain(value: np.ndarray) -> np.ndarray | str | int:
    if value.dtype.kind == "f":
        return value
    return str(value) if value.dtype.kind == "U" else int(value)


def main(files: Sequence[tuple[str, dict[str, Case]]]) -> None:
    """Write each file, and say how large it is."""
    for name, cases in files:
        print(f"{name}: {len(cases)} cases, {write(name, cases)} bytes")


if __name__ == "__main__":
    main(
        [
            ("layers.npz", chosen(LAYERS)),
            ("detection.npz", chosen(DETECTION)),
            ("losses.npz", chosen(LOSSES)),
            ("solver.npz", trajectories()),
        ]
    )
