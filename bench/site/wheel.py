"""Build the wheel from a copy of the packages: a build leaves folders in its tree."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("search", "spaces", "spkmodel")


def build_wheel(folder: Path) -> Path:
    """Build the wheel into a folder and return its path; nothing is downloaded."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        for file in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / file, tree)
        for package in PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(ROOT / package, tree / package, ignore=ignored)
        line = [sys.executable, "-P", "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"]
        subprocess.run([*line, "--quiet", "--wheel-dir", str(folder), str(tree)], check=True)
    return max(folder.glob("spksearch-*.whl"), key=lambda path: path.stat().st_mtime_ns)


if __name__ == "__main__":
    print(build_wheel(Path(sys.argv[1])))
