#!/usr/bin/env bash
# Check the code without running it: formatting, lint and types.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment
.venv/bin/python -m ruff format --check --output-format=concise .
.venv/bin/python -m ruff check .
.venv/bin/python -m pyright
