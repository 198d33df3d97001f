#!/usr/bin/env bash
# Sourced by the other scripts: moves to the project's root and defines `prepare_environment`.

unset CDPATH
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 2

# stop MESSAGE: end the script with one line that says what is wrong and what to do.
stop() {
    printf 'error: %s\n' "$1" >&2
    exit 2
}

# usable_uv COMMAND: true if it runs and is 0.8 or newer.
usable_uv() {
    local major minor
    IFS=' .' read -r _ major minor _ <<<"$("$1" --version 2>/dev/null)"
    [[ ${major-} =~ ^[0-9]+$ && ${minor-} =~ ^[0-9]+$ ]] && ((major > 0 || minor >= 8))
}

# Set `uv` to the command on the PATH, or else to one installed into .bootstrap/.
find_uv() {
    for uv in uv .bootstrap/bin/uv; do
        usable_uv "$uv" && return
    done
    local python instead="or install uv yourself: https://docs.astral.sh/uv/"
    for python in python3 python3.13 python3.12 python3.11 ''; do
        "${python:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
    done
    [[ $python ]] || stop "found neither uv nor Python 3.11 or newer to install it with: install Python, $instead"
    echo "Installing uv, which installs everything else, into .bootstrap/ ..."
    "$python" -m venv --clear .bootstrap >/dev/null 2>&1 ||
        stop "$python cannot create virtual environments: install its venv module (Debian: python3-venv), $instead"
    .bootstrap/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir 'uv>=0.8,<1' ||
        stop "pip could not install uv, see above: fix that, $instead"
}

# prepare_environment [OPTION OF uv sync ...]: install into .venv/ what uv.lock lists. What is installed beyond that, such
# as further extras, stays (--inexact). The environment variable NST_FAST_SYNC_OPTIONS adds options, such as "--extra heif".
prepare_environment() {
    local uv added=()
    read -r -a added <<<"${NST_FAST_SYNC_OPTIONS-}"
    # Where HOME is not writable, keep uv's downloads inside the project.
    if ! { [[ -d ${HOME-} ]] && mkdir -p "${UV_CACHE_DIR:-$HOME/.cache/uv}" && [[ -w $HOME ]]; } 2>/dev/null; then
        mkdir -p .bootstrap
        export UV_CACHE_DIR=${UV_CACHE_DIR:-$PWD/.bootstrap/cache}
        export UV_PYTHON_INSTALL_DIR=${UV_PYTHON_INSTALL_DIR:-$PWD/.bootstrap/python}
    fi
    # Trust the certificates that the system trusts: a company's proxy may have its own.
    if [[ -e /etc/ssl/certs/ca-certificates.crt || -e /etc/pki/tls/certs/ca-bundle.crt || -e /etc/ssl/cert.pem ]]; then
        export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
    fi
    export UV_PROJECT_ENVIRONMENT=.venv
    unset VIRTUAL_ENV
    find_uv
    if [[ -x .venv/bin/python ]]; then
        echo "Checking the environment ..."
    else
        echo "Installing the dependencies into .venv/ (once; PyTorch takes a few minutes) ..."
    fi
    "$uv" sync --locked --quiet --inexact "$@" ${added[@]+"${added[@]}"} ||
        stop "could not prepare the environment, see above (Python 3.11, 3.12 or 3.13 is required)"
}
