"""What a default install weighs: `python -m bench.install` (makes an empty virtual environment; needs an index)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.timing import report

PROJECT = Path(__file__).parents[1]
NOT_OURS = {"pip", "setuptools", "wheel"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        before = _bytes(Path(folder))
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-compile", str(PROJECT)], check=True)
        listed = subprocess.run(
            [python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True
        ).stdout
        packages = sorted(each["name"] for each in json.loads(listed) if each["name"] not in NOT_OURS)
        figures = {
            "megabytes": (_bytes(Path(folder)) - before) / 1e6,
            "packages": len(packages),
            "names": packages,
        }
    report("install", figures, {"megabytes": ("<=", 250.0), "packages": ("<=", 45.0)})


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


if __name__ == "__main__":
    main()
