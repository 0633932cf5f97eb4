"""Compare settings of training by held-out log p(x): python -m benchmarks.defaults [--seeds 3] [--out FOLDER].

Fourteen data sets: images, points in the plane, and tables in the folder AEVB_DATA. "earlier" are the defaults before
they were chosen by this comparison, "default" are those of `aevb train`, and "density" is the preset, for points alone.
Settings were chosen by log p(x) of the validation part; the page shows the test part.

Results are kept in OUT/defaults.json, so that an interrupted command resumes; the page is OUT/README.md.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from aevb.data import Dataset, load_data
from aevb.evaluation.likelihood import best_log_px
from aevb.workflow.fitting import fit_run
from aevb.workflow.options import with_keywords
from benchmarks.timing import ROOT, machine

Rows = NDArray[np.float64]
EXAMPLES = 1000
"""The largest number of test and validation examples."""
POINTS = 20_000


class Problem(NamedTuple):
    """A data set of the comparison.

    Attributes:
        load: returns it.
        options: those that every setting has.
        few_dimensions: whether the preset density is for such data.
        log_px: the true log p(x) of rows, ``(N,)``, where it is known.
    """

    load: Callable[[], Dataset]
    options: Mapping[str, Any] = {}
    few_dimensions: bool = False
    log_px: Callable[[Rows], Rows] | None = None


def circle() -> Rows:
    """Return points around eight centers on a circle, ``(N, 2)``."""
    rng = np.random.default_rng(0)
    angle = rng.integers(0, 8, POINTS) * np.pi / 4
    return 2 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.2 * rng.normal(size=(POINTS, 2))


def circle_log_px(x: Rows) -> Rows:
    """Return the density of `circle`."""
    angle = np.arange(8) * np.pi / 4
    centers = 2 * np.column_stack([np.cos(angle), np.sin(angle)])
    squares = np.square(x[:, None] - centers).sum(-1)
    density: Rows = np.log(np.exp(-squares / 0.08).mean(1) / (0.08 * np.pi))
    return density


def pinwheel() -> Rows:
    """Return points on five bent arms, ``(N, 2)``."""
    rng = np.random.default_rng(0)
    arm = rng.integers(0, 5, POINTS)
    a = rng.normal(size=(POINTS, 2)) * [0.3, 0.1] + [1, 0]
    angle = 2 * np.pi * arm / 5 + 0.25 * np.exp(a[:, 0])
    turned = a[:, 0] + 1j * a[:, 1]
    z = 2 * turned * np.exp(1j * angle)
    return np.column_stack([z.real, z.imag])


def pinwheel_log_px(x: Rows) -> Rows:
    """Return the density of `pinwheel`.

    x = 2 R(2π k / 5 + exp(a₁) / 4) a is inverted along the circle |a| = |x| / 2.
    """
    radius, direction = np.hypot(*x.T) / 2, np.arctan2(x[:, 1], x[:, 0])
    t = np.linspace(-np.pi, np.pi, 4000, endpoint=False)
    along = radius[:, None] * np.cos(t)
    result = np.full(len(x), -np.inf)
    for arm in range(5):
        error = np.angle(np.exp(1j * (t + 2 * np.pi * arm / 5 + 0.25 * np.exp(along) - direction[:, None])))
        row, column = np.nonzero((error[:, :-1] * error[:, 1:] <= 0) & (abs(error[:, :-1] - error[:, 1:]) < 1))
        before, after = error[row, column], error[row, column + 1]
        root = t[column] + (t[1] - t[0]) * before / (before - after)
        a, b = radius[row] * np.cos(root), radius[row] * np.sin(root)
        log_a = -0.5 * (np.square((a - 1) / 0.3) + np.square(b / 0.1)) - np.log(2 * np.pi * 0.03)
        log_px = log_a - np.log(4 * abs(1 - 0.25 * np.exp(a) * b)) - np.log(5)
        np.logaddexp.at(result, row, log_px)
    return result


def table(name: str) -> Problem:
    """Return a table of the data folder."""
    return Problem(lambda: load_data(f"{os.environ['AEVB_DATA']}/tables/{name}.csv.gz"))


PLANE = partial(Problem, few_dimensions=True)
PROBLEMS: dict[str, Problem] = {
    "digits": Problem(partial(load_data, "digits")),
    "MNIST, resampled": Problem(partial(load_data, "mnist", binarize="resampled"), {"latent": 50}),
    "Fashion-MNIST": Problem(partial(load_data, "fashion-mnist"), {"latent": 20}),
    "gaussian": PLANE(partial(load_data, "gaussian")),
    "gaussian-rotated": PLANE(partial(load_data, "gaussian-rotated")),
    "figure-8": PLANE(partial(load_data, "figure-8")),
    "blobs": PLANE(partial(load_data, "blobs")),
    "mixture": PLANE(partial(load_data, "mixture")),
    "circle": PLANE(lambda: load_data(circle().astype(np.float32)), log_px=circle_log_px),
    "pinwheel": PLANE(lambda: load_data(pinwheel().astype(np.float32)), log_px=pinwheel_log_px),
    "red wine": table("winequality-red"),
    "concrete": table("concrete"),
    "bank notes": table("banknote_authentication"),
    "Adult": table("adult-train"),
}
SETTINGS: dict[str, Callable[[int], dict[str, Any]]] = {
    "earlier": lambda examples: {
        "hidden": [500],
        "activation": "relu",
        "warmup": 0,
        "lr": 1e-3,
        "lr_decay": 0.1,
        "weight_decay": 0.0,
        "epochs": -(-10_000 // max(1, examples // 100)),
    },
    "default": lambda _: {},
    "density": lambda _: {"preset": "density"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials without results, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "defaults")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    file = chosen.out / "defaults.json"
    results: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    for seed, name, setting in product(range(chosen.seeds), chosen.only, chosen.settings):
        key = f"{name} / {setting} / {seed}"
        if key in results or (setting == "density" and not PROBLEMS[name].few_dimensions):
            continue
        results[key] = trial(PROBLEMS[name], setting, seed)
        print(key, json.dumps(results[key]), flush=True)
        file.write_text(json.dumps(results, indent=1) + "\n")
    (chosen.out / "README.md").write_text(page(results), encoding="utf-8")
    return 0


def trial(problem: Problem, setting: str, seed: int) -> dict[str, Any]:
    """Train once and return log p(x) of the test and validation parts in nats, and processor seconds of training."""
    dataset = problem.load()
    options = {**problem.options, **SETTINGS[setting](len(dataset.train)), "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        run = fit_run(with_keywords(None, options), Path(folder) / "run", dataset)
        seconds = time.process_time() - started
        test = dataset.test.subsample(EXAMPLES).materialize()
        log_px = best_log_px(run.model, test)[1].values
        valid = best_log_px(run.model, dataset.valid.subsample(EXAMPLES))[1].values
    found = {"test": log_px.mean().item(), "valid": valid.mean().item(), "seconds": seconds, "epochs": len(run.epochs)}
    if problem.log_px:
        found["truth"] = float(problem.log_px(test.values.double().numpy()).mean())
    return found


def page(results: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table of the results in Markdown."""
    rows = []
    for name in PROBLEMS:
        cells = [_cell(results, name, setting) for setting in SETTINGS]
        truths = (found["truth"] for key, found in results.items() if key.startswith(f"{name} / ") and "truth" in found)
        if any(cells):
            truth = next(truths, None)
            rows.append(f"| {name} | {' | '.join(cells)} | {'' if truth is None else f'{truth:.3f}'} |")
    return HEAD.format(machine=machine("cpu"), rows="\n".join(rows))


