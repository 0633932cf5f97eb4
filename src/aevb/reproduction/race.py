"""Monte Carlo EM against AEVB: the same decoder, initial weights and images, as in Kingma & Welling 2013, Figure 3.

The curves show test log p(x), by quadrature over the two dimensions of z. It is exact and depends on the decoder only,
so that it also applies to a method without an encoder.
"""

import csv
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import islice
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aevb import plots
from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig, TrainConfig
from aevb.data import Dataset, Examples, load_data
from aevb.evaluation.quadrature import quadrature
from aevb.models.objectives import ELBO
from aevb.models.vae import VAE
from aevb.reproduction.quantities import Results
from aevb.rng import RNGStream, seeded
from aevb.training.fit import fit
from aevb.training.monte_carlo_em import monte_carlo_em

LEAPFROGS, STEPS = 10, 5
"""Leapfrog steps and decoder updates per iteration of Monte Carlo EM, as in the appendix of Kingma & Welling."""
RATES = {"em": 0.1, "aevb": 0.1}
"""Learning rates of Adagrad: for each method the best of 0.01, 0.02, 0.05, 0.1 and 0.2 on validation images."""
METHODS = {
    "aevb": ("AEVB", plots.COLORS[0], "AEVB-test"),
    "em": ("Monte Carlo EM", plots.COLORS[2], "MCEM-test"),
}
"""Label, color and the name of the curve in Kingma & Welling."""
ORIGINAL = {"race-small": "MNIST_logpx_N1000", "race-large": "MNIST_logpx_N50000"}
"""Panels of Kingma & Welling by study."""


class Race(NamedTuple):
    """The lengths of Monte Carlo EM and AEVB.

    Attributes:
        examples: the number of training examples N; None for all.
        iterations: the number of iterations of Monte Carlo EM.
        epochs: the number of epochs of AEVB.
        test: the number of test examples.
        moments: the number of measurements.
        source: the data set.
    """

    examples: int | None
    iterations: int
    epochs: int
    test: int = 100
    moments: int = 8
    source: str = "mnist"


class Curve:
    """Test log p(x) of a model during training. The clock is stopped during measurements."""

    def __init__(self, model: VAE, test: Examples, last: int, moments: int, passes: int) -> None:
        self.model, self.test, self.passes = model, test, passes
        self.moments = {0, *np.geomspace(1, last, moments).round().astype(int).tolist()}
        self.count, self.spent = 0, 0.0
        self.rows: list[tuple[float, int, float]] = []
        self._measure()

    def step(self) -> None:
        """Count a training step, and measure if it is due."""
        self.count += 1
        if self.count in self.moments:
            self.spent += time.perf_counter() - self.started
            self._measure()

    def _measure(self) -> None:
        training = self.model.training
        log_px = quadrature(self.model, self.test).mean().item()
        self.rows.append((self.spent, self.passes * self.count, log_px))
        self.model.train(training)
        self.started = time.perf_counter()

    @property
    def columns(self) -> dict[str, list[float]]:
        """Return seconds, passes of examples through the decoder, and test log p(x) in nats."""
        return dict(zip(("seconds", "passes", "log_px"), map(list, zip(*self.rows, strict=True)), strict=True))


def run(race: Race, seed: int, data_dir: str | None = None) -> dict[str, Any]:
    """Run both methods from the same initial weights on the same examples."""
    dataset = load_data(race.source, binarize="treat-as-probabilities", data_dir=data_dir)
    train = dataset.train if race.examples is None else dataset.train.subsample(race.examples)
    test = dataset.test.subsample(race.test)
    models = [_decoder_to_train(dataset, train, seed) for _ in range(2)]
    em, accepted = _by_em(models[0], train, test, race, seed)
    aevb = _by_aevb(models[1], train, test, race, seed)
    return {
        "examples": len(train),
        "em": em,
        "aevb": aevb,
        "accepted": accepted,
        "gain": aevb["log_px"][-1] - em["log_px"][-1],
        "speedup": em["seconds"][-1] / _reached(aevb, em["log_px"][-1]),
    }


