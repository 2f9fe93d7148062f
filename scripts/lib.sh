# shellcheck shell=bash
# What the launchers share; sourced, never run.

heading() { printf '\n== %s\n' "$*"; }

all_exist() { local f; for f in "$@"; do [[ -e $f ]] || return 1; done; }

# draw_shapes DIR TRAIN TEST: the embedded data set and its LMDBs, once.
draw_shapes() {
  if [[ -e $1/dataset.json ]]; then echo "$1: drawn already"; else data_prep shapes --out "$1" --train "$2" --test "$3"; fi
}

# trial_size NET: batch and iterations that two cores get through in a minute or two, from the net's multiply-adds.
trial_size() {
  netgen check "$1" | awk 'END {
    gmacs = $NF
    batch = gmacs < 60 ? 2 : 1
    iters = int(1600 / (gmacs * batch))
    print batch, (iters > 20 ? 20 : iters < 2 ? 2 : iters)
  }'
}

# start_from_trial_of WEIGHTS: where these are another detector's, try that one first, and set WEIGHTS to what it learned.
start_from_trial_of() {
  local parent=${1#runs/}
  [[ $1 == runs/* && ! -f $1 ]] || return 0
  parent=${parent%%/*}
  echo "$parent comes first: this detector starts from its weights"
  scripts/run.sh "$parent"
  WEIGHTS=$(latest_weights "${RUNS:-runs}/${parent}_shapes")
  export WEIGHTS
  heading "back to the detector that starts from $WEIGHTS"
}

# prepare_run ID RUN OPTION...: the nets of a run. Where more than the batch size changed, the earlier run is put aside.
prepare_run() {
  local id=$1 run=$2 before kept earlier
  shift 2
  before=$(net_text "$run/train.prototxt")
  kept=$(mktemp -d)
  cp "$run"/*.prototxt "$run/train.sh" "$kept" 2>/dev/null || true
  netgen build "$id" "$@" --out "$run"
  if [[ -n $before && $before != "$(net_text "$run/train.prototxt")" ]]; then
    earlier="$run.$(date +%Y%m%d-%H%M%S)"
    mv "$run" "$earlier"
    cp "$kept"/* "$earlier" # its own nets, which its weights are of
    echo "the net changed: starting over (the earlier run is in $earlier)"
    netgen build "$id" "$@" --out "$run" >/dev/null
  fi
  rm -r "$kept"
  netgen check "$run"/{train,test,deploy,solver}.prototxt
}

net_text() { grep -v 'batch_size:' "$1" 2>/dev/null || true; }

solver_field() { sed -n "s/^$2: *//p" "$1/solver.prototxt" | tr -d '"' | tail -n 1; }

# latest_weights RUN: the newest snapshot's caffemodel, or nothing.
latest_weights() { { find "$1/snapshots" -name '*_iter_*.caffemodel' 2>/dev/null || true; } | sort -V | tail -n 1; }

iteration_of() { local n=${1##*_iter_}; echo "${n%%.*}"; }

# train_run RUN: train to max_iter, from the latest snapshot where there is one; RUN/train.log grows.
train_run() {
  local run=$1 latest
  latest=$(latest_weights "$run")
  if [[ -n $latest && $(iteration_of "$latest") -ge $(solver_field "$run" max_iter) ]]; then
    echo "already trained to iteration $(iteration_of "$latest"): $latest"
  elif [[ -n ${CAFFE_ROOT:-} ]]; then
    "$run/train.sh" 2>&1 | tee -ia "$run/train.log"
  else
    "$run/train.sh" --log "$run/train.log"
  fi
}

# evaluate_run RUN GPU|'' DATA...: scores, loss curve and pictures of the latest snapshot; what is newer than it stays.
evaluate_run() {
  local run=$1 gpu=$2 weights device=(--cpu)
  weights=$(latest_weights "$run")
  [[ -z $gpu ]] || device=(--gpu "${gpu%%,*}")
  if [[ $run/pictures/detections.json -nt $weights ]]; then
    echo "already evaluated: $run/pictures"
    return
  fi
  if ! grep -q "Iteration $(iteration_of "$weights"), Testing net" "$run/train.log"; then
    netrun test --model "$run/test.prototxt" --weights "$weights" --ap-version "$(solver_field "$run" ap_version)" "${device[@]}" \
      --log "$run/train.log"
  fi
  netrun plot "$run/train.log" --out "$run/loss.png" --title "$(basename "$run")"
  netrun detect --model "$run/deploy.prototxt" --weights "$weights" "${device[@]}" --limit 8 --threshold 0.3 \
    --out "$run/pictures" --sheet "$run/pictures/sheet.png" "$(test_lmdb "$run")"
}

test_lmdb() { sed -n 's/^ *source: "\(.*\)"/\1/p' "$1/test.prototxt"; }

# weights_of LAUNCHER: what it starts from where there is no snapshot, or nothing.
weights_of() { sed -n "s/^weights=\${WEIGHTS:-'\{0,1\}\([^'}]*\)'\{0,1\}}$/\1/p" "$1"; }

# started_from RUN: the weights that its launcher found, or that there were none.
started_from() {
  local weights=${WEIGHTS:-$(weights_of "$1/train.sh")}
  if [[ -f $weights ]]; then echo "$weights"; else echo "random weights"; fi
}

# report_run RUN WHAT: what was trained on, how far, how well, and where everything lies.
report_run() {
  local run=$1 what=$2 weights losses
  weights=$(latest_weights "$run")
  losses=$(sed -n 's/.*Iteration [0-9]*, loss = //p' "$run/train.log")
  cat <<EOF
trained     $(iteration_of "$weights") of $(solver_field "$run" max_iter) iterations on $what, from $(started_from "$run")
loss        $(head -n 1 <<<"$losses") -> $(tail -n 1 <<<"$losses")
mAP         $(sed -n 's/.*detection_eval = //p' "$run/train.log" | tail -n 1) on the test images ($(solver_field "$run" ap_version) average precision at an overlap of 0.5)
weights     $weights
log, curve  $run/train.log $run/loss.png
pictures    $run/pictures (sheet.png: truth beside detections)
EOF
}
