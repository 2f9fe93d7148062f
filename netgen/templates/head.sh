#!/usr/bin/env bash
# Trains @@id: @@plan.
# Goes on from the latest snapshot where there is one. The engine is netrun, or the Caffe in $CAFFE_ROOT where that is set;
# arguments are handed on to it.
set -euo pipefail
cd @@root
prefix=@@prefix
weights=${WEIGHTS:-@@weights}  #: file
# The newest weights of the run before this one, however many iterations it had.  #: run
newest=$(find @@start -maxdepth 1 -name '[!.]*.caffemodel*' 2>/dev/null |  #: run
  sed -n 's/.*_iter_\([0-9]\{1,\}\)\.caffemodel\(\.h5\)\{0,1\}$/\1 &/p' |  #: run
  sort -n | tail -n 1 | cut -d ' ' -f 2-) || true  #: run
weights=${WEIGHTS:-${newest:-@@weights}}  #: run

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
# The loss is a Python layer: Caffe must be built with WITH_PYTHON_LAYER, and runs it on one GPU only.  #: python_layers
if [[ -n ${CAFFE_ROOT:-} ]]; then export PYTHONPATH=@@folder:$CAFFE_ROOT/python${PYTHONPATH:+:$PYTHONPATH}; fi  #: python_layers
