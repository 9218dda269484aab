"""Packages of npm that tests run: exact versions, installed once for each set of them below .tools."""

import hashlib
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".tools" / "npm"
INSTALL_S = 240


def packages(*wanted: str) -> Path:
    """The folder in whose node_modules `wanted` (each `name@version`) lie; their scripts are not run.

    Raises RuntimeError where npm is missing and CalledProcessError where a package can't be had.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("these tests need Node.js 20 or newer with npm")
    folder = FOLDER / hashlib.sha256(" ".join(sorted(wanted)).encode()).hexdigest()[:16]
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--save-exact"]
        subprocess.run([npm, "install", *options, *wanted], cwd=folder, check=True, timeout=INSTALL_S)
        (folder / "ready").touch()
    return folder
