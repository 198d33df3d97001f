#!/usr/bin/env bash
# Build a wheel, install it without extras into a fresh environment, and stylize from an empty folder: scripts/test_wheel.sh
# [OPTION OF pytest ...]. Needs PyPI.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment
exec .venv/bin/python -m pytest -n 0 -m network tests/test_wheel.py "$@"
