@@include head.sh
command=("$engine" train --solver=@@solver@@gpus)

mkdir -p "$(dirname "$prefix")"
@@include latest.sh
@@include start.sh
exec "${command[@]}" "$@"
