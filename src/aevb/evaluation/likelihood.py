"""The likelihood of examples under a model, and what it is made of.

    rate          R = E_x KL(q(z|x) || p(z))
    distortion    D = E_x E_q[-log p(x|z)]
    bound         L = -(R + D), a lower bound of E_x log p(x)
    log p(x)      E_x log 1/K Σ_k w_k,  w_k = p(x, z_k) / q(z_k|x),  z_k ~ q(z|x)

The last is importance sampling (Rezende, Mohamed & Wierstra 2014): a lower bound in expectation for every K, monotone
in K (Burda, Grosse & Salakhutdinov 2016), and log p(x) itself as K grows. Bound and estimate use the same draws. The
effective sample size, (Σ w)² / Σ w², says how many of the K draws count; where it is small the estimate is too low.

Missing values of a table are integrated out: its numbers are those of the values that are there. Then q has help in the
estimate of log p(x) (`aevb.evaluation.laplace`).

A unit is active if the variance of its posterior mean over the data exceeds 0.01 (Burda et al.). The squared error is
that of the reconstruction, the mean of p(x|z) at the mean of q(z|x), summed over the event. An autoencoder, whose
posterior is a point, has a distortion and a squared error only.

Means are over the examples of a split and a standard error is that of this mean: the deviation of the examples'
numbers, which includes the noise of the draws, over √N. The draws of an example depend on it and on the seed alone, so
that no number depends on the batches or on the order of the data.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.evaluation.information import SATURATED, information
from aevb.evaluation.laplace import candidates, helped
from aevb.evaluation.posterior_samples import Part, effective, parts
from aevb.evaluation.scores import Score, Split, mean_score
from aevb.models.shapes import log_mean_exp, size
from aevb.models.vae import VAE, Trace
from aevb.rng import RNGStream, seeded

ACTIVE = 0.01
FEW = 10.0
"""Effective draws below which the weights of an example count as collapsed; half of the draws, if that is less."""
COLLAPSED = 0.05
"""Share of such examples from which an estimate is flagged."""


class PerExample(NamedTuple):
    """Of each example, in float64 on the CPU.

    Attributes:
        rate: nats, ``(N,)``.
        distortion: nats, ``(N,)``.
        log_px: nats, ``(N,)``.
        effective: effective sample size, ``(N,)``.
        squared_error: of the reconstruction, ``(N,)``.
        mean: of q(z|x), all layers side by side, below the top given the means above, ``(N, Z)``.
        rate_by_dimension: nats, ``(N, Z)``; no dimensions where the rate does not split over them.
    """

    rate: Tensor
    distortion: Tensor
    log_px: Tensor
    effective: Tensor
    squared_error: Tensor
    mean: Tensor
    rate_by_dimension: Tensor


@torch.no_grad()
def per_example(model: VAE, examples: Examples, samples: int, *, seed: int = 0, memory: int = 2**30) -> PerExample:
    """Measure every example by itself.

    Args:
        model: on any device; it is left in evaluation mode.
        examples: N of them.
        samples: K, draws of z for each.
        seed: of the draws.
        memory: about how many bytes the tensors may take that are alive at once.
    """
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        measured = [_measure(part) for part in parts(model, examples, samples, seed=seed, memory=memory)]
    return PerExample(*(torch.cat(values) for values in zip(*measured, strict=True)))


def _measure(part: Part) -> PerExample:
    """Examples ``(B, *event)`` with all their draws."""
    samples = len(part.noise)
    rate = torch.zeros(len(part.batch), dtype=torch.float64)
    by_dimension = rate.unsqueeze(1).clone()
    log_likelihood, log_weight = [], []
    for trace in part.traces():
        share = len(trace.z) / samples
        rate += share * trace.rate.cpu().double()
        by_dimension = by_dimension + share * _rate_by_dimension(trace).cpu().double()
        log_likelihood.append(trace.log_likelihood.cpu().double())
        log_weight.append(trace.log_weight.cpu().double())
    log_w, codes = _log_weights(part, torch.cat(log_weight)), part.model.latent_means(part.batch)
    error = (part.model.decode(codes[-1], part.batch.condition).mean - part.batch.x).flatten(1).cpu().double()
    return PerExample(
        rate=rate,
        distortion=-torch.cat(log_likelihood).mean(0),
        log_px=log_mean_exp(log_w),
        effective=effective(log_w),
        squared_error=error.square().sum(1),
        mean=torch.cat(codes, dim=-1).cpu().double(),
        rate_by_dimension=by_dimension,
    )


def _log_weights(part: Part, by_encoder: Tensor) -> Tensor:
    """log w, ``(S, B)``: of rows with gaps, which the encoder may misjudge, of draws with Laplace's help."""
    gaps = part.batch.x.flatten(1).isnan().any(1).nonzero().squeeze(1)
    if not len(gaps) or not helped(part):
        return by_encoder
    return by_encoder.index_copy(1, gaps.cpu(), candidates(part.select(gaps))[1])


