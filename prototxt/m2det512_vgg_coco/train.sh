#!/usr/bin/env bash
# Trains m2det512_vgg_coco: batch 8 x 4 devices x iter_size 1 = 32.
# Goes on from the latest snapshot where there is one. The engine is netrun, or the Caffe in $CAFFE_ROOT where that is set;
# arguments are handed on to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"/../..
prefix=runs/m2det512_vgg_coco/snapshots/m2det512_vgg_coco
weights=${WEIGHTS:-models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel}

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

# No policy of Caffe's is this schedule, so several solvers run one after the other. Iterations count from the beginning of the first:
# the one at which each ends, and its file. The next one goes on from its last snapshot, momentum included.
chain=(
  18480:solver_1
  554400:solver
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
  command=("$engine" train --solver=prototxt/m2det512_vgg_coco/"${link#*:}.prototxt" --gpu=0,1,2,3)
  if [[ -n $latest ]]; then
    command+=("--snapshot=$latest")
  elif [[ -f $weights ]]; then
    command+=("--weights=$weights")
  else
    echo "no $weights (models/README.md says where it is from): training starts from random weights" >&2
  fi
  "${command[@]}" "$@"
done
