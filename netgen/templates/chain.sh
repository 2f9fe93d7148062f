
# No policy of Caffe's is this schedule, so several solvers run one after the other. Iterations count from the beginning of the first:
# the one at which each ends, and its file. The next one goes on from its last snapshot, momentum included.
chain=(
@@links
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
  command=("$engine" train --solver=@@folder/"${link#*:}.prototxt"@@gpus)
  if [[ -n $latest ]]; then
    command+=("--snapshot=$latest")
  elif [[ -f $weights ]]; then  #: weights
    command+=("--weights=$weights")  #: weights
  else  #: weights
    echo "no $weights@@source: training starts from random weights" >&2  #: optional_weights
    echo "no $weights, of which a part stays as it is: train that first" >&2  #: needed_weights
    exit 1  #: needed_weights
  fi
  "${command[@]}" "$@"
done
