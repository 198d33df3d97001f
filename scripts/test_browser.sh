#!/usr/bin/env bash
# Run the tests that drive a web browser: scripts/test_browser.sh [OPTION OF pytest ...]. Where Chromium is missing it is
# installed if that can be done (Debian, as root); what else is missing makes its tests say so and be skipped.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment --all-extras
if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
    echo "Installing Chromium ..."
    { apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 ||
        echo "Chromium could not be installed; the tests in a browser are skipped"
fi
# What paints in the browser; without a network the tests of it are skipped.
.venv/bin/python -c 'from nst_fast.live.web_runtime import fetch_runtime; fetch_runtime(say=print)' ||
    echo "onnxruntime-web could not be fetched; the tests of painting in the browser are skipped"
# One after the other: a browser takes all the cores there are.
.venv/bin/python -m pytest -n 0 -m browser -rs "$@"
