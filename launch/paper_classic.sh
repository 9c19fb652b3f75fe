#!/usr/bin/env bash
# The study behind docs/results/classic_control: five methods and small dense
# networks at three sparsities on classic control, three seeds, 40,000 env
# steps. Repeat the command to continue.
#   launch/paper_classic.sh [directory of the runs; default
#   runs/classic_control] [flags of the sweep, as in --max_parallel=8]
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

runs=${1:-$root/runs/classic_control}
ensure_environment
"$python" -m tf_sparse_rl.sweep --sweep_dir="$runs" \
  --methods=dense,static,set,rigl,prune,small_dense \
  --sparsities=0.8,0.95,0.98 \
  --env_names=CartPole-v1,Acrobot-v1,MountainCar-v0 \
  --seeds=3 --num_env_steps=40000 "${@:2}"
"$python" -m tf_sparse_rl.report --sweep_dir="$runs" --out="$runs/report"
