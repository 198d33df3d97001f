#!/usr/bin/env bash
# Short runs of the torture programs, a minute or two each: scripts/torture.sh. docs/reliability.md has the long ones.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment
.venv/bin/python tests/torture/broken_checkpoints.py --count 2000
.venv/bin/python tests/torture/broken_checkpoints.py --every-bit --count 2000
.venv/bin/python tests/torture/broken_pictures.py --count 4000
.venv/bin/python tests/torture/broken_films.py --count 400
.venv/bin/python tests/torture/broken_settings.py --count 1001
.venv/bin/python tests/torture/kill_storm.py --count 24
.venv/bin/python tests/torture/disk_faults.py --count 36
.venv/bin/python tests/torture/many_writers.py --count 6
.venv/bin/python tests/torture/small_containers.py --count 6
.venv/bin/python tests/torture/soak.py --minutes 2
