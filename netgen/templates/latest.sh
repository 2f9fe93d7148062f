latest=$(find "$(dirname "$prefix")" -maxdepth 1 -name "$(basename "$prefix")_iter_*.solverstate" | sort -V | tail -n 1)
