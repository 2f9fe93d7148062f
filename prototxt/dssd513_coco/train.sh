#!/usr/bin/env bash
# Trains dssd513_coco: batch 5 x 4 devices x iter_size 1 = 20.
# Goes on from the latest snapshot where there is one. The engine is netrun, or the Caffe in $CAFFE_ROOT where that is set;
# arguments are handed on to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"/../..
prefix=runs/dssd513_coco/snapshots/dssd513_coco
# The newest weights of the run before this one, however many iterations it had.
newest=$(find runs/ssd513_resnet101_coco/snapshots -maxdepth 1 -name '[!.]*.caffemodel*' 2>/dev/null |
  sed -n 's/.*_iter_\([0-9]\{1,\}\)\.caffemodel\(\.h5\)\{0,1\}$/\1 &/p' |
  sort -n | tail -n 1 | cut -d ' ' -f 2-) || true
weights=${WEIGHTS:-${newest:-runs/ssd513_resnet101_coco/snapshots/ssd513_resnet101_coco_iter_240000.caffemodel}}

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
command=("$engine" train --solver=prototxt/dssd513_coco/solver.prototxt --gpu=0,1,2,3)

mkdir -p "$(dirname "$prefix")"
latest=$(find "$(dirname "$prefix")" -maxdepth 1 -name "$(basename "$prefix")_iter_*.solverstate" | sort -V | tail -n 1)
if [[ -n $latest ]]; then
  command+=("--snapshot=$latest")
elif [[ -f $weights ]]; then
  command+=("--weights=$weights")
else
  echo "no $weights, of which a part stays as it is: train that first" >&2
  exit 1
fi
exec "${command[@]}" "$@"
