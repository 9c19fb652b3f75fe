#!/usr/bin/env bash
# The study behind docs/results/sac.md: SAC at the paper's length, three seeds,
# all methods at 0.9, static masks and RigL at 0.95 too. Repeat the command to
# continue.
#   launch/paper_mujoco.sh [directory of the runs; default runs/sac]
#   [flags of the sweep, as in --env_names=Walker2d-v5]
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

runs=${1:-$root/runs/sac}
ensure_environment
train() {
  "$python" -m tf_sparse_rl.sweep --sweep_dir="$runs" --agent=sac --seeds=3 \
    --env_names=HalfCheetah-v5 "$@"
}
train --methods=static,rigl,small_dense,prune,set,dense --sparsities=0.9 \
  "${@:2}"
train --methods=static,rigl --sparsities=0.95 "${@:2}"
"$python" -m tf_sparse_rl.report --sweep_dir="$runs" --out="$runs/report"
