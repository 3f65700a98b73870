"""The templates and the stand-alone verifier are in the wheel: a case is made and sealed with the wheel alone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from pathlib import Path
import forensiq
from forensiq.procedures.case import new_case
from forensiq.procedures.case_seal import seal_case
from forensiq.procedures.key_files import new_key
from forensiq.procedures.keys import choose_key
root = Path(sys.argv[1])
assert str(root) in forensiq.__file__
choice = choose_key(root / "k.pem", prompt=lambda _: "correct horse")
new_key(root / "k.pem", "K", choice)
for template in ("default", "criminal", "corporate", "incident"):
    new_case(root / template, "1", "A", template=template, key=choice)
print(seal_case(root / "default", key=choice).code)
"""


@pytest.mark.slow
def test_a_case_is_made_with_the_wheel_alone(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    environment |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    verify = [sys.executable, "-I", str(tmp_path / "default/verify_seal.py"), "--code", done.stdout.strip()]
    assert subprocess.run(verify, cwd="/", capture_output=True).returncode == 0
