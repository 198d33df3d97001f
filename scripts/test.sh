#!/usr/bin/env bash
# Run the tests: scripts/test.sh [OPTION OF pytest ...]. pyproject.toml lists the markers that the default run leaves out.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment
exec .venv/bin/python -m pytest "$@"
