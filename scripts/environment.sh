#!/usr/bin/env bash
# Sourced by the other scripts: moves to the project's root and offers `prepare_environment`.

unset CDPATH
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 2

# stop MESSAGE: leave the script with one line that says what is wrong and what to do.
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

# Set `uv` to the command on the PATH, or else to one fetched into .bootstrap/.
find_uv() {
    for uv in uv .bootstrap/bin/uv; do
        usable_uv "$uv" && return
    done
    local python instead="or install uv yourself: https://docs.astral.sh/uv/"
    for python in python3 python3.13 python3.12 python3.11 ''; do
        "${python:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
    done
    [[ $python ]] || stop "there is no uv, nor a Python of 3.11 or newer to fetch it with: install one, $instead"
    echo "Fetching uv, which installs the rest, into .bootstrap/ ..."
    "$python" -m venv --clear .bootstrap >/dev/null 2>&1 ||
        stop "$python cannot make virtual environments: install its venv module (Debian: python3-venv), $instead"
    .bootstrap/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir 'uv>=0.8,<1' ||
        stop "pip could not install uv, as the lines above say: mend that, $instead"
}

# prepare_environment [OPTION OF uv sync ...]: make .venv/ what uv.lock says. The environment variable
# NST_FAST_SYNC_OPTIONS adds options, such as "--extra heif".
prepare_environment() {
    local uv added=()
    read -r -a added <<<"${NST_FAST_SYNC_OPTIONS-}"
    # Without a home to write to, what uv downloads is kept inside the project.
    if ! { [[ -d ${HOME-} ]] && mkdir -p "${UV_CACHE_DIR:-$HOME/.cache/uv}" && [[ -w $HOME ]]; } 2>/dev/null; then
        mkdir -p .bootstrap
        export UV_CACHE_DIR=${UV_CACHE_DIR:-$PWD/.bootstrap/cache}
        export UV_PYTHON_INSTALL_DIR=${UV_PYTHON_INSTALL_DIR:-$PWD/.bootstrap/python}
    fi
    # Trust what the system trusts: behind a company's proxy its certificate is known there only.
    if [[ -e /etc/ssl/certs/ca-certificates.crt || -e /etc/pki/tls/certs/ca-bundle.crt || -e /etc/ssl/cert.pem ]]; then
        export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
    fi
    export UV_PROJECT_ENVIRONMENT=.venv
    unset VIRTUAL_ENV
    find_uv
    if [[ -x .venv/bin/python ]]; then
        echo "Checking the environment ..."
    else
        echo "Installing what is needed into .venv/ (the first time only; PyTorch takes a few minutes) ..."
    fi
    "$uv" sync --locked --quiet "$@" ${added[@]+"${added[@]}"} ||
        stop "the environment could not be prepared, as the lines above say (it takes Python 3.11, 3.12 or 3.13)"
}
