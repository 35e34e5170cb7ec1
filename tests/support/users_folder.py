"""A folder where a user stands whose files are called like our packages, and like others."""

from pathlib import Path

MARK = "was-imported"
"""The file that whatever is imported from there leaves beside itself."""

_SOURCE = f"""from pathlib import Path

(Path(__file__).resolve().parent / {MARK!r}).touch()
raise SystemExit(99)
"""
OURS = ("search", "spaces", "spkmodel")
OTHERS = ("mlflow", "ray", "torch", "typer", "uvicorn")


def plant(
    folder: Path, names: tuple[str, ...] = (*OURS, *OTHERS), *, packages: bool = True
) -> Path:
    """Write a module, or a package beside it, of each name, all of which end the process."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(_SOURCE)
        if packages:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(_SOURCE)
            (folder / name / "__main__.py").write_text(_SOURCE)
    return folder


def imported(folder: Path) -> list[Path]:
    """Return the marks that were left."""
    return sorted(folder.rglob(MARK))
