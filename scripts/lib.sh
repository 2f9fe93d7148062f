# shellcheck shell=bash
# Functions that the launchers share; sourced, never run.

heading() { printf '\n== %s\n' "$*"; }

all_exist() {
  local file
  for file in "$@"; do
    [[ -e $file ]] || return 1
  done
}

# draw_shapes DIR TRAIN TEST: draw the embedded data set and its LMDBs, once.
# TRAIN, TEST: numbers of images.
draw_shapes() {
  if [[ -e $1/dataset.json ]]; then
    echo "$1: drawn already"
  else
    data_prep shapes --out "$1" --train "$2" --test "$3"
  fi
}

# status RUN KEY: print one value of a run, or an empty line (netrun status --help lists the keys).
status() { netrun status "$1" --print "$2"; }

# run_of ID: print the folder of a detector's run on the data that are trained on.
# RUNS, DATASET as in `make help`; $drawn: "_shapes" where images are drawn in place of missing data.
run_of() {
  local folder
  if [[ -n ${DATASET:-} ]]; then
    folder=$(realpath "$DATASET")
    [[ -d $folder ]] || folder=$(dirname "$folder")
    echo "${RUNS:-runs}/${1%_voc0712}_$(basename "$folder")"
  else
    echo "${RUNS:-runs}/$1${drawn:-}"
  fi
}

# has_weights RUN: whether a run has left weights.
has_weights() { [[ -d $1 && -n $(status "$1" weights 2>/dev/null) ]]; }

# start_after PARENT WEIGHTS: set $start to the run of the detector PARENT, if this detector starts
# from that one's newest weights; "" if it starts from the file WEIGHTS.
# On drawn images the parent is tried first; on data it has to be trained before.
start_after() {
  local parent=$1 weights=$2
  start=""
  [[ -n $parent && -z ${WEIGHTS:-} ]] || return 0
  [[ $weights == runs/* || ! -f $weights ]] || return 0
  start=$(run_of "$parent")
  if has_weights "$start"; then
    echo "starts from $(status "$start" weights)"
  elif [[ $weights != runs/* ]]; then # published weights, which the launcher asks for
    start=""
  elif [[ -n ${drawn:-} ]]; then
    echo "$parent comes first: this detector starts from its weights"
    scripts/run.sh "$parent"
    heading "back to the detector that starts from $(status "$start" weights)"
  else
    echo "no weights in $start: this detector starts from those of $parent" >&2
    echo "make $parent first, with the same DATA, DATASET and RUNS; or name WEIGHTS=FILE" >&2
  fi
}

# prepare_run ID RUN OPTION...: write and check the nets of a run.
# If more than the batch size changed, put the earlier run aside.
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

# train_run RUN: train to max_iter, from the latest snapshot if there is one.
# The log goes to the end of RUN/train.log.
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

# evaluate_run RUN GPU|'' TEST_LMDB: leave scores, loss curve and pictures of the latest snapshot.
# Results that are newer than the snapshot stay.
evaluate_run() {
  local run=$1 gpu=$2 test_lmdb=$3 weights ap_version device=(--cpu)
  weights=$(status "$run" weights)
  [[ -z $gpu ]] || device=(--gpu "${gpu%%,*}")
  if [[ $run/pictures/detections.json -nt $weights ]]; then
    echo "already evaluated: $run/pictures"
    return
  fi
  if [[ $(status "$run" tested) == false ]]; then
    ap_version=$(status "$run" ap_version)
    netrun test --model "$run/test.prototxt" --weights "$weights" "${device[@]}" \
      --ap-version "$ap_version" --log "$run/train.log"
  fi
  netrun plot "$run/train.log" --out "$run/loss.png" --title "$(basename "$run")"
  netrun detect --model "$run/deploy.prototxt" --weights "$weights" "${device[@]}" \
    --limit 8 --threshold 0.3 \
    --out "$run/pictures" --sheet "$run/pictures/sheet.png" "$test_lmdb"
}

# report_run RUN WHAT START: print the data, progress and score of a run, and where its files lie.
# WHAT: the data in words. START: the weights that training began with.
report_run() {
  local run=$1 what=$2 start=${WEIGHTS:-$3} reached max_iter average_precision
  [[ -f $start ]] || start="random weights"
  reached=$(status "$run" weights_iteration)
  max_iter=$(status "$run" max_iter)
  average_precision="$(status "$run" ap_version) average precision"
  cat <<EOF
trained     $reached of $max_iter iterations on $what, from $start
loss        $(status "$run" first_loss) -> $(status "$run" loss)
mAP         $(status "$run" score) on the test images ($average_precision at an overlap of 0.5)
weights     $(status "$run" weights)
log, curve  $run/train.log $run/loss.png
pictures    $run/pictures (sheet.png: truth beside detections)
EOF
}