def _cell(results: Mapping[str, Mapping[str, float]], name: str, setting: str) -> str:
    """Return the mean over the seeds with its standard deviation, and the mean of the seconds."""
    found = [value for key, value in results.items() if key.startswith(f"{name} / {setting} / ")]
    if not found:
        return ""
    test = np.array([one["test"] for one in found])
    spread = f" ± {test.std(ddof=1):.3f}" if len(test) > 1 else ""
    return f"{test.mean():.3f}{spread}, {np.mean([one['seconds'] for one in found]):.0f} s"


HEAD = """# Defaults

log p(x) of at most 1,000 test examples in nats, mean ± standard deviation over seeds, and processor seconds of training
({machine}; other programs ran at the same time, so seconds are a rough guide). Estimators are those of `aevb evaluate`:
quadrature for two latent dimensions where it converges, else importance sampling. `python -m benchmarks.defaults` makes
this page.

| data | earlier defaults | defaults | `--preset density` | truth |
|---|---|---|---|---|
{rows}

Earlier defaults: one hidden layer of 500 units, 10,000 steps and the learning rate 1e-3. Defaults: two hidden layers of
256 units, gated for images; 10,000 steps, more for over 10,000 examples and fewer if the validation loss stops falling;
the learning rate 2e-3, which falls to zero over the last 30 %; a weight decay of rows, the more the fewer they are; and
except for tables a warm-up of the KL over a fifth of training, less with few examples.
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    raise SystemExit(main())
