#!/usr/bin/env bash
# Trains ppn300_coco: batch 64 x 1 device x iter_size 8 = 512.
# Goes on from the latest snapshot where there is one. The engine is netrun, or the Caffe in $CAFFE_ROOT where that is set;
# arguments are handed on to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"/../..
prefix=runs/ppn300_coco/snapshots/ppn300_coco
weights=${WEIGHTS:-models/mobilenet.caffemodel}

engine=netrun
if [[ -n ${CAFFE_ROOT:-} ]]; then
  engine=$CAFFE_ROOT/build/tools/caffe
  # Caffe's embedded Python takes the modules of the first Python on PATH. netrun's environment leaves
  # PATH, because its NumPy is not the one that Caffe was built with.
  IFS=: read -ra folders <<<"$PATH"
  kept=
  for folder in "${folders[@]}"; do
    if [[ -e $folder/netrun && -e $folder/../pyvenv.cfg ]]; then continue; fi
    kept+=:$folder
  done
  PATH=${kept#:}
fi
if ! type -P "$engine" >/dev/null; then
  echo "no $engine: source .venv/bin/activate, or set CAFFE_ROOT to a built Caffe" >&2
  exit 1
fi
# The loss is a Python layer: Caffe must be built with WITH_PYTHON_LAYER, and runs it on one GPU only.
if [[ -n ${CAFFE_ROOT:-} ]]; then export PYTHONPATH=prototxt/ppn300_coco:$CAFFE_ROOT/python${PYTHONPATH:+:$PYTHONPATH}; fi

# No policy of Caffe's is this schedule, so several solvers run one after the other. Iterations count from the beginning of the first:
# the one at which each ends, and its file. The next one goes on from its last snapshot, momentum included.
chain=(
  2000:solver_01
  6000:solver_02
  10000:solver_03
  14000:solver_04
  18000:solver_05
  22000:solver_06
  26000:solver_07
  30000:solver_08
  34000:solver_09
  38000:solver_10
  42000:solver_11
  46000:solver_12
  50000:solver
)
mkdir -p "$(dirname "$prefix")"
reached=0
for link in "${chain[@]}"; do
  latest=$(find "$(dirname "$prefix")" -maxdepth 1 -name "$(basename "$prefix")_iter_*.solverstate" | sort -V | tail -n 1)
  iteration=${latest##*_iter_}
  iteration=${iteration%.solverstate}
  if (( ${iteration:-0} < reached )); then
    echo "stopped at iteration ${iteration:-0}; run this script again to go on" >&2
    exit
  fi
  reached=${link%%:*}
  if (( ${iteration:-0} >= reached )) && [[ $link != "${chain[-1]}" ]]; then continue; fi
  command=("$engine" train --solver=prototxt/ppn300_coco/"${link#*:}.prototxt" --gpu=0)
  if [[ -n $latest ]]; then
    command+=("--snapshot=$latest")
  elif [[ -f $weights ]]; then
    command+=("--weights=$weights")
  else
    echo "no $weights (models/README.md says where it is from): training starts from random weights" >&2
  fi
  "${command[@]}" "$@"
done
