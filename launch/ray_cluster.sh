#!/usr/bin/env bash
# Starts a node of a Ray cluster on this machine:
#   launch/ray_cluster.sh head [flags of ray start]
#   launch/ray_cluster.sh worker HEAD:6379 [flags of ray start]
# Then, on the head, with a directory that all nodes see:
#   python -m tf_sparse_rl.sweep --engine=ray --ray_address=auto \
#     --sweep_dir=SWEEP_DIR --methods=dense,rigl --seeds=10
# `ray stop` stops the node of a machine.
#
# Anyone who reaches Ray's ports can execute anything. In a shared network,
# export RAY_AUTH_MODE=token on all machines, for the sweep too: the head then
# makes a token, which the workers need in ~/.ray/auth_token.
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

kind=${1:-none}
if [[ $kind == worker && $# -lt 2 ]] || [[ $kind != head && $kind != worker ]]
then
  die 'Expected: ray_cluster.sh head, or ray_cluster.sh worker HEAD:6379.' \
    "Received: $*"
fi
shift

ensure_environment
# No usage statistics are sent.
export RAY_USAGE_STATS_ENABLED=0
ray=$(dirname -- "$python")/ray
if [[ $kind == head ]]; then
  if [[ ${RAY_AUTH_MODE:-} == token ]]; then
    "$ray" get-auth-token --generate >/dev/null
  fi
  exec "$ray" start --head --port=6379 --include-dashboard=false "$@"
fi
address=$1
shift
exec "$ray" start --address="$address" "$@"
