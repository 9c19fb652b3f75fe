#!/usr/bin/env bash
# The paper's classic control runs behind README.md's table and figure: dense
# and RigL at 0.9, two seeds each, 100,000 env steps. Finished runs are left
# alone, so it can be stopped and started again.
#   launch/paper_classic.sh [directory of the runs; default runs/paper_classic]
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

runs=${1:-$root/runs/paper_classic}
ensure_environment
for seed in 0 1; do
  for env_name in Acrobot-v1 CartPole-v1; do
    for method in rigl dense; do
      "$python" -m tf_sparse_rl.train --env_name="$env_name" \
        --method="$method" --seed="$seed" \
        --root_dir="$runs/$env_name-$method-$seed"
    done
  done
done
"$python" -m tf_sparse_rl.report --sweep_dir="$runs" --out="$runs/report"
