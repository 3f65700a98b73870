#!/bin/sh
# Build the wheel, install it into an environment of its own, and run the scenarios on it in a folder without the source.
# Usage: test_wheel.sh PYTHON JOBS
set -eu
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
jobs=$2
here=$(pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM

"$python" -m pip wheel -q --no-deps --wheel-dir "$place/wheel" .
"$python" -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q --disable-pip-version-check "$place"/wheel/forensiq-*.whl \
    pytest pytest-timeout pytest-xdist hypothesis

mkdir "$place/elsewhere"
cp -r tests fixtures pyproject.toml "$place/elsewhere/"
if [ -d "$here/../shared/images" ]; then
    FORENSIQ_REAL_IMAGES=${FORENSIQ_REAL_IMAGES:-$(cd "$here/../shared/images" && pwd)}
    export FORENSIQ_REAL_IMAGES
fi
cd "$place/elsewhere"
unset PYTHONPATH
"$place/venv/bin/python" -c "
import pathlib, sys, forensiq
where = pathlib.Path(forensiq.__file__).resolve()
sys.exit(0 if pathlib.Path(sys.prefix).resolve() in where.parents else f'the wheel is not what is tested: {where}')"
echo "wheel: installed in an environment of its own; the scenarios run on it, but for the slow ones"
"$place/venv/bin/python" -m pytest -q -n "$jobs" --dist loadgroup -m "not slow" tests/scenarios
