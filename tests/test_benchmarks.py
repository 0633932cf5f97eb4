"""The benchmarks run, and say so where they cannot."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import adbench, defaults, detecting, imputation

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


@pytest.mark.parametrize("name", ["circle", pytest.param("pinwheel", marks=pytest.mark.slow)])
def test_the_true_densities_are_densities(name: str) -> None:
    """They integrate to 1, and their mean over samples is minus their entropy on the grid, within 5 standard errors."""
    sample, log_px = {
        "circle": (defaults.circle, defaults.circle_log_px),
        "pinwheel": (defaults.pinwheel, defaults.pinwheel_log_px),
    }[name]
    ticks = np.arange(-5.5, 5.5, 0.1) + 0.05
    grid = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
    found = np.concatenate([log_px(rows) for rows in np.array_split(grid, 30)])
    mass = np.exp(found) * 0.1**2
    assert mass.sum() == pytest.approx(1, abs=0.005)
    sampled = log_px(sample()[:1000])
    entropy = -(mass * np.where(mass > 0, found, 0.0)).sum()
    assert -sampled.mean() == pytest.approx(entropy, abs=5 * sampled.std() / 1000**0.5 + 0.01)


def test_the_page_of_defaults_has_the_truth_where_it_is_known() -> None:
    found = {"test": -1.7, "seconds": 2.0}
    page = defaults.page({"circle / default / 0": {**found, "truth": -1.6867}, "digits / default / 0": found})
    assert "| circle |  | -1.700, 2 s |  | -1.687 |" in page
    assert "| digits |  | -1.700, 2 s |  |  |" in page


@pytest.mark.slow
def test_defaults_are_compared_and_resumed(tmp_path: Path) -> None:
    options = ["--seeds", "1", "--only", "bank notes", "--settings", "default", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.defaults", *options]
    lines = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert [bool(line) for line in lines] == [True, False]
    assert json.loads((tmp_path / "defaults.json").read_text())["bank notes / default / 0"]["epochs"] > 100
    assert "| bank notes |" in (tmp_path / "README.md").read_text()


def test_the_protocol_of_adbench() -> None:
    """Half of the normal rows, in their order, train; small tables are resampled to 1,000 rows; columns are scaled."""
    y = np.arange(3000) % 10 == 9
    x = np.stack([np.arange(3000.0), np.arange(3000.0) ** 2], 1)
    parts = adbench.split(x, y.astype(int), "semi", 0)
    assert (len(parts.train), len(parts.test), parts.labels.sum()) == (1350, 1650, 300)
    assert (np.diff(parts.train[:, 0]) > 0).all()
    assert parts.train.mean(0) == pytest.approx(0, abs=1e-9)
    assert parts.test[:1350, 0].min() > parts.train[:, 0].max()
    small = adbench.split(x[:100], y[:100].astype(int), "unsupervised", 0)
    assert (len(small.train), len(small.test)) == (1000, 1000)
    assert len(adbench.split(x[:100], y[:100].astype(int), "unsupervised", 0, copies=False).train) == 100


def test_the_page_of_adbench(tmp_path: Path) -> None:
    """Quick detectors on a table with obvious anomalies; the command resumes."""
    rng = np.random.default_rng(0)
    x, y = np.concatenate([rng.normal(size=(300, 3)), rng.normal(6, 1, size=(20, 3))]), np.repeat([0, 1], [300, 20])
    np.savez(tmp_path / "1_easy.npz", X=x, y=y)
    (tmp_path / "adbench-semi-supervised.csv").write_text("dataset,VAE\neasy,50.0(1.0)\n")
    found = {}
    for name, detect in adbench.DETECTORS["semi"].items():
        parts = adbench.split(x, y, "semi", 0)
        quick = adbench.neighbors if name == "aevb" else detect
        found[f"easy, {name}, 0"] = adbench.measured(quick, parts, 0)
        assert found[f"easy, {name}, 0"]["roc_auc"] > 99
    (tmp_path / "results.json").write_text(json.dumps(found))
    folders = ["--tables", str(tmp_path), "--reference", str(tmp_path), "--out", str(tmp_path)]
    adbench.main(["--seeds", "1", *folders])
    page = (tmp_path / "README.md").read_text()
    assert "| VAE, published | 50.00 | 4.0 |" in page
    assert json.loads((tmp_path / "results.json").read_text()) == found


def test_the_masks_of_imputation() -> None:
    """Half of the entries, or a quarter; where they depend on a column, its large values, or its rows."""
    x, rng = np.random.default_rng(0).normal(size=(4000, 5)), np.random.default_rng(1)
    assert imputation.half(x, rng).sum() == x.size // 2
    masks = [mask(x, rng) for mask in (imputation.quarter, imputation.at_random, imputation.not_random)]
    for mask in masks:
        assert mask[:, 1:].mean() == pytest.approx(0.25, abs=0.02)
    _, by_first, by_itself = masks
    assert not by_first[:, 0].any()
    assert by_first[x[:, 0] > 0, 1:].mean() == pytest.approx(0.375, abs=0.03)
    assert by_itself[x > 0].mean() == pytest.approx(0.375, abs=0.03)


def test_the_page_of_imputation() -> None:
    """A table counts as won within a standard error; tables that are not complete are left out."""
    errors = {
        "aevb": 0.25,
        "aevb, 3 models": 0.3025,
        "ExtraTrees": 0.36,
        "BayesianRidge": 0.49,
        "KNN": 0.64,
        "mean": 1.0,
    }
    found = {
        f"random, {name}, {imputer}, {seed}": {"mse": mse, "seconds": 1.0, "coverage": 0.9}
        for name in imputation.TABLES
        for imputer, mse in errors.items()
        for seed in range(2)
    }
    found |= {f"random, concrete, aevb, {seed}": {"mse": 1.0, "seconds": 2.0, "coverage": 0.5} for seed in range(2)}
    page = imputation.page(found, 2)
    assert "| banknote | **0.500 ± 0.000** | 0.550 ± 0.000 | 0.600 ± 0.000 |" in page
    assert "| banknote | -0.050 ± 0.000 | 0.900 | 1 | 1 |" in page
    assert "aevb is better than ExtraTrees, or within a standard error, on 5 of 6;" in page
    assert "aevb, 3 models is better than ExtraTrees, or within a standard error, on 6 of 6;" in page
    assert "85 and 95 % on 5 of 6." in page
    assert "MIWAE, published" not in page


@pytest.mark.slow
def test_detectors_are_timed_from_start_to_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detecting, "SIZES", (300,))
    results = detecting.measured(1)
    assert all(seconds > 0 for of_detector in results.values() for (seconds,) in of_detector.values())
    *_, row = detecting.table(results).splitlines()
    assert row.startswith("| 300 | ")
    assert row.count("|") == 5
