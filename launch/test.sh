#!/usr/bin/env bash
# Runs the tests, on up to 8 cores: launch/test.sh [flags and paths of pytest]
# The first use installs everything into .venv.
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

ensure_environment
cd -- "$root"
exec "$python" -m pytest -ra --strict-markers -o testpaths=tests \
  --numprocesses=auto --maxprocesses=8 \
  --dist=loadfile --no-loadscope-reorder "$@"
