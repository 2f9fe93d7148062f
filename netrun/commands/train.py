"""Train or finetune a model as its solver prototxt says, or resume training from a snapshot.

examples:
  netrun train --solver runs/mine/solver.prototxt --weights models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel --gpu 0,1
  netrun train --solver runs/mine/solver.prototxt --snapshot latest
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.commands import flags
from netrun.runtime import device, log
from netrun.runtime.options import RunOptions
from netrun.training import batch_size, distributed, snapshot
from netrun.training.signals import EFFECTS, TERMINATED, Signals
from netrun.training.solver import Solver
from ssd_common.errors import CaffeError


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--solver", required=True, metavar="FILE", help="solver prototxt")
    parser.add_argument("--weights", metavar="FILE[,FILE]", help="weights to start from, matched by layer name")
    parser.add_argument(
        "--snapshot",
        metavar="FILE|latest",
        help="solver state to resume from; 'latest': the newest of snapshot_prefix, or the beginning (or --weights) where there is none",
    )
    flags.add_device(parser)
    flags.add_state(parser)
    parser.add_argument(
        "--sigint-effect", choices=EFFECTS, default="stop", help="what SIGINT does (default: stop, with a snapshot, exit status 0)"
    )
    parser.add_argument(
        "--sighup-effect",
        choices=EFFECTS,
        default="snapshot",
        help="what SIGHUP does (default: snapshot); SIGTERM stops with one, exit status 143",
    )
    parser.add_argument("--sync-bn", action="store_true", help="several processes: BatchNorm over all their batches, not each over its own")
    flags.add_strict(parser)
    flags.add_log(parser)


def run(args: argparse.Namespace) -> int:
    if args.snapshot and args.weights and args.snapshot != "latest":
        raise CaffeError("give a --snapshot to resume training or --weights to finetune, but not both")
    param = text.read_solver(args.solver)
    param.train_state.level = args.level
    param.train_state.stage.extend(flags.stages(args))
    here = distributed.place()
    if here is None and not args.cpu and len(gpus := device.parse(args.gpu)) > 1:
        return distributed.launch(["train", *args.argv], len(gpus))
    here = here or distributed.Place()
    flags.set_up(args, quiet=here.rank > 0)
    wanted = param.device_id if param.solver_mode == pb.SolverParameter.GPU else None
    where = device.choose(args.gpu, args.cpu, default=wanted, local=here.local)
    return batch_size.advised(
        lambda: _train(param, args, here, where), lambda: batch_size.advise_training(param, where, args.solver, args.precision)
    )


def _train(param: pb.SolverParameter, args: argparse.Namespace, here: distributed.Place, where: torch.device) -> int:
    options = RunOptions(
        args.precision,
        strict=args.strict,
        keep_blobs=False,
        sync_batch_norm=args.sync_bn,
        rank=here.rank,
        world=here.world,
    )
    solver = Solver(param, where, args.solver, options=options)
    with (
        Signals(args.sigint_effect, args.sighup_effect) as signals,
        distributed.Averaging(solver, here) if here.world > 1 else nullcontext() as together,
    ):
        try:
            solver.requested_action = signals.action
            _start(solver, args)
            if together:
                together.share(solver)
            log.info("Starting Optimization", at="caffe.cpp:251")
            done = solver.solve()
            log.info("Optimization Done.", at="caffe.cpp:254")
        finally:
            solver.close()
    return 0 if done or not signals.terminated else TERMINATED


def _start(solver: Solver, args: argparse.Namespace) -> None:
    """Put the solver where --snapshot or --weights says."""
    state = args.snapshot
    if state == "latest":
        state = snapshot.latest(solver.param.snapshot_prefix)
        if state is None:
            log.info(f"No snapshot of {solver.param.snapshot_prefix} yet: starting from the beginning")
    if state:
        log.info(f"Resuming from {state}", at="caffe.cpp:241")
        solver.restore(state)
    elif args.weights:
        solver.copy_from(args.weights)
