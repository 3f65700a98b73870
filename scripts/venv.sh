#!/bin/sh
# Make a virtual environment and install forensiq into it from this folder (editable).
# Usage: venv.sh FOLDER [further arguments for pip install]
set -eu
folder=$1
shift

say() { printf '%s\n' "$*" >&2; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    say "forensiq needs Python 3.11 or newer (set PYTHON=/path/to/python if it has an unusual name)"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n "$@"
    else return 1
    fi
}

usable() { [ -x "$folder/bin/python" ] && new_enough "$folder/bin/python" && "$folder/bin/python" -m pip --version >/dev/null 2>&1; }

# Debian and Ubuntu keep what venv needs in a package of its own. Ways to go on, in this order: install that package;
# let a pip that is there install another one into the environment; fetch pip.
make_venv() {
    python=$(find_python)
    rm -rf "$folder"
    if "$python" -m venv "$folder" >/dev/null 2>&1; then return; fi
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    if command -v apt-get >/dev/null; then
        say "$python cannot make a virtual environment yet; installing $version-venv"
        { as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update -qq &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
                --no-install-recommends "$version-venv" ca-certificates; } >&2 || true
        rm -rf "$folder"
        if "$python" -m venv "$folder" >/dev/null 2>&1; then return; fi
    fi
    rm -rf "$folder"
    "$python" -m venv --without-pip "$folder" || { say "$python cannot make a virtual environment"; exit 1; }
    if "$python" -m pip --python "$folder/bin/python" install -q pip 2>/dev/null; then return; fi
    say "fetching pip from https://bootstrap.pypa.io/get-pip.py"
    "$folder/bin/python" -c '
import subprocess, sys, tempfile, urllib.request
with tempfile.NamedTemporaryFile(suffix=".py") as file:
    file.write(urllib.request.urlopen("https://bootstrap.pypa.io/get-pip.py", timeout=60).read())
    file.flush()
    sys.exit(subprocess.call([sys.executable, file.name, "-q"]))' && return
    rm -rf "$folder"
    say "no way to get pip into a virtual environment. As root: apt-get install $version-venv, then try again"
    exit 1
}

usable || make_venv
# Dependency groups need pip 25.1.
"$folder/bin/python" -m pip install -q --disable-pip-version-check --upgrade 'pip>=25.1'
"$folder/bin/python" -m pip install -q --disable-pip-version-check -e . "$@"
