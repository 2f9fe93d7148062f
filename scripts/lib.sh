# shellcheck shell=bash
# What the launchers share; sourced, never run.

heading() { printf '\n== %s\n' "$*"; }

all_exist() { local f; for f in "$@"; do [[ -e $f ]] || return 1; done; }

# draw_shapes DIR TRAIN TEST: the embedded data set and its LMDBs, once.
draw_shapes() {
  if [[ -e $1/dataset.json ]]; then echo "$1: drawn already"; else data_prep shapes --out "$1" --train "$2" --test "$3"; fi
}

# status RUN KEY: one value of a run, or an empty line (netrun status --help lists the keys).
status() { netrun status "$1" --print "$2"; }

# start_from_trial_of WEIGHTS: where these are another detector's, try that one first, and set WEIGHTS to what it learned.
start_from_trial_of() {
  local parent=${1#runs/}
  [[ $1 == runs/* && ! -f $1 ]] || return 0
  parent=${parent%%/*}
  echo "$parent comes first: this detector starts from its weights"
  scripts/run.sh "$parent"
  WEIGHTS=$(status "${RUNS:-runs}/${parent}_shapes" weights)
  export WEIGHTS
  heading "back to the detector that starts from $WEIGHTS"
}

# prepare_run ID RUN OPTION...: the nets of a run. Where more than the batch size changed, the earlier run is put aside.
prepare_run() {
  local id=$1 run=$2 changed earlier
  shift 2
  changed=$(netgen build "$id" "$@" --out "$run" --print net_changed)
  if [[ $changed == yes ]]; then
    earlier="$run.$(date +%Y%m%d-%H%M%S)"
    mv "$run" "$earlier"
    echo "the net changed: starting over (the earlier run is in $earlier)"
  fi
  netgen build "$id" "$@" --out "$run"
  netgen check "$run"/{train,test,deploy,solver}.prototxt
}

# train_run RUN: train to max_iter, from the latest snapshot where there is one; RUN/train.log grows.
train_run() {
  local run=$1 reached
  reached=$(status "$run" weights_iteration)
  if [[ -n $reached && $reached -ge $(status "$run" max_iter) ]]; then
    echo "already trained to iteration $reached: $(status "$run" weights)"
  elif [[ -n ${CAFFE_ROOT:-} ]]; then
    "$run/train.sh" 2>&1 | tee -ia "$run/train.log"
  else
    "$run/train.sh" --log "$run/train.log"
  fi
}

# evaluate_run RUN GPU|'' TEST_LMDB: scores, loss curve and pictures of the latest snapshot; what is newer than it stays.
evaluate_run() {
  local run=$1 gpu=$2 test_lmdb=$3 weights device=(--cpu)
  weights=$(status "$run" weights)
  [[ -z $gpu ]] || device=(--gpu "${gpu%%,*}")
  if [[ $run/pictures/detections.json -nt $weights ]]; then
    echo "already evaluated: $run/pictures"
    return
  fi
  if [[ $(status "$run" tested) == false ]]; then
    netrun test --model "$run/test.prototxt" --weights "$weights" --ap-version "$(status "$run" ap_version)" "${device[@]}" \
      --log "$run/train.log"
  fi
  netrun plot "$run/train.log" --out "$run/loss.png" --title "$(basename "$run")"
  netrun detect --model "$run/deploy.prototxt" --weights "$weights" "${device[@]}" --limit 8 --threshold 0.3 \
    --out "$run/pictures" --sheet "$run/pictures/sheet.png" "$test_lmdb"
}

# report_run RUN WHAT START: what was trained on, how far, how well, and where everything lies. START: the weights it began with.
report_run() {
  local run=$1 what=$2 start=${WEIGHTS:-$3}
  [[ -f $start ]] || start="random weights"
  cat <<EOF
trained     $(status "$run" weights_iteration) of $(status "$run" max_iter) iterations on $what, from $start
loss        $(status "$run" first_loss) -> $(status "$run" loss)
mAP         $(status "$run" score) on the test images ($(status "$run" ap_version) average precision at an overlap of 0.5)
weights     $(status "$run" weights)
log, curve  $run/train.log $run/loss.png
pictures    $run/pictures (sheet.png: truth beside detections)
EOF
}
