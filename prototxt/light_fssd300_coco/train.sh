#!/usr/bin/env bash
# Trains light_fssd300_coco: batch 8 x 4 devices x iter_size 1 = 32.
# Goes on from the latest snapshot where there is one. The engine is netrun, or the Caffe in $CAFFE_ROOT where that is set;
# arguments are handed on to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"/../..
prefix=runs/light_fssd300_coco/snapshots/light_fssd300_coco
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
command=("$engine" train --solver=prototxt/light_fssd300_coco/solver.prototxt --gpu=0,1,2,3)

mkdir -p "$(dirname "$prefix")"
latest=$(find "$(dirname "$prefix")" -maxdepth 1 -name "$(basename "$prefix")_iter_*.solverstate" | sort -V | tail -n 1)
if [[ -n $latest ]]; then
  command+=("--snapshot=$latest")
elif [[ -f $weights ]]; then
  command+=("--weights=$weights")
else
  echo "no $weights (models/README.md says where it is from): training starts from random weights" >&2
fi
exec "${command[@]}" "$@"
