#!/usr/bin/env bash
# The study behind docs/results/sac_mujoco.md: SAC dense, with RigL and with
# static masks at 0.9, two seeds each. Repeat the command to continue.
#   launch/paper_mujoco.sh [directory of the runs] [env steps of each]
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

runs=${1:-$root/runs/paper_mujoco}
num_env_steps=${2:-150000}
ensure_environment
for seed in 0 1; do
  for env_name in HalfCheetah-v5 Walker2d-v5; do
    for method in rigl dense static; do
      "$python" -m tf_sparse_rl.train --agent=sac --env_name="$env_name" \
        --method="$method" --seed="$seed" --num_env_steps="$num_env_steps" \
        --root_dir="$runs/$env_name-$method-$seed"
    done
  done
done
"$python" -m tf_sparse_rl.report --sweep_dir="$runs" --out="$runs/report"
