#!/usr/bin/env bash
# Does return survive zeros in blocks of four? DQN with RigL and static masks
# at 0.9, blocks against single entries, three seeds, 40,000 env steps. Finished
# runs are left alone, so it can be stopped and started again.
#   launch/blocks.sh [directory of the runs; default runs/blocks]
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

runs=${1:-$root/runs/blocks}
ensure_environment
sweep() {
  "$python" -m tf_sparse_rl.sweep --methods=rigl,static --sparsities=0.9 \
    --env_names=CartPole-v1,Acrobot-v1 --num_env_steps=40000 "$@"
}
for seeds in 1 2 3; do
  sweep --sweep_dir="$runs/block" --seeds="$seeds" --block_shape=4,1
  sweep --sweep_dir="$runs/any" --seeds="$seeds"
done
"$python" -m tf_sparse_rl.report --sweep_dir="$runs" --out="$runs/report"
