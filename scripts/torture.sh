#!/usr/bin/env bash
# Short runs of the torture programs, about two minutes: scripts/torture.sh. docs/reliability.md has the long ones.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment
.venv/bin/python tests/torture/broken_checkpoints.py --count 2000
.venv/bin/python tests/torture/broken_checkpoints.py --every-bit --count 2000
.venv/bin/python tests/torture/broken_pictures.py --count 4000