def _rate_by_dimension(trace: Trace) -> Tensor:
    """``(B, Z)``, or ``(B, 0)`` where it is not known."""
    terms = [layer.rate_by_dimension for layer in trace.layers]
    known = [term for term in terms if term is not None]
    return torch.cat(known, dim=-1) if len(known) == len(terms) else trace.rate.new_zeros(len(trace.rate), 0)


def evaluate(
    model: VAE, dataset: Dataset, split: Split = "test", *, samples: int = 1000, seed: int = 0, memory: int = 2**30
) -> list[Score]:
    """Measure a model on one split.

    Args:
        model: on any device; it is left in evaluation mode.
        dataset: whose split is used.
        split: "train", "valid" or "test".
        samples: K, draws of z for each example; log p(x) is left out with one, which estimates no more than the bound.
        seed: of the draws.
        memory: about how many bytes the tensors may take that are alive at once.

    Returns:
        The scores, in nats per example where they do not say otherwise.

    Raises:
        BadInput: a number is not finite, which means that an example is impossible under the model.
    """
    with seeded(seed, RNGStream.EVALUATION):
        examples: Examples = getattr(dataset, split).materialize()
    found = per_example(model, examples, samples, seed=seed, memory=memory)
    trace = _first_trace(model, examples)

    def score(name: str, values: Tensor, estimator: str, draws: int | None = samples, note: str | None = None) -> Score:
        return mean_score(name, values.numpy(), split, estimator, draws, dataset, note)

    scores = [score("distortion", found.distortion, "Monte Carlo")]
    if model.posterior_has_density:
        above = ", Monte Carlo over the layers above" if len(trace.layers) > 1 else ""
        divergence = "KL by Monte Carlo" if trace.divergence is None else f"KL in closed form{above}"
        drawn = trace.divergence is None or len(trace.layers) > 1
        scores.append(score("rate", found.rate, divergence, samples if drawn else None))
        scores.append(score("bound", -(found.rate + found.distortion), f"ELBO, {divergence}"))
        if constant := model.likelihood.constant:
            loss = found.distortion + found.rate - constant
            scores.append(score("loss_without_constant", loss, f"error²/2c by Monte Carlo, {divergence}"))
        if samples > 1:
            bits = -found.log_px / (math.log(2) * size(examples.shape))
            sampling, note = "importance sampling", collapse(found.effective, samples)
            scores.append(score("log_px", found.log_px, sampling, note=note))
            scores.append(score("bits_per_dimension", bits, sampling, note=note))
            scores.append(score("effective_samples", found.effective, "(Σ w)² / Σ w²"))
            scores += _information(model, examples, found.rate, seed, memory, score)
        if len(examples) > 1:
            active = (found.mean.var(0) > ACTIVE).sum().item()
            units = score("active_units", found.mean[:, 0], f"Var E_q[z] > {ACTIVE}", None)
            scores.append(replace(units, value=float(active), stderr=None))
        for number, values in enumerate(found.rate_by_dimension.T, start=1):
            scores.append(
                score(f"rate_{number}", values, f"{divergence}, dimension {number}", samples if drawn else None)
            )
    if not dataset.columns:  # whose errors have no unit in common
        scores.append(score("squared_error", found.squared_error, "reconstruction", None))
    return scores


@torch.no_grad()
def _first_trace(model: VAE, examples: Examples) -> Trace:
    with seeded(0, RNGStream.EVALUATION):
        return model.trace(examples.batch(slice(1)).to(model.device))


def _information(
    model: VAE, examples: Examples, rate: Tensor, seed: int, memory: int, score: Callable[..., Score]
) -> tuple[Score, Score]:
    """I(x; z) and KL(q(z) || p(z)), which add up to the rate."""
    which, mutual = information(model, examples, seed=seed, memory=memory)
    most = math.log(len(examples))
    note = "saturated: close to log N, the most it can be" if mutual.mean() > SATURATED * most else None
    estimator = f"aggregate posterior of N = {len(examples)} examples, log N = {most:.2f}"
    first = score("mutual_information", mutual, estimator, 1, note)
    second = score("marginal_kl", rate[which] - mutual, estimator, 1, note)
    left = rate.mean().item() - first.value
    return replace(first, examples=len(examples)), replace(second, value=left, examples=len(examples))


def collapsed(effective: Tensor, samples: int) -> tuple[float, float]:
    """The share of examples whose weights have collapsed, and to fewer than how many of so many draws."""
    few = min(FEW, samples / 2)
    return (effective < few).double().mean().item(), few


def collapse(effective: Tensor, samples: int) -> str | None:
    """What to know of an estimate whose importance weights have collapsed."""
    share, few = collapsed(effective, samples)
    if share <= COLLAPSED:
        return None
    return f"too low: the weights of {100 * share:.0f} % of the examples have collapsed to fewer than {few:g} draws"
