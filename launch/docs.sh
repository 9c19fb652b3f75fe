#!/usr/bin/env bash
# Builds the site of docs/ and serves it, anew whenever a page changes:
#   launch/docs.sh [flags of mkdocs serve, as --dev-addr=localhost:9000]
# Builds it once into site/, strictly: launch/docs.sh build [flags]
# A broken link, a page that is missing and a public name without a docstring
# are errors. Once installed, nothing is fetched from a network.
set -euo pipefail

# shellcheck source=launch/env.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

ensure_environment
cd -- "$root"
# Of the theme's authors, on what comes after MkDocs 1.6.
export NO_MKDOCS_2_WARNING=true
if [[ ${1:-} == build ]]; then
  exec "$python" -m mkdocs build --strict "${@:2}"
fi
exec "$python" -m mkdocs serve "$@"
