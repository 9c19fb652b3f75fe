#!/usr/bin/env bash
# The paper's study of Atari: 15 games, two networks, five methods and small
# dense networks at six sparsities, three seeds, 40 M frames each: 2,790 runs.
# Meant for a cluster, or to be executed in parts. Repeat the command to
# continue.
#   launch/paper_atari.sh [directory of the runs; default runs/atari] [flags of
#   the sweep, as in --env_names=Pong --num_env_steps=1000000 --max_parallel=8]
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

runs=${1:-$root/runs/atari}
games=Assault,Asterix,BeamRider,Boxing,Breakout,CrazyClimber,DemonAttack
games+=,Enduro,FishingDerby,MsPacman,Pong,Qbert,SpaceInvaders,Tutankham
games+=,VideoPinball
ensure_environment
for network in nature_cnn impala_resnet; do
  "$python" -m tf_sparse_rl.sweep --sweep_dir="$runs/$network" \
    --network="$network" --methods=dense,static,set,rigl,prune,small_dense \
    --sparsities=0.5,0.8,0.9,0.95,0.98,0.99 --env_names="$games" --seeds=3 \
    "${@:2}"
  "$python" -m tf_sparse_rl.report --sweep_dir="$runs/$network" \
    --out="$runs/report/$network"
done
