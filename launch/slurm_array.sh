#!/usr/bin/env bash
# Executes a sweep as a SLURM array, one task per line of runs.jsonl. Takes the
# flags of tf_sparse_rl.sweep. All nodes must see SWEEP_DIR:
#   launch/slurm_array.sh --sweep_dir=SWEEP_DIR --methods=dense,rigl --seeds=10
# Settings of the cluster are SLURM's own variables, as in SBATCH_PARTITION=gpu
# SBATCH_GRES=gpu:1. Repeat the command to continue; finished runs end at once.
# SLURM refuses a list that is longer than the cluster's MaxArraySize.
#
# MAX_TASKS  maximum number of parallel tasks (default: SLURM's limit)
#
#SBATCH --job-name=sweep
#SBATCH --cpus-per-task=1
#SBATCH --mem=3G
#SBATCH --requeue
#SBATCH --open-mode=append
# A minute before the time limit, to save a checkpoint.
#SBATCH --signal=B:TERM@60
set -euo pipefail

# A task: SLURM executes a copy of this script, in the repository.
if [[ -n ${SLURM_ARRAY_TASK_ID:-} ]]; then
  # shellcheck source=launch/env.sh
  source launch/env.sh
  exec "$python" -m tf_sparse_rl.sweep --sweep_dir="$1" \
    --index="$SLURM_ARRAY_TASK_ID"
fi

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

sweep_dir=''
for flag in "$@"; do
  if [[ $flag == --sweep_dir=* ]]; then
    sweep_dir=$(realpath -m -- "${flag#--sweep_dir=}")
  fi
done
if [[ -z $sweep_dir ]]; then
  die 'Expected --sweep_dir=SWEEP_DIR, which all nodes see. Received none.'
fi

ensure_environment
"$python" -m tf_sparse_rl.sweep "$@" --list_only
last=$(($(wc -l <"$sweep_dir/runs.jsonl") - 1))
mkdir -p -- "$sweep_dir/logs"
# Tasks start in the repository; they find custom modules of this directory.
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
sbatch --array="0-$last${MAX_TASKS:+%$MAX_TASKS}" --chdir="$root" \
  --output="$sweep_dir/logs/slurm-%A_%a.log" "${BASH_SOURCE[0]}" "$sweep_dir"
echo "Progress: python -m tf_sparse_rl.sweep --sweep_dir=$sweep_dir" \
  '--status'
