"""Scores a solver's test nets during training, and logs the scores in Caffe's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine.engine import Engine
from netrun.evaluation import scoring
from netrun.runtime import log


def score_all(
    nets: Sequence[Engine],
    trained: Engine,
    param: pb.SolverParameter,
    iteration: int,
    go_on: Callable[[], bool],
) -> None:
    """Score every test net with the train net's weights, and log the scores.

    nets: the test nets.
    trained: the train net.
    param: the solver; it gives the number of batches, the scores, and whether to log the loss.
    iteration: how often the weights have been updated.
    go_on: called before every batch; False stops the test.
    Raises CaffeError for outputs without a score.
    """
    place = "solver.cpp:358"
    if param.eval_type == "detection":
        place = "solver.cpp:433"
    for i, (net, batches) in enumerate(zip(nets, param.test_iter, strict=True)):
        log.info(f"Iteration {iteration}, Testing net (#{i})", at=place)
        net.share_from(trained)
        result = scoring.score(net, batches, param.eval_type, go_on)
        if result is None:
            net.log_faults()
            log.info("Test interrupted.", at="solver.cpp:407")
            return
        if param.test_compute_loss:
            log.info(f"Test loss: {log.number(result.loss)}", at="solver.cpp:412")
        scoring.report(result, param)
        net.log_faults()
