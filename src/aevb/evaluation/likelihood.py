"""The likelihood of examples under a model, and its parts: the scores of every run.

    rate          R = E_x KL(q(z|x) || p(z))
    distortion    D = E_x E_q[-log p(x|z)]
    bound         L = -(R + D), a lower bound of E_x log p(x)
    log p(x)      E_x log p(x), by the best estimator that the model and the size of the data allow:
                  quadrature over z, exact, for one layer of one or two latent dimensions;
                  otherwise importance sampling, with as many samples as an example needs, and where its weights are
                  unreliable, annealing on a few examples beside it. If the decoder is expensive, only M of the N
                  examples are estimated with so many samples, and the others with few. The mean is then that of all
                  rough estimates r, corrected where both exist:  1/N Σ_n r_n + 1/M Σ_m (log p(x_m) - r_m).

A unit is active if the variance of its posterior mean over the data exceeds 0.01 (Burda, Grosse & Salakhutdinov 2016).
The squared error is that of the reconstruction, the mean of p(x|z) at the mean of q(z|x), summed over the event. An
autoencoder, whose posterior is a point, has only a distortion and a squared error.

Means are over the examples of a split, and a standard error is that of this mean: the standard deviation over the
examples, which includes the noise of the samples, over √N.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples, evenly_spaced
from aevb.errors import BadInput
from aevb.evaluation import annealing
from aevb.evaluation.cost import QUICK, decoder_operations
from aevb.evaluation.importance_sampling import (
    FIRST_SAMPLES,
    PerExample,
    chosen_samples,
    per_example,
    underestimate_note,
)
from aevb.evaluation.information import SATURATED, information
from aevb.evaluation.measures import Task
from aevb.evaluation.quadrature import quick_quadrature
from aevb.evaluation.scores import Estimate, Score
from aevb.models.registry import register
from aevb.models.shapes import size
from aevb.models.vae import VAE, Trace
from aevb.rng import RNGStream, seeded

ACTIVE = 0.01
"""Variance of the posterior mean above which a unit is active."""
FEWEST, MOST, IN_ALL = 1000, 10_000, 10_000_000
"""Limits on the number of samples. All examples together have at most `IN_ALL`, or fewer if they are not quick; an
example has at most an equal share of them, but not more than `MOST`. If the share is less than `FEWEST`, fewer examples
have `FEWEST` each."""
FEWEST_EXAMPLES = 200
"""The smallest number of examples that have as many samples as they need, however expensive the decoder is."""
FEWEST_ANNEALED, ANNEALED = 8, 32
"""Smallest and largest number of examples on which annealing is compared with importance sampling."""
ANNEALING_COST = 6 * annealing.TEMPERATURES * annealing.CHAINS * annealing.LEAPFROGS
"""Decoder passes of the annealing of an example: forward and backward, for the step sizes and the estimate."""


class LogPx(NamedTuple):
    """Estimates of log p(x).

    Attributes:
        values: in nats, ``(M,)``.
        estimator: its name.
        n_importance_samples: K; the largest, where it was chosen for each example; None for quadrature.
        samples: the numbers of the importance samples; None for quadrature.
        rough: rough estimates of all N examples, ``(N,)``, if M < N; otherwise None.
    """

    values: Tensor
    estimator: str
    n_importance_samples: int | None
    samples: PerExample | None
    rough: Tensor | None = None


@register.measure(
    "likelihood",
    titles={
        "bound": "bound (ELBO)",
        "rate": "rate (KL)",
        "distortion": "distortion",
        "loss_without_constant": "loss without constant",
        "log_px": "log p(x)",
        "bits_per_dimension": "bits per dimension",
        "annealing_gain": "log p(x), gain by annealing",
        "effective_samples": "effective samples",
        "unreliable_weights": "share of unreliable weights",
        "mutual_information": "information I(x; z)",
        "marginal_kl": "KL(q(z) || p(z))",
        "active_units": "active units",
        "squared_error": "squared error",
    },
)
def likelihood(task: Task) -> list[Score]:
    """Bound, rate, distortion, log p(x), information and active units."""
    measured, log_px = _measure(task)
    scores = [task.mean_score("distortion", measured.distortion, "Monte Carlo", _samples(measured))]
    if task.model.posterior_has_density:
        scores += _density_scores(task, measured, log_px)
    if not task.dataset.columns:  # the errors of columns have no common unit
        scores.append(task.mean_score("squared_error", measured.squared_error, "reconstruction"))
    return scores


def _measure(task: Task) -> tuple[PerExample, LogPx | None]:
    """Return the numbers of the examples, and log p(x) where it exists and is more than the bound."""
    model, effort, k = task.model, task.effort, task.effort.n_importance_samples
    if not k and model.posterior_has_density:
        return best_log_px(model, task.examples, seed=effort.seed, memory=effort.memory)
    measured = per_example(model, task.examples, k or FIRST_SAMPLES, seed=effort.seed, memory=effort.memory)
    return measured, None if k == 1 else LogPx(measured.log_px, "importance sampling", k, measured)


def best_log_px(model: VAE, examples: Examples, *, seed: int = 0, memory: int = 2**30) -> tuple[PerExample, LogPx]:
    """Return the numbers of the examples with at most `FIRST_SAMPLES` samples, and the best estimate of log p(x).

    Args:
        model: its posterior has a density.
        examples: N examples.
        seed: the random seed.
        memory: approximate limit, in bytes, of the tensors that are alive at once.

    Returns:
        The numbers of the examples; and log p(x), of evenly spaced examples if the decoder is expensive.
    """
    exact = quick_quadrature(model, examples)
    if exact is not None:
        first = per_example(model, examples, FIRST_SAMPLES, seed=seed, memory=memory)
        return first, LogPx(exact, "quadrature over z", None, None)
    in_all = int(min(IN_ALL, QUICK / max(1, decoder_operations(model, examples))))
    total = len(examples)
    count = min(total, max(FEWEST_EXAMPLES, in_all // FEWEST))
    most = min(MOST, max(FEWEST, in_all // count))
    name = "importance sampling, at most K samples of an example"
    if count == total:
        first, chosen = chosen_samples(model, examples, most, seed=seed, memory=memory)
        return first, LogPx(chosen.log_px, name, most, chosen)
    few = min(FIRST_SAMPLES, max(1, in_all // total))
    rough = per_example(model, examples, few, seed=seed, memory=memory, stream=RNGStream.FIRST_SAMPLES)
    some = examples[evenly_spaced(total, count)]
    _, chosen = chosen_samples(model, some, most, seed=seed, memory=memory)
    name = f"importance sampling, at most K samples of {count:,} examples, {few} of the others"
    return rough, LogPx(chosen.log_px, name, most, chosen, rough.log_px)


def _samples(measured: PerExample) -> int:
    """Return K, which is the same for all examples."""
    return int(measured.n_samples[0])


def _density_scores(task: Task, measured: PerExample, log_px: LogPx | None) -> list[Score]:
    """Return the scores that need a posterior with a density."""
    trace, k = _first_trace(task), _samples(measured)
    above = ", Monte Carlo over the layers above" if len(trace.layers) > 1 else ""
    divergence = "KL by Monte Carlo" if trace.divergence is None else f"KL in closed form{above}"
    rate_samples = k if trace.divergence is None or len(trace.layers) > 1 else None
    scores = [
        task.mean_score("rate", measured.rate, divergence, rate_samples),
        task.mean_score("bound", measured.bound, f"ELBO, {divergence}", k),
    ]
    if constant := task.model.likelihood.constant:
        loss = measured.distortion + measured.rate - constant
        scores.append(task.mean_score("loss_without_constant", loss, f"error²/2c by Monte Carlo, {divergence}", k))
    if log_px:
        scores += [*_log_px_scores(task, log_px), *_information_scores(task, measured.rate)]
    if len(task.examples) > 1:
        scores += _active_units(task, measured.mean, [layer.z.shape[-1] for layer in trace.layers])
    for number, values in enumerate(measured.rate_by_dimension.T, start=1):
        scores.append(task.mean_score(f"rate_{number}", values, f"{divergence}, dimension {number}", rate_samples))
    return scores


def _active_units(task: Task, means: Tensor, widths: Sequence[int]) -> list[Score]:
    """Return the number of active units, and of several layers the number in each, from the data up.

    Args:
        task: of the measure.
        means: the posterior means of all layers from the top down, ``(N, Z)``.
        widths: the latent dimensions of the layers, from the top down.
    """
    active = means.var(0) > ACTIVE
    total = task.mean_score("active_units", means[:, 0], f"Var E_q[z] > {ACTIVE}")
    by_layer = [int(units.sum()) for units in active.split(list(widths))][::-1] if len(widths) > 1 else []
    counts = {"active_units": int(active.sum())} | {f"active_units_{n}": units for n, units in enumerate(by_layer, 1)}
    return [replace(total, name=name, value=float(units), stderr=None) for name, units in counts.items()]


def _log_px_scores(task: Task, log_px: LogPx) -> list[Score]:
    """Return log p(x), and how far its samples can be trusted."""
    k, samples = log_px.n_importance_samples, log_px.samples
    mean, bit = _log_px_mean(task, log_px), math.log(2) * size(task.examples.shape)
    bits = replace(mean, name="bits_per_dimension", value=-mean.value / bit, stderr=mean.stderr and mean.stderr / bit)
    scores = [mean, bits]
    if samples:
        rule = "few effective samples, or a heavy tail and a large standard error"
        scores += [
            task.mean_score("effective_samples", samples.effective_sample_size, "(Σ w)² / Σ w²", k),
            task.mean_score("unreliable_weights", samples.unreliable.double(), rule, k),
        ]
    if mean.note and task.effort.n_importance_samples is None:
        scores += _annealing_gain(task, log_px.values)
    return scores


def _log_px_mean(task: Task, log_px: LogPx) -> Score:
    """Return the mean of log p(x)."""
    k, note = log_px.n_importance_samples, underestimate_note(log_px.samples) if log_px.samples else None
    score = task.mean_score("log_px", log_px.values, log_px.estimator, k, note)
    if log_px.rough is None:
        return score
    value, stderr = corrected_mean(log_px.rough, log_px.values)
    return replace(score, value=value, stderr=stderr, examples=len(log_px.rough))


def corrected_mean(rough: Tensor, values: Tensor) -> Estimate:
    """Return the mean of rough values, corrected by good values of evenly spaced examples, with its standard error.

    For the M differences d, the variance of 1/N Σ r + 1/M Σ d is Var r / N + Var d / M + 2 Cov(r, d) / N, because the M
    examples are among the N.

    Args:
        rough: r, ``(N,)``.
        values: r + d of `evenly_spaced` examples, ``(M,)``.
    """
    total, count = len(rough), len(values)
    near = rough[evenly_spaced(total, count)]
    difference = values - near
    covariance = torch.cov(torch.stack([near, difference]))[0, 1]
    variance = (rough.var() + 2 * covariance) / total + difference.var() / count
    return Estimate((rough.mean() + difference.mean()).item(), variance.clamp_min(0).sqrt().item())


def _annealing_gain(task: Task, log_px: Tensor) -> list[Score]:
    """Return by how much annealing exceeds estimates of log p(x) ``(M,)``, on a few of the examples, if it is quick."""
    cost = ANNEALING_COST * max(1, decoder_operations(task.model, task.examples))
    few = min(ANNEALED, len(log_px), int(4 * QUICK / cost))
    if few < FEWEST_ANNEALED:
        return []
    index = evenly_spaced(len(log_px), few)
    examples = task.examples[evenly_spaced(len(task.examples), len(log_px))[index]]
    try:
        annealed = annealing.annealed(task.model, examples, seed=task.effort.seed, memory=task.effort.memory)
    except BadInput:  # the posterior does not map values to noise
        return []
    return [task.mean_score("annealing_gain", annealed.log_px - log_px[index], annealing.ESTIMATOR)]


@torch.no_grad()
def _first_trace(task: Task) -> Trace:
    with seeded(0, RNGStream.EVALUATION):
        return task.model.trace(task.examples.batch(slice(1)).to(task.device))


def _information_scores(task: Task, rate: Tensor) -> list[Score]:
    """Return I(x; z) and KL(q(z) || p(z)), which add up to the rate."""
    count, effort = len(task.examples), task.effort
    selected, mutual = information(task.model, task.examples, seed=effort.seed, memory=effort.memory)
    limit = math.log(count)
    note = "saturated: close to its upper limit, log N" if mutual.mean() > SATURATED * limit else None
    estimator = f"aggregate posterior of N = {count} examples, log N = {limit:.2f}"
    mutual_information = task.mean_score("mutual_information", mutual, estimator, 1, note)
    marginal_kl = task.mean_score("marginal_kl", rate[selected] - mutual, estimator, 1, note)
    rest = rate.mean().item() - mutual_information.value
    return [replace(mutual_information, examples=count), replace(marginal_kl, value=rest, examples=count)]
