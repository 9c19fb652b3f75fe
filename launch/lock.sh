#!/usr/bin/env bash
# Writes requirements.lock from setup.py: one lock for CPython 3.10 to 3.13.
# Needs uv (`pip install uv`). Further arguments are passed to `uv pip compile`,
# for example --upgrade; without it the locked versions are kept.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$root"

if ! command -v uv >/dev/null; then
  echo 'lock.sh: uv not found; get it with: pip install uv' >&2
  exit 1
fi

overrides=$(mktemp)
trap 'rm -f -- "$overrides"' EXIT

# Pins that tf-agents 0.19.0 declares and does not need. pygame is left out: it
# conflicts with pygame-ce, which Gymnasium installs.
cat >"$overrides" <<'END'
gym==0.26.2
pygame ; python_version < '3'
tensorflow-probability==0.25.0
typing-extensions>=4.12
END

# setuptools and wheel build gym, which has no wheel, and this package.
# The lock has no URL, so it works with any index or mirror.
uv pip compile setup.py - \
  --extra atari --extra docs --extra mujoco --extra onnx --extra optuna \
  --extra report --extra sweep --extra test \
  --universal --python-version 3.10 \
  --override "$overrides" \
  --generate-hashes --no-annotate \
  --no-emit-index-url --no-emit-find-links \
  --custom-compile-command launch/lock.sh \
  --quiet "$@" --output-file requirements.lock <<'END'
tf-agents==0.19.0
gym==0.26.2
setuptools
wheel
END
