"""Measures on the models, in particular their distance from the truth."""

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

SAMPLES = 2000
"""Samples of z per point for the comparison of the two estimators of the bound."""

REACH = 6.0
"""Radius of the grid over z in standard deviations of the prior: less than 2e-8 of the mass is outside."""
WIDTHS = (0.1, 0.05, 0.025, 0.0125, 0.00625)
"""Cell widths of the grid, halved until log p(x) converges."""
TOLERANCE = 1e-3
"""Mean change of log p(x) in nats by the last halving at convergence; the remaining error is much smaller."""


def density(model: VAE, width: float) -> NormalMixture:
    """Return p(x) of a model with normal p(x|z) and a standard normal prior, by the midpoint rule over z."""
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
    """Return log p(x) in nats of points ``(N, 2)``, ``(N,)``, and the cell width.

    Raises:
        BadInput: log p(x) does not converge.
    """
    coarse = density(model, WIDTHS[0]).log_prob(x)
    for width in WIDTHS[1:]:
        fine = density(model, width).log_prob(x)
        if np.abs(fine - coarse).mean() < TOLERANCE:
            return fine, width
        coarse = fine
    raise BadInput("the integral over z does not converge: the posteriors are too narrow for a grid")


def from_truth(run: RunFolder, dataset: Dataset, points: int) -> list[Score]:
    """Return log p(x) of a model, its distance from the truth, and its gain over the best normal."""
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
    """Return the approximation gap and the amortization gap."""
    return measure("gaps", run.model, dataset, "test", Effort(n_importance_samples=200, examples=points))


def estimators(run: RunFolder, dataset: Dataset, points: int) -> list[Score]:
    """Return the bound with the KL in closed form minus the Monte Carlo bound, with the same samples (section 3.6)."""
    with seeded(0, RNGStream.EVALUATION), torch.no_grad():
        trace = run.model.trace(dataset.test.subsample(points).all().x, SAMPLES)
        difference = (ELBO(SAMPLES)(trace).bound - MonteCarloELBO(SAMPLES)(trace).bound).double().numpy()
    return [mean_score("estimator_difference", difference, "test", "closed form - Monte Carlo", SAMPLES, dataset)]
