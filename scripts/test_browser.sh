#!/usr/bin/env bash
# Run the tests that drive a web browser: scripts/test_browser.sh [OPTION OF pytest ...]. Installs Chromium where it is
# missing and this can be done (Debian, as root). Tests that lack something are skipped and say what.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment
if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
    echo "Installing Chromium ..."
    { apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 ||
        echo "Chromium could not be installed; the tests in a browser are skipped"
fi
# With it the browser stylizes.
.venv/bin/python -c 'from nst_fast.live.web_runtime import fetch_runtime; fetch_runtime()' ||
    echo "onnxruntime-web could not be fetched; the tests of stylizing in the browser are skipped"
# One after the other: a browser takes all the cores there are.
.venv/bin/python -m pytest -n 0 -m browser -rs "$@"
