#!/usr/bin/env bash
# Compares returns with zeros in blocks of four and as single entries, at 0.9:
# DQN with RigL and static masks, three seeds, 40,000 env steps; SAC with RigL,
# two seeds, 150,000 env steps, about ten minutes per run on one core. Repeat
# the command to continue.
#   launch/blocks.sh [directory of the runs; default runs/blocks]
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

runs=${1:-$root/runs/blocks}
ensure_environment
sweep() {
  "$python" -m tf_sparse_rl.sweep --sparsities=0.9 "$@"
}
dqn() {
  sweep --methods=rigl,static --env_names=CartPole-v1,Acrobot-v1 \
    --num_env_steps=40000 "$@"
}
# 17 inputs do not divide into blocks of four: the first layers stay dense.
sac() {
  sweep --agent=sac --methods=rigl --env_names=HalfCheetah-v5 \
    --num_env_steps=150000 \
    --custom_sparsity=actor/hidden_0=0,critic/hidden_0=0 "$@"
}
for seeds in 1 2 3; do
  dqn --sweep_dir="$runs/dqn/block" --seeds="$seeds" --block_shape=4,1
  dqn --sweep_dir="$runs/dqn/any" --seeds="$seeds"
done
for seeds in 1 2; do
  sac --sweep_dir="$runs/sac/block" --seeds="$seeds" --block_shape=4,1
  sac --sweep_dir="$runs/sac/any" --seeds="$seeds"
done
for agent in dqn sac; do
  "$python" -m tf_sparse_rl.report --sweep_dir="$runs/$agent" \
    --out="$runs/report/$agent"
done
