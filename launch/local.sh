#!/usr/bin/env bash
# Trains on this machine: launch/local.sh [flags of tf_sparse_rl.train]
# The first use installs everything into .venv.
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

# Used if no flag is given: half a minute on one core.
default_flags=(
  --agent=dqn
  --env_name=CartPole-v1
  --method=rigl
  --sparsity=0.9
  --root_dir=runs/cartpole_rigl_0.9
  --num_env_steps=50000
)

if (($# == 0)); then
  set -- "${default_flags[@]}"
  echo "local.sh: no flags given, so: $*" >&2
fi

ensure_environment
exec "$python" -m tf_sparse_rl.train "$@"
