#!/usr/bin/env bash
# Works a sweep off as a SLURM array, a task a line of runs.jsonl. Takes the
# flags of tf_sparse_rl.sweep; SWEEP_DIR must be seen by all nodes:
#   launch/slurm_array.sh --sweep_dir=SWEEP_DIR --methods=dense,rigl --seeds=10
# What differs by cluster comes from SLURM's own variables, as in
# SBATCH_PARTITION=gpu SBATCH_GRES=gpu:1. The same command again continues:
# finished runs end at once. A list that is longer than the cluster's
# MaxArraySize is refused by SLURM.
#
# MAX_TASKS  tasks at a time (default: as many as SLURM gives)
#
#SBATCH --job-name=sweep
#SBATCH --cpus-per-task=1
#SBATCH --mem=3G
#SBATCH --requeue
#SBATCH --open-mode=append
# A minute before the time limit, to save a checkpoint.
#SBATCH --signal=B:TERM@60
set -euo pipefail

# In a task this script is a copy, started in the repository.
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
# Tasks start in the repository: modules of one's own are found all the same.
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
sbatch --array="0-$last${MAX_TASKS:+%$MAX_TASKS}" --chdir="$root" \
  --output="$sweep_dir/logs/slurm-%A_%a.log" "${BASH_SOURCE[0]}" "$sweep_dir"
echo "How far it is: python -m tf_sparse_rl.sweep --sweep_dir=$sweep_dir" \
  '--status'
