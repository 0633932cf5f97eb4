"""log p(x) by importance sampling, with the parts of the bound from the same samples.

    rate          R = KL(q(z|x) || p(z))
    distortion    D = E_q[-log p(x|z)]
    bound         L = -(R + D), a lower bound of log p(x)
    log p(x)      log 1/K Σ_k w_k,  w_k = p(x, z_k) / q(z_k|x),  z_k ~ q(z|x)

The last (Rezende, Mohamed & Wierstra 2014) is a lower bound in expectation for every K, monotone in K (Burda, Grosse &
Salakhutdinov 2016), which converges to log p(x). Two numbers tell whether it has: the effective sample size,
(Σ w)² / Σ w², and the tail index of the largest weights (`aevb.evaluation.tail_index`).

K may be chosen for each example, so that the standard error of its log p(x) is `STDERR`, from first samples that are
not used for the estimate: with a K that does not depend on its samples it stays a lower bound in expectation. Its bias,
half of the squared standard error, is then 0.005 nats.

Missing values of a table are integrated out: log p(x) is that of the observed values. For rows with missing values the
proposal is a mixture of q and a Laplace approximation (`aevb.evaluation.laplace`).

The samples of an example depend only on the example and the seed, so no number depends on batches or on the order of
the data.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.evaluation.laplace import has_laplace, laplace_candidates
from aevb.evaluation.posterior_samples import Part, effective_sample_size, parts
from aevb.evaluation.tail_index import reliable_tail_index, tail_index
from aevb.models.shapes import log_mean_exp
from aevb.models.vae import VAE, Trace
from aevb.rng import RNGStream, seeded

SMALL_SAMPLE_SIZE = 10.0
"""Effective sample size below which the weights of an example are unreliable; K / 2, if that is less."""
UNRELIABLE = 0.05
"""Share of examples with unreliable weights above which an estimate is called an underestimate."""
FIRST_SAMPLES = 100
"""Samples from which the number of samples of an example is chosen; also the smallest number."""
UNRELIABLE_SAMPLES = 1000
"""The smallest number of samples of an example whose first weights are unreliable."""
STDERR, LARGE_STDERR = 0.1, 0.15
"""Standard error of log p(x) of an example, in nats, for which the number of samples is chosen, and above which weights
with a heavy tail are unreliable."""


class PerExample(NamedTuple):
    """The numbers of each example, in float64 on the CPU.

    Attributes:
        rate: in nats, ``(N,)``.
        distortion: in nats, ``(N,)``.
        log_px: in nats, ``(N,)``.
        effective_sample_size: of the importance weights, ``(N,)``.
        tail_index: Pareto k of the largest importance weights, ``(N,)``; NaN for few samples.
        n_samples: K, ``(N,)``.
        squared_error: of the reconstruction, ``(N,)``.
        mean: of q(z|x), all layers side by side, each layer given the means above it, ``(N, Z)``.
        rate_by_dimension: in nats, ``(N, Z)``; ``(N, 0)`` where the rate does not split over the dimensions.
    """

    rate: Tensor
    distortion: Tensor
    log_px: Tensor
    effective_sample_size: Tensor
    tail_index: Tensor
    n_samples: Tensor
    squared_error: Tensor
    mean: Tensor
    rate_by_dimension: Tensor

    @property
    def bound(self) -> Tensor:
        """The evidence lower bound in nats, ``(N,)``."""
        return -(self.rate + self.distortion)

    @property
    def unreliable(self) -> Tensor:
        """Whether the weights of each example are unreliable, ``(N,)``.

        They have few effective samples, or a heavy tail and a large standard error.
        """
        few = self.effective_sample_size < self.n_samples.div(2).clamp_max(SMALL_SAMPLE_SIZE)
        heavy = self.tail_index > reliable_tail_index(self.n_samples)
        return few | (heavy & (self.log_px_stderr > LARGE_STDERR))

    @property
    def log_px_stderr(self) -> Tensor:
        """The standard error of log p(x) of each example by its samples, in nats, ``(N,)``.

        √((1/e - 1) / K) with the efficiency e = (E w)² / E w², for large K.
        """
        return (1 / self.effective_sample_size - 1 / self.n_samples).clamp_min(0).sqrt()


@torch.no_grad()
def per_example(
    model: VAE,
    examples: Examples,
    n_importance_samples: int,
    *,
    seed: int = 0,
    memory: int = 2**30,
    equal: bool = False,
    stream: RNGStream = RNGStream.EVALUATION,
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
        stream: the purpose of the random numbers.
    """
    with seeded(seed, stream, device=model.device):
        all_parts = parts(model, examples, n_importance_samples, seed=seed, memory=memory, equal=equal, stream=stream)
        measured = [_measure(part) for part in all_parts]
    return PerExample(*(torch.cat(values) for values in zip(*measured, strict=True)))


@torch.no_grad()
def chosen_samples(
    model: VAE, examples: Examples, most: int, *, seed: int = 0, memory: int = 2**30, equal: bool = False
) -> tuple[PerExample, PerExample]:
    """Return the numbers of every example with `FIRST_SAMPLES` samples, and with as many as its log p(x) needs.

    Args:
        model, examples, seed, memory, equal: as in `per_example`.
        most: the largest number of samples of an example.
    """
    first = per_example(
        model, examples, FIRST_SAMPLES, seed=seed, memory=memory, equal=equal, stream=RNGStream.FIRST_SAMPLES
    )
    counts = needed_samples(first, most)
    second = [torch.empty_like(values) for values in first]
    for count in counts.unique().tolist():
        index = (counts == count).nonzero().squeeze(1)
        measured = per_example(model, examples[index], count, seed=seed, memory=memory, equal=equal)
        for values, some in zip(second, measured, strict=True):
            values[index] = some
    return first, PerExample(*second)


def needed_samples(first: PerExample, most: int) -> Tensor:
    """Return K for each example, `FIRST_SAMPLES` times a power of two or `most`, ``(N,)``.

    Unreliable weights hide how large the standard error is.

    Args:
        first: the numbers of the first samples.
        most: the largest K.
    """
    needed = first.n_samples * (first.log_px_stderr / STDERR).square()
    needed = torch.where(first.unreliable, needed.clamp_min(UNRELIABLE_SAMPLES), needed)
    doublings = (needed / FIRST_SAMPLES).clamp_min(1).log2().ceil()
    return (FIRST_SAMPLES * 2**doublings).clamp_max(most).long()


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
    reconstruction = part.model.decode(part.model.decoder_input(means), part.batch.condition).mean
    error = (reconstruction - part.batch.x).flatten(1).cpu().double()
    return PerExample(
        rate=rate,
        distortion=-torch.cat(log_likelihood).mean(0),
        log_px=log_mean_exp(log_w),
        effective_sample_size=effective_sample_size(log_w),
        tail_index=tail_index(log_w),
        n_samples=torch.full((len(part.batch),), float(n_samples), dtype=torch.float64),
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


def underestimate_note(measured: PerExample) -> str | None:
    """Return a note for an estimate with unreliable importance weights; None if they are reliable."""
    share = measured.unreliable.double().mean().item()
    if share <= UNRELIABLE:
        return None
    return f"underestimate: the importance weights of {100 * share:.0f} % of the examples are unreliable"
