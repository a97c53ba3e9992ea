#!/usr/bin/env bash
# Builds the Python package, installs it into an environment of its own, and runs its tests. Arguments go to pytest.
# PYTHON_GROUPS are the groups of pyproject.toml that are installed: test, unless it says otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/python-package
if [ ! -x "$venv/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
fi
# pip is asked again only when the requirements have changed.
groups=${PYTHON_GROUPS:-test}
if ! cmp --silent <(cat pyproject.toml; echo "$groups") "$venv/installed"; then
    "$venv/bin/pip" install --quiet --disable-pip-version-check "pip>=25.1" # knows --group
    for group in $groups; do
        "$venv/bin/pip" install --quiet --group "$group"
    done
    { cat pyproject.toml; echo "$groups"; } > "$venv/installed"
fi

VIRTUAL_ENV=$PWD/$venv
[[ $venv = /* ]] && VIRTUAL_ENV=$venv
export VIRTUAL_ENV
"$venv/bin/maturin" develop --quiet --profile fast
# Types: of what is written in Python, and the stubs beside the extension module.
"$venv/bin/python" -m mypy python/lmic
"$venv/bin/python" -m mypy.stubtest --allowlist python/stubtest.txt --ignore-unused-allowlist --mypy-config-file pyproject.toml lmic._lmic
"$venv/bin/python" -m pytest --quiet "$@"
