#!/usr/bin/env bash
# Trains dsod300_voc0712pp: batch 8 x 8 devices x iter_size 2 = 128.
# Goes on from the latest snapshot where there is one. The engine is netrun, or the Caffe in $CAFFE_ROOT where that is set;
# arguments are handed on to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"/../..
prefix=runs/dsod300_voc0712pp/snapshots/dsod300_voc0712pp

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
command=("$engine" train --solver=prototxt/dsod300_voc0712pp/solver.prototxt --gpu=0,1,2,3,4,5,6,7)

mkdir -p "$(dirname "$prefix")"
latest=$(find "$(dirname "$prefix")" -maxdepth 1 -name "$(basename "$prefix")_iter_*.solverstate" | sort -V | tail -n 1)
if [[ -n $latest ]]; then
  command+=("--snapshot=$latest")
fi
exec "${command[@]}" "$@"
