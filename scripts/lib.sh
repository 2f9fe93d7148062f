# What the launchers share; sourced, never run.

heading() { printf '\n== %s\n' "$*"; }

all_exist() { local f; for f in "$@"; do [[ -e $f ]] || return 1; done; }

# draw_shapes DIR: the embedded data set and its LMDBs, once.
draw_shapes() {
  if [[ -e $1/dataset.json ]]; then echo "$1 is there"; else data_prep shapes --out "$1"; fi
}

# prepare_run ID RUN OPTION...: the nets of a run. Where more than the batch size changed, the earlier run is put aside.
prepare_run() {
  local id=$1 run=$2 before
  shift 2
  before=$(net_text "$run/train.prototxt")
  netgen build "$id" "$@" --out "$run"
  if [[ -n $before && $before != "$(net_text "$run/train.prototxt")" ]]; then
    mv "$run" "$run.$(date +%Y%m%d-%H%M%S)"
    echo "the net changed: starting over (the earlier run is kept beside it)"
    netgen build "$id" "$@" --out "$run" >/dev/null
  fi
  netgen check "$run"/{train,test,deploy,solver}.prototxt
}

net_text() { grep -v 'batch_size:' "$1" 2>/dev/null || true; }

# latest_weights RUN: the newest snapshot's caffemodel, or nothing.
latest_weights() {
  find "$1/snapshots" -name '*_iter_*.caffemodel' 2>/dev/null | sort -V | tail -n 1
}
