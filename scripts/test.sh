#!/usr/bin/env bash
# Run the tests: scripts/test.sh [OPTION OF pytest ...]. What they are and what is left out: pyproject.toml.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment --all-extras --no-extra ray # half a gigabyte, for one test that is marked slow
exec .venv/bin/python -m pytest "$@"
