#!/usr/bin/env bash
# Trains on the NVIDIA GPUs of this machine: launch/gpu.sh [flags of
# tf_sparse_rl.train]. Several GPUs share each batch; on a single one XLA
# compiles the train step. --num_gpus=1 uses one of several. --num_gpus=0 tries
# the same command on a CPU.
# The first use installs everything into .venv, including TensorFlow's CUDA
# libraries; the driver must be installed.
#
# CUDA_VISIBLE_DEVICES  the GPUs to use, as in 0,2 (default: all)
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

num_gpus=''
for flag in "$@"; do
  if [[ $flag == --num_gpus=* ]]; then
    num_gpus=${flag#--num_gpus=}
  fi
done

if [[ $num_gpus != 0 ]]; then
  if ! found=$(nvidia-smi --list-gpus 2>&1) || [[ $found != *GPU* ]]; then
    die 'Expected an NVIDIA GPU and its driver, as nvidia-smi lists them.' \
      "Received: ${found:-none}" \
      'Without one: launch/local.sh, or --num_gpus=0 to try this command.'
  fi
  if [[ -n ${CUDA_VISIBLE_DEVICES:-} ]]; then
    found=${CUDA_VISIBLE_DEVICES//,/$'\n'}
  fi
  num_gpus=${num_gpus:-$(wc -l <<<"$found")}
fi

ensure_environment
flags=("--num_gpus=$num_gpus")
if ((num_gpus < 2)); then
  flags+=(--jit_compile)
fi
if ((num_gpus)); then
  ensure_cuda
fi
exec "$python" -m tf_sparse_rl.train "${flags[@]}" "$@"
