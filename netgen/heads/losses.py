"""Losses of multibox predictions: SSD's (Liu et al. 2016, §2.2) and focal (Lin et al. 2017)."""

from __future__ import annotations

import json

from caffe_ir.rules.focal_loss import CLASS, DEFAULTS, MODULE
from netgen.graph import Blob, Net
from netgen.heads.predictions import Predictions


def multibox_loss(
    net: Net,
    predictions: Predictions,
    label: Blob,
    num_classes: int,
    *,
    train_on_difficult: bool = True,
) -> Blob:
    """Add SSD's loss (§2.2).

    The sum of smooth L1 over matched boxes and softmax over these and three negatives for each,
    divided by the number of matches.

    num_classes: background included.
    train_on_difficult: match difficult objects, too.
    """
    neg_pos_ratio = 3
    return net.add(
        "MultiBoxLoss",
        "mbox_loss",
        *predictions,
        label,
        include={"phase": "TRAIN"},
        propagate_down=[True, True, False, False],
        loss_param={"normalization": "VALID"},
        loc_loss_type="SMOOTH_L1",
        conf_loss_type="SOFTMAX",
        # Offsets weigh as much as a positive and its negatives, each at a quarter.
        loc_weight=(neg_pos_ratio + 1) / 4,
        num_classes=num_classes,
        share_location=True,
        match_type="PER_PREDICTION",
        overlap_threshold=0.5,
        use_prior_for_matching=True,
        background_label_id=0,
        use_difficult_gt=train_on_difficult,
        neg_pos_ratio=neg_pos_ratio,
        neg_overlap=0.5,
        code_type="CENTER_SIZE",
        ignore_cross_boundary_bbox=False,
        mining_type="MAX_NEGATIVE",
    )


def focal_loss(
    net: Net,
    predictions: Predictions,
    label: Blob,
    num_classes: int,
    *,
    train_on_difficult: bool = True,
    alpha: float = DEFAULTS["alpha"],
    gamma: float = DEFAULTS["gamma"],
    loc_weight: float = DEFAULTS["loc_weight"],
) -> Blob:
    """Add the sigmoid focal loss of every box and class, plus smooth L1 over matched boxes.

    Both are divided by the number of matches. Stock Caffe has no such layer, so netgen writes
    one in Python (`python_layers/ssd_focal_loss.py`) beside the net.

    num_classes: background included.
    train_on_difficult: match difficult objects, too.
    alpha, gamma: parameters of the focal loss.
    loc_weight: weight of smooth L1.

    Source: Lin et al. 2017.
    """
    options = {
        "num_classes": num_classes,
        "alpha": alpha,
        "gamma": gamma,
        "loc_weight": loc_weight,
        "use_difficult_gt": train_on_difficult,
    }
    return net.add(
        "Python",
        "mbox_loss",
        *predictions,
        label,
        include={"phase": "TRAIN"},
        propagate_down=[True, True, False, False],
        loss_weight=1,  # Caffe takes no Python layer for a loss by itself
        module=MODULE,
        layer=CLASS,
        param_str=json.dumps(options),
    )