def _by_em(model: VAE, train: Examples, test: Examples, race: Race, seed: int) -> tuple[dict[str, list[float]], float]:
    """Return the curve, and the acceptance rate of the last iterations."""
    curve = Curve(model, test, race.iterations, race.moments, len(train) * (LEAPFROGS + STEPS))
    iterations = monte_carlo_em(model, train, lr=RATES["em"], leapfrogs=LEAPFROGS, steps=STEPS, seed=seed)
    accepted = []
    for iteration in islice(iterations, race.iterations):
        curve.step()
        accepted.append(iteration.accepted)
    return curve.columns, fmean(accepted[-5:])


def _by_aevb(model: VAE, train: Examples, test: Examples, race: Race, seed: int) -> dict[str, list[float]]:
    config = TrainConfig(
        optimizer="adagrad", lr=RATES["aevb"], lr_schedule="constant", weight_decay=0, epochs=race.epochs
    )
    epochs, steps = config.plan(len(train))
    curve = Curve(model, test, epochs * steps, race.moments, config.batch_size)
    fit(model, ELBO(), train, config=config, seed=seed, on_step=curve.step)
    return curve.columns


def _decoder_to_train(dataset: Dataset, train: Examples, seed: int) -> VAE:
    config = ModelConfig(hidden=(100,), activation="tanh", latent=(2,))
    with seeded(seed, RNGStream.WEIGHTS):
        model = build(resolve(config, dataset), dataset.shape)
    model.initialize(train.subsample(10_000).all())
    return model


def _reached(curve: Mapping[str, Sequence[float]], log_px: float) -> float:
    """Return the first measured time at which a curve reaches a value; infinity if it does not."""
    pairs = zip(curve["seconds"], curve["log_px"], strict=True)
    return next((seconds for seconds, value in pairs if value >= log_px), math.inf)


@rc_context(plots.STYLE)
def draw(beside_original: bool, results: Results) -> Figure:
    """Plot the curves of the studies in `ORIGINAL` over time and over passes, optionally with the original curves."""
    figure = Figure(figsize=(7.2, 5.6), layout="constrained")
    clocks, counts = figure.subplots(2, 2)
    for name, clock, passes in zip(ORIGINAL, clocks, counts, strict=True):
        for axis, horizontal in ((clock, "seconds"), (passes, "passes")):
            for seed in results.seeds:
                _draw_methods(axis, results.study(name, seed), horizontal, labelled=seed == results.seeds[0])
            start = results.study(name)["em"]["log_px"][0]
            axis.set(xscale="log", ylabel="test log p(x), nats", ylim=(start, None))
        clock.set(title=f"{results.study(name)['examples']:,} images", xlabel="seconds")
        passes.set(xlabel="passes of an image through the decoder")
        if beside_original:
            _draw_original(passes, ORIGINAL[name])
    figure.legend(*counts[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw_methods(axis: Axes, study: Mapping[str, Any], horizontal: str, *, labelled: bool) -> None:
    """Plot the curves of both methods without their start, which a logarithmic axis cannot show."""
    for method, (label, color, _) in METHODS.items():
        curve = study[method]
        axis.plot(curve[horizontal][1:], curve["log_px"][1:], ".-", color=color, label=label if labelled else None)


def _draw_original(axis: Axes, panel: str) -> None:
    curves = _original()
    for label, color, curve in METHODS.values():
        axis.plot(*curves[panel, curve], color=color, alpha=0.3, linewidth=3, label=f"{label}, K & W")


def _original() -> dict[tuple[str, str], tuple[list[float], list[float]]]:
    """Return the curves of Kingma & Welling by panel and name: training samples and nats."""
    curves: dict[tuple[str, str], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    with (files("aevb.reproduction") / "reference" / "kingma_welling.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            samples, nats = curves[row["panel"], row["curve"]]
            samples.append(float(row["training_samples"]))
            nats.append(float(row["value_nats"]))
    return curves
