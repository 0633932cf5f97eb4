"""What is measured on the models: first of all, how far a model is from the truth."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from aevb.data import Dataset, NormalMixture, truth
from aevb.errors import BadInput
from aevb.evaluation import Score, mean_score
from aevb.evaluation.measures import Effort, measure
from aevb.models.objectives import ELBO, MonteCarloELBO
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder

Array = NDArray[np.float64]
Array = NDArray[np.float64]

DRAWS = 2000
"""Of z for each point, to compare the two estimators of the bound."""

REACH = 6.0
"""Deviations of the prior that the grid over z covers: less than 2e-8 of its mass is beyond."""
WIDTHS = (0.1, 0.05, 0.025, 0.0125)
"""Of the grid's cells, halved until log p(x) stands still."""
TOLERANCE = 1e-3
"""Nats by which the last halving may change log p(x), on average over the points: what is left after it is far less."""


def density(model: VAE, width: float) -> NormalMixture:
    """p(x) of a model with normal p(x|z) and a standard normal prior in the plane, by the midpoint rule over z."""
    ticks = torch.arange(-REACH + width / 2, REACH, width)
    z = torch.cartesian_prod(ticks, ticks)
    z = z[z.square().sum(1) < REACH**2]
    with torch.no_grad():
        p = model.decode(z)
    weights = (-0.5 * z.double().square().sum(1)).exp() * width**2 / (2 * math.pi)
    factor = p.scale_tril if hasattr(p, "scale_tril") else torch.diag_embed(p.stddev)
    factor = factor.double()
    return NormalMixture(weights.numpy(), p.mean.double().numpy(), (factor @ factor.mT).numpy())


def log_px(model: VAE, x: Array) -> tuple[Array, float]:
    """log p(x) in nats of points ``(N, 2)``, ``(N,)``, and the width of the cells that it took.

    Raises:
        BadInput: it does not stand still.
    """
    coarse = density(model, WIDTHS[0]).log_prob(x)
    for width in WIDTHS[1:]:
        fine = density(model, width).log_prob(x)
        if np.abs(fine - coarse).mean() < TOLERANCE:
            return fine, width
        coarse = fine
    raise BadInput("the integral over z does not settle: the posteriors are too narrow for a grid")


def from_truth(run: RunFolder, dataset: Dataset, points: int) -> list[Score]:
    """log p(x) of a model, how far it is from the truth, and how far above the best normal."""
    source = truth(run.config.data.source, run.config.data.variant)
    x = dataset.test.subsample(points).values.double().numpy()
    ours, width = log_px(run.model, x)
    grid = f"midpoint rule over z, cells of {width:g}"

    def score(name: str, values: Array, estimator: str) -> Score:
        return mean_score(name, values, "test", f"{estimator}; {grid}", None, dataset)

    return [
        score("log_px_quadrature", ours, "exact"),
        score("kl_from_truth", source.log_prob(x) - ours, "log p*(x) - log p(x)"),
        score("gain_over_gaussian", ours - source.gaussian().log_prob(x), "log p(x) - log N(x; E x, Var x)"),
    ]


def gaps(run: RunFolder, dataset: Dataset, points: int) -> list[Score]:
    """What the bound has lost to the family of posteriors, and what to the encoder."""
    return measure("gaps", run.model, dataset, "test", Effort(samples=200, examples=points))


def estimators(run: RunFolder, dataset: Dataset, points: int) -> list[Score]:
    """The bound with its KL in closed form less the bound all by Monte Carlo, from the same draws: section 3.6."""
    with seeded(0, RNGStream.EVALUATION), torch.no_grad():
        trace = run.model.trace(dataset.test.subsample(points).all().x, DRAWS)
        difference = (ELBO(DRAWS)(trace).bound - MonteCarloELBO(DRAWS)(trace).bound).double().numpy()
    return [mean_score("estimator_difference", difference, "test", "closed form - Monte Carlo", DRAWS, dataset)]
