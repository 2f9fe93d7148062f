@@include head.sh

# No policy of Caffe's is this schedule, so several solvers run one after the other. Iterations count from the beginning of the first:
# the one at which each ends, and its file. The next one goes on from its last snapshot, momentum included.
chain=(
@@links
)
mkdir -p "$(dirname "$prefix")"
reached=0
for link in "${chain[@]}"; do
  @@include latest.sh
  iteration=${latest##*_iter_}
  iteration=${iteration%.solverstate}
  if (( ${iteration:-0} < reached )); then
    echo "stopped at iteration ${iteration:-0}; run this script again to go on" >&2
    exit
  fi
  reached=${link%%:*}
  if (( ${iteration:-0} >= reached )) && [[ $link != "${chain[-1]}" ]]; then continue; fi
  command=("$engine" train --solver=@@folder/"${link#*:}.prototxt"@@gpus)
  @@include start.sh
  "${command[@]}" "$@"
done
