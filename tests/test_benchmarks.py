"""The benchmarks start, and say so where they cannot."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_table_is_left_as_it_is() -> None:
    root = Path(__file__).parents[1]
    results = {path: path.stat().st_mtime_ns for path in (root / "benchmarks" / "results").iterdir()}
    command = [sys.executable, "-m", "benchmarks", "--device", "cuda"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "no GPU is visible here: nothing was run\n"), done.stderr
    assert {path: path.stat().st_mtime_ns for path in results} == results
