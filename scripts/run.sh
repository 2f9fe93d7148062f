#!/usr/bin/env bash
# The main job of one zoo id: write and check its nets, find or draw data, train, evaluate, draw
# detections into pictures.
#
# usage: scripts/run.sh ZOO_ID        (`make ZOO_ID` calls it)
# environment: DATASET DATA RUNS GPUS ITERS BATCH TARGET as in `make help`;
# CAFFE_ROOT: train with $CAFFE_ROOT/build/tools/caffe
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

id=${1:?usage: scripts/run.sh ZOO_ID}
data=${DATA:-data}
gpus=${GPUS:-}
iters=${ITERS:-}
batch=${BATCH:-}
drawn=""
options=(--target "${TARGET:-ssd}" --gpus "${gpus:-cpu}" --data "$data")
note=""

heading "1/5 nets of $id"
netgen build "$id" --out "prototxt/$id"
netgen check "prototxt/$id"/{train,test,deploy,solver}.prototxt

heading "2/5 data"
mapfile -t sources < <(netgen build "$id" --data "$data" --print sources)
what=${sources[*]}     # the data, for the report
next=${id%_voc0712} # the id in the commands that the report suggests
if [[ -n ${DATASET:-} ]]; then
  netgen build "$id" --dataset "$DATASET" --print sources
  what=$DATASET
  options+=(--dataset "$DATASET")
elif [[ $id == *_shapes ]]; then
  what="$data/shapes, drawn images"
  next=fssd300
  mapfile -t sources < <(netgen build "$next" --data "$data" --print sources)
  draw_shapes "$data/shapes" 1200 60
  options+=(--dataset "$data/shapes/dataset.json")
elif all_exist "${sources[@]}"; then
  echo "found ${sources[*]}"
else
  echo "not found: ${sources[*]}"
  echo "so the embedded default: drawn images of coloured shapes"
  draw_shapes "$data/shapes_trial" 100 16
  drawn=_shapes
  what="$data/shapes_trial, a few drawn images, because the data set of $id is not there"
  mapfile -t trial < <(netgen build "$id" --print trial)
  : "${batch:=${trial[0]}}" "${iters:=${trial[1]}}"
  note="A trial: so few iterations show that every part works;"
  note+=" they teach a net of this size next to nothing."
  note+=" \`make demo\` shows one that has learned."
  options+=(--dataset "$data/shapes_trial/dataset.json")
fi
run=$(run_of "$id")
start_after "$(netgen build "$id" --print starts_from)" "$(netgen build "$id" --print weights)"
[[ -z $start ]] || options+=(--start "$start")
[[ -z $iters ]] || options+=(--iters "$iters")
[[ -z $batch ]] || options+=(--batch "$batch")
if [[ -z $gpus ]] && nvidia-smi -L >/dev/null 2>&1; then
  echo "running on the CPU; there is a GPU: add GPUS=0"
elif [[ -z $gpus && -z $iters && $id != *_shapes ]]; then
  echo "running the whole schedule on the CPU, which takes weeks:" \
    "GPUS=0 trains on a GPU, ITERS=N less, and fssd_tiny_shapes is a net for the CPU"
fi

heading "3/5 training in $run"
prepare_run "$id" "$run" "${options[@]}"
trap 'stopped=yes' INT # the engine takes a snapshot and exits with 0; this script stops, too
train_run "$run"
if [[ -n ${stopped:-} ]]; then
  echo "stopped; the same command goes on from $(status "$run" weights)"
  exit 130
fi
trap - INT

heading "4/5 evaluation and pictures"
evaluate_run "$run" "$gpus" "$(netgen build "$id" "${options[@]}" --print test_lmdb)"

heading "5/5 result after $SECONDS s"
report_run "$run" "$what" "$(netgen build "$id" "${options[@]}" --print weights)"
[[ -z $note ]] || printf '\n%s\n' "$note"
printf '\nnext        (commands are in .venv/bin: source .venv/bin/activate)\n'
if [[ -n ${DATASET:-} ]]; then
  made=$(printf -- '--model %q --weights %q' "$run/deploy.prototxt" "$(status "$run" weights)")
  own=DATASET=$(printf %q "$DATASET")
  cat <<EOF
  photographs       netrun detect $made --out pictures PHOTO.jpg
  GPUs, a schedule  make $next $own GPUS=0 ITERS=N
  Caffe             CAFFE_ROOT=/path/to/caffe make $next $own
EOF
  exit
fi
convert="data_prep voc PHOTOS --test-share 0.2 --out data/mine"
cat <<EOF
  real data         make $next DATA=DIR     where DIR holds ${sources[*]#"$data/"}
  own photographs   $convert; make $next DATASET=data/mine/dataset.json
  GPUs              make $next GPUS=0
  Caffe             CAFFE_ROOT=/path/to/caffe make $next
  Netscope          paste prototxt/$id/deploy.prototxt
EOF
