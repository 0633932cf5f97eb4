"""The likelihood of examples under a model, and its parts.

    rate          R = E_x KL(q(z|x) || p(z))
    distortion    D = E_x E_q[-log p(x|z)]
    bound         L = -(R + D), a lower bound of E_x log p(x)
    log p(x)      E_x log 1/K Σ_k w_k,  w_k = p(x, z_k) / q(z_k|x),  z_k ~ q(z|x)

The last is importance sampling (Rezende, Mohamed & Wierstra 2014): a lower bound in expectation for every K, monotone
in K (Burda, Grosse & Salakhutdinov 2016), which converges to log p(x). Bound and estimate use the same samples. The
effective sample size, (Σ w)² / Σ w², measures how many of the K samples contribute; where it is small, the estimate is
an underestimate.

Missing values of a table are integrated out: log p(x) is that of the observed values. For rows with missing values the
proposal is a mixture of q and a Laplace approximation (`aevb.evaluation.laplace`).

A unit is active if the variance of its posterior mean over the data exceeds 0.01 (Burda et al.). The squared error is
that of the reconstruction, the mean of p(x|z) at the mean of q(z|x), summed over the event. An autoencoder, whose
posterior is a point, has only a distortion and a squared error.

Means are over the examples of a split, and a standard error is that of this mean: the standard deviation over the
examples, which includes the noise of the samples, over √N. The samples of an example depend only on the example and
the seed, so no number depends on batches or on the order of the data.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.evaluation.information import SATURATED, information
from aevb.evaluation.laplace import has_laplace, laplace_candidates
from aevb.evaluation.measures import Task
from aevb.evaluation.posterior_samples import Part, effective_sample_size, parts
from aevb.evaluation.scores import Score
from aevb.models.registry import register
from aevb.models.shapes import log_mean_exp, size
from aevb.models.vae import VAE, Trace
from aevb.rng import RNGStream, seeded

ACTIVE = 0.01
"""Variance of the posterior mean above which a unit is active."""
SMALL_SAMPLE_SIZE = 10.0
"""Effective sample size below which the weights of an example count as collapsed; K / 2, if that is less."""
COLLAPSED = 0.05
"""Share of examples with collapsed weights above which an estimate gets a note."""


class PerExample(NamedTuple):
    """The numbers of each example, in float64 on the CPU.

    Attributes:
        rate: in nats, ``(N,)``.
        distortion: in nats, ``(N,)``.
        log_px: in nats, ``(N,)``.
        effective_sample_size: of the importance weights, ``(N,)``.
        squared_error: of the reconstruction, ``(N,)``.
        mean: of q(z|x), all layers side by side, each layer given the means above it, ``(N, Z)``.
        rate_by_dimension: in nats, ``(N, Z)``; ``(N, 0)`` where the rate does not split over the dimensions.
    """

    rate: Tensor
    distortion: Tensor
    log_px: Tensor
    effective_sample_size: Tensor
    squared_error: Tensor
    mean: Tensor
    rate_by_dimension: Tensor

    @property
    def bound(self) -> Tensor:
        """The evidence lower bound in nats, ``(N,)``."""
        return -(self.rate + self.distortion)


@torch.no_grad()
def per_example(
    model: VAE,
    examples: Examples,
    n_importance_samples: int,
    *,
    seed: int = 0,
    memory: int = 2**30,
    equal: bool = False,
) -> PerExample:
    """Return the likelihood, its parts and the reconstruction error of every example.

    Args:
        model: on any device; it is put into evaluation mode.
        examples: N examples.
        n_importance_samples: K, samples of z per example.
        seed: the random seed.
        memory: approximate limit, in bytes, of the tensors that are alive at once.
        equal: whether equal examples get equal numbers. Their errors are then not independent, which the standard error
            of a mean does not account for.
    """
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        all_parts = parts(model, examples, n_importance_samples, seed=seed, memory=memory, equal=equal)
        measured = [_measure(part) for part in all_parts]
    return PerExample(*(torch.cat(values) for values in zip(*measured, strict=True)))


def _measure(part: Part) -> PerExample:
    """Return the numbers of a few examples, with all their samples."""
    n_samples = len(part.noise)
    rate = torch.zeros(len(part.batch), dtype=torch.float64)
    by_dimension = rate.unsqueeze(1).clone()
    log_likelihood, log_weight = [], []
    for trace in part.traces():
        share = len(trace.z) / n_samples
        rate += share * trace.rate.cpu().double()
        by_dimension = by_dimension + share * _rate_by_dimension(trace).cpu().double()
        log_likelihood.append(trace.log_likelihood.cpu().double())
        log_weight.append(trace.log_weight.cpu().double())
    log_w, means = _log_weights(part, torch.cat(log_weight)), part.model.latent_means(part.batch)
    error = (part.model.decode(means[-1], part.batch.condition).mean - part.batch.x).flatten(1).cpu().double()
    return PerExample(
        rate=rate,
        distortion=-torch.cat(log_likelihood).mean(0),
        log_px=log_mean_exp(log_w),
        effective_sample_size=effective_sample_size(log_w),
        squared_error=error.square().sum(1),
        mean=torch.cat(means, dim=-1).cpu().double(),
        rate_by_dimension=by_dimension,
    )


def _log_weights(part: Part, log_weights: Tensor) -> Tensor:
    """Replace log w ``(S, B)`` of rows with missing values by those of the mixture with a Laplace approximation."""
    incomplete = part.batch.x.flatten(1).isnan().any(1).nonzero().squeeze(1)
    if not len(incomplete) or not has_laplace(part):
        return log_weights
    return log_weights.index_copy(1, incomplete.cpu(), laplace_candidates(part.select(incomplete))[1])


def _rate_by_dimension(trace: Trace) -> Tensor:
    """Return the rate of each dimension ``(B, Z)``, or ``(B, 0)`` where it does not split."""
    terms = [layer.rate_by_dimension for layer in trace.layers]
    split = [term for term in terms if term is not None]
    return torch.cat(split, dim=-1) if len(split) == len(terms) else trace.rate.new_zeros(len(trace.rate), 0)


@register.measure(
    "likelihood",
    titles={
        "bound": "bound (ELBO)",
        "rate": "rate (KL)",
        "distortion": "distortion",
        "loss_without_constant": "loss without constant",
        "log_px": "log p(x)",
        "bits_per_dimension": "bits per dimension",
        "effective_samples": "effective samples",
        "mutual_information": "information I(x; z)",
        "marginal_kl": "KL(q(z) || p(z))",
        "active_units": "active units",
        "squared_error": "squared error",
    },
)
def likelihood(task: Task) -> list[Score]:
    """Bound, rate, distortion, log p(x) by importance sampling, information and active units."""
    model, effort = task.model, task.effort
    measured = per_example(model, task.examples, effort.n_importance_samples, seed=effort.seed, memory=effort.memory)
    scores = [task.mean_score("distortion", measured.distortion, "Monte Carlo", effort.n_importance_samples)]
    if model.posterior_has_density:
        scores += _density_scores(task, measured)
    if not task.dataset.columns:  # the errors of columns have no common unit
        scores.append(task.mean_score("squared_error", measured.squared_error, "reconstruction"))
    return scores


def _density_scores(task: Task, measured: PerExample) -> list[Score]:
    """Return the scores that need a posterior with a density."""
    trace, k = _first_trace(task), task.effort.n_importance_samples
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
    if k > 1:
        scores += [*_log_px_scores(task, measured), *_information_scores(task, measured.rate)]
    if len(task.examples) > 1:
        active = (measured.mean.var(0) > ACTIVE).sum().item()
        units = task.mean_score("active_units", measured.mean[:, 0], f"Var E_q[z] > {ACTIVE}")
        scores.append(replace(units, value=float(active), stderr=None))
    for number, values in enumerate(measured.rate_by_dimension.T, start=1):
        scores.append(task.mean_score(f"rate_{number}", values, f"{divergence}, dimension {number}", rate_samples))
    return scores


def _log_px_scores(task: Task, measured: PerExample) -> list[Score]:
    """Return log p(x) by importance sampling, and how far its samples can be trusted."""
    k = task.effort.n_importance_samples
    bits = -measured.log_px / (math.log(2) * size(task.examples.shape))
    note = underestimate_note(measured.effective_sample_size, k)
    return [
        task.mean_score("log_px", measured.log_px, "importance sampling", k, note),
        task.mean_score("bits_per_dimension", bits, "importance sampling", k, note),
        task.mean_score("effective_samples", measured.effective_sample_size, "(Σ w)² / Σ w²", k),
    ]


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


def collapsed_weights(effective: Tensor, n_importance_samples: int) -> tuple[float, float]:
    """Return the share of examples whose weights have collapsed, and the effective sample size that is the limit."""
    limit = min(SMALL_SAMPLE_SIZE, n_importance_samples / 2)
    return (effective < limit).double().mean().item(), limit


def underestimate_note(effective: Tensor, n_importance_samples: int) -> str | None:
    """Return a note for an estimate whose importance weights have collapsed; None if they have not."""
    share, limit = collapsed_weights(effective, n_importance_samples)
    if share <= COLLAPSED:
        return None
    return f"underestimate: the effective sample size is below {limit:g} for {100 * share:.0f} % of the examples"
