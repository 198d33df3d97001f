#!/usr/bin/env bash
# Build the documentation as a site in site/: scripts/build_docs.sh [--output FOLDER].
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment --group docs
exec .venv/bin/python scripts/build_docs.py "$@"
