#!/usr/bin/env bash
# One training run on the machines of a Slurm cluster, one process per GPU.
# From the repository's root, on 2 machines of 4 GPUs:
#
#   netgen build fssd512 --gpus 0,1,2,3,4,5,6,7 --out runs/fssd512
#   sbatch --nodes 2 --ntasks-per-node 4 --gpus-per-node 4 \
#     scripts/slurm.sh runs/fssd512/train.sh --gpu=all
#
# The machines must share the file system. Two minutes before the time limit, or when Slurm wants
# the machines back, the run takes a snapshot and stops; requeued, it goes on from there.
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

if [[ $# -eq 0 ]]; then
  echo "usage: sbatch --nodes N --ntasks-per-node GPUS --gpus-per-node GPUS" \
    "$0 RUN/train.sh --gpu=all" >&2
  exit 2
fi
exec srun --kill-on-bad-exit=1 "$@"
