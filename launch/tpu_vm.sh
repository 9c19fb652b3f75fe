#!/usr/bin/env bash
# Trains on the TPU of this machine, a TPU VM: launch/tpu_vm.sh [flags of
# tf_sparse_rl.train]. Its cores share each batch. --tpu= tries the same command
# on a CPU.
# The first use installs everything into .venv, including TensorFlow for TPUs.
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

tpu=local
for flag in "$@"; do
  if [[ $flag == --tpu=* ]]; then
    tpu=${flag#--tpu=}
  fi
done

# Without a TPU, TensorFlow for TPUs would search for it for minutes.
if [[ -n $tpu ]] && ! compgen -G '/dev/accel*' >/dev/null &&
  ! compgen -G '/dev/vfio/[0-9]*' >/dev/null; then
  die 'Expected a TPU VM, with its TPU as /dev/accel* or /dev/vfio/*.' \
    'Received: a machine with neither.' \
    'Without one: launch/local.sh, or --tpu= to try this command.'
fi

ensure_environment
if [[ -n $tpu ]]; then
  ensure_tpu
fi
exec "$python" -m tf_sparse_rl.train --tpu=local "$@"
