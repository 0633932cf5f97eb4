"""What a trained model is worth, on examples it has not seen.

    rate          R = E_x KL(q(z|x) || p(z))
    distortion    D = E_x E_q[-log p(x|z)]
    bound         L = -(R + D), a lower bound of E_x log p(x)
    log p(x)      E_x log 1/K Σ_k p(x, z_k) / q(z_k|x),  z_k ~ q(z|x)

The last is importance sampling (Rezende, Mohamed & Wierstra 2014): a lower bound in expectation for every K, monotone
in K (Burda, Grosse & Salakhutdinov 2016), and log p(x) itself as K grows. Bound and estimate use the same draws. A unit
is active if the variance of its posterior mean over the data exceeds 0.01 (Burda et al.). The squared error is that of
the reconstruction, the mean of p(x|z) at the mean of q(z|x), summed over the event. An autoencoder, whose posterior is
a point, has a distortion and a squared error only.

Means are over the examples of a split and a standard error is that of this mean: the deviation of the examples'
numbers, which includes the noise of the draws, over √N. Objectives are not used here: a model is judged alike however
it was trained.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aevb.data.dataset import Dataset, Examples
from aevb.distributions import Point
from aevb.evaluation.scores import Score, Split, mean_score
from aevb.model import VAE
from aevb.randomness import Purpose, seeded

ACTIVE = 0.01


class _Measured(NamedTuple):
    """Per example: nats and a squared error, ``(B,)``, and the posterior means of all layers, ``(B, Z)``."""

    rate: Tensor
    distortion: Tensor
    log_px: Tensor
    squared_error: Tensor
    mean: Tensor


@torch.no_grad()
def evaluate(
    model: VAE, dataset: Dataset, split: Split = "test", *, samples: int = 1000, seed: int = 0, memory: int = 2**27
) -> list[Score]:
    """Measure a model on one split.

    Args:
        model: on any device; it is left in evaluation mode.
        dataset: whose split is used.
        split: "train", "valid" or "test".
        samples: K, draws of z for each example; log p(x) is left out with one, which estimates no more than the bound.
        seed: of the draws.
        memory: about how many bytes the tensors may take that are alive at once; examples and draws are cut to fit.

    Returns:
        The scores, in nats per example.

    Raises:
        BadInput: a number is not finite, which means that an example is impossible under the model.
    """
    model.eval()
    examples: Examples = getattr(dataset, split)
    device = next(model.parameters()).device
    with seeded(seed, Purpose.EVALUATION, device=device):
        first = examples.batch(slice(1)).to(device)
        trace = model.trace(first)
        exact = trace.divergence is not None
        bounded = not any(isinstance(layer.q, Point) for layer in trace.layers)
        decodings = max(1, memory // _bytes_of_a_decoding(model, first))
        size = min(100, decodings)
        block = max(1, decodings // size)
        measured = [_measure(model, x.to(device), samples, block) for x in examples.batches(size)]
    rate, distortion, log_px, squared_error, mean = (torch.cat(parts) for parts in zip(*measured, strict=True))

    def score(name: str, values: Tensor, estimator: str, draws: int | None = samples) -> Score:
        return mean_score(name, values.numpy(), split, estimator, draws, dataset)

    scores = [score("distortion", distortion, "Monte Carlo")]
    if bounded:
        divergence = "KL in closed form" if exact else "KL by Monte Carlo"
        scores += [
            score("bound", -(rate + distortion), f"ELBO, {divergence}"),
            score("rate", rate, divergence, None if exact else samples),
        ]
        if constant := model.likelihood.constant:
            loss = distortion + rate - constant
            scores.append(score("loss_without_constant", loss, f"error²/2c by Monte Carlo, {divergence}"))
        if samples > 1:
            scores.append(score("log_px", log_px, "importance sampling"))
    scores.append(score("squared_error", squared_error, "reconstruction", None))
    if bounded and len(mean) > 1:
        active = float((mean.var(0) > ACTIVE).sum())
        scores.append(Score("active_units", active, None, split, f"Var E_q[z] > {ACTIVE}", None, dataset.binarize))
    return scores


def _bytes_of_a_decoding(model: VAE, x: Tensor) -> int:
    """What one decoded point takes: about eight tensors of the size of the largest that any layer gives."""
    largest = x.numel()

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal largest
        largest = max(largest, output.numel() if isinstance(output, Tensor) else 0)

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    model.trace(x)
    for hook in hooks:
        hook.remove()
    return 8 * x.element_size() * largest


def _measure(model: VAE, x: Tensor, samples: int, block: int) -> _Measured:
    """Trace the draws in blocks, and add up in float64."""
    rate = torch.zeros(len(x), dtype=torch.float64)
    mean: Tensor | float = 0.0
    features, log_likelihood, log_weight = model.ascend(x), [], []
    for start in range(0, samples, block):
        trace = model.trace(x, min(block, samples - start), features)
        share = len(trace.z) / samples
        rate += share * trace.rate.cpu().double()
        mean += share * trace.mean.cpu()
        log_likelihood.append(trace.log_likelihood.cpu().double())
        log_weight.append(trace.log_weight.cpu().double())
    distortion = -torch.cat(log_likelihood).mean(0)
    log_px = torch.cat(log_weight).logsumexp(0) - math.log(samples)
    squared_error = (model.reconstruct(x) - x).flatten(1).cpu().double().square().sum(1)
    return _Measured(rate, distortion, log_px, squared_error, torch.as_tensor(mean))
