#!/usr/bin/env bash
# Builds the site of docs/ and serves it; it is rebuilt when a page changes:
#   launch/docs.sh [flags of mkdocs serve, as in --dev-addr=localhost:9000]
# Builds it once into site/, strictly: launch/docs.sh build [flags]
# Broken links, missing pages and public names without a docstring are errors.
# After installation it needs no network.
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

ensure_environment
cd -- "$root"
# Silences the theme's warning about MkDocs 2.
export NO_MKDOCS_2_WARNING=true
if [[ ${1:-} == build ]]; then
  exec "$python" -m mkdocs build --strict "${@:2}"
fi
exec "$python" -m mkdocs serve "$@"
