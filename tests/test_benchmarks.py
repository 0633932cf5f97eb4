"""The benchmarks run, and say so where they cannot."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


def tables(out: Path, *options: str) -> str:
    """Return the output of the command of the tables."""
    command = [sys.executable, "-m", "benchmarks.tables", "--sets", "wine", "--steps", "40", "--out", str(out)]
    return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_tables_are_written_and_resumed(tmp_path: Path) -> None:
    assert len(tables(tmp_path, "--seeds", "1", "--only", "density").splitlines()) == 1
    assert "## Imputation" not in (tmp_path / "README.md").read_text()
    assert len(tables(tmp_path, "--seeds", "1", "--only", "density", "imputation").splitlines()) == 1
    page = (tmp_path / "README.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| wine |")]
    assert len(lines) == 4  # the last is of the first run
    assert all("**worse**" in line or "better in 1 of 1" in line for line in lines[:2])
    assert tables(tmp_path, "--seeds", "1", "--only", "density", "imputation") == ""
    assert (tmp_path / "README.md").read_text() == page


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.slow
def test_without_a_gpu_its_table_is_unchanged() -> None:
    results = {path: path.stat().st_mtime_ns for path in (ROOT / "benchmarks" / "results").iterdir()}
    command = [sys.executable, "-m", "benchmarks", "--device", "cuda"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "no GPU is available: nothing was run\n"), done.stderr
    assert {path: path.stat().st_mtime_ns for path in results} == results
