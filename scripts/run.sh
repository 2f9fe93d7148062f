#!/usr/bin/env bash
# The main job of one zoo id: write its nets, check them, find or draw data, train, evaluate, leave pictures.
# usage: scripts/run.sh ZOO_ID        (`make ZOO_ID` calls it)
# environment: DATA GPUS ITERS BATCH TARGET as in `make help`; CAFFE_ROOT: train with $CAFFE_ROOT/build/tools/caffe
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

id=${1:?usage: scripts/run.sh ZOO_ID}
data=${DATA:-data} gpus=${GPUS:-} iters=${ITERS:-} batch=${BATCH:-} target=${TARGET:-ssd}
started=$SECONDS

heading "1/6 nets of $id"
netgen build "$id" --out "prototxt/$id" --quiet
netgen check "prototxt/$id"/{train,test,deploy,solver}.prototxt

heading "2/6 data"
options=(--target "$target")
[[ -z $gpus ]] || options+=(--gpus "$gpus")
sources=$(netgen build "$id" --data "$data" --print-sources)
if all_exist $sources; then
  run="runs/$id" what="the data set of $id" test_options=()
  echo "found $(echo $sources)"
  options+=(--data "$data")
else
  run="runs/${id}_shapes" what="200 drawn images (coloured shapes), not on the data set of $id"
  echo "not found: $(echo $sources)"
  echo "using the embedded default instead: drawn shapes in $data/shapes"
  draw_shapes "$data/shapes"
  options+=(--dataset "$data/shapes/dataset.json")
  : "${iters:=20}" "${batch:=$([[ $id == *3[0-9][0-9]* ]] && echo 2 || echo 1)}"
  test_options=(--iterations 20)
fi
[[ -z $iters ]] || options+=(--iters "$iters")
[[ -z $batch ]] || options+=(--batch-per-gpu "$batch")

heading "3/6 run in $run"
prepare_run "$id" "$run" "${options[@]}"

heading "4/6 training"
train_run "$run" "$gpus"

heading "5/6 evaluation and pictures"
evaluate_run "$run" "$gpus" "${test_options[@]}"

heading "6/6 result"
report_run "$run" "$id" "$what"
echo "seconds     $((SECONDS - started))"
cat <<EOF

next
  real data       data_prep voc --help, then: make ${id%_voc0712} DATA=/path/with/lmdbs
  own photographs data_prep voc PHOTOS --help; netgen build $id --dataset OUT/dataset.json --out runs/mine; runs/mine/train.sh
  GPUs            make ${id%_voc0712} GPUS=0,1 DATA=/path/with/lmdbs
  Caffe           CAFFE_ROOT=/path/to/caffe make ${id%_voc0712}
  Netscope        paste prototxt/$id/deploy.prototxt
(commands are in .venv/bin: \`source .venv/bin/activate\`)
EOF
