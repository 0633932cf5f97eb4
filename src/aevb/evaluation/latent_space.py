"""The latent space of a trained model in numbers: is it continuous, structured, without holes, and meaningful?

Continuous: a walk along the straight line between the codes c(x) of two examples, decoded, in T steps

    x̂_t = E p(x | (1 - t/T) c(x_0) + t/T c(x_T)),    step_t = |x̂_t - x̂_{t-1}|
    path ratio        E Σ_t step_t / E |x̂_T - x̂_0|,  the length of the walk over the straight line through the data
    largest step      E max_t step_t / E 1/T Σ_t step_t
    stretch           the largest singular value of ∂ E p(x | z) / ∂z at a code: the decoder's local Lipschitz constant

Lengths are those of Arvanitidis, Hansen & Hauberg 2018, in data units. A cross-fade has ratio and largest step 1: a
ratio of 1 is no merit, one that is large means detours, and a largest step towards T means jumps. Means are over pairs
before the division, so that two examples that look alike weigh little.

Structured: what the codes of labelled examples tell about labels that were held out, to k nearest neighbours and to
logistic regression (a linear probe), and how far the classes lie apart (silhouette: Rousseeuw 1987).

Holes: draws of p(z) at which the aggregate posterior q(z) = 1/N Σ_n q(z|x_n) has almost no mass (Rezende & Viola 2018):
less than at all but 1 % of its own draws. A draw z ~ q(z|x_n) is judged without x_n, as is the draw of p(z) beside it:
where q(z) = p(z) for the population, the two are drawn and judged alike, and the share of holes is 1 % in any dimension
and for any N. So it is where the posterior has collapsed onto the prior: nothing is learned, and nothing is missing.

Meaningful: what a classifier of the data sees in samples: how sure it is, how evenly it finds the classes, and

    imbalance         ½ Σ_c |p̄_c - p̄'_c|,  p̄ and p̄' the mean prediction for samples and for data
    entropy           -Σ_c p̄_c log p̄_c

Examples are taken for independent draws of their population, and a standard error is that of the mean over them, to
first order. Models are left in evaluation mode.
"""

import math
import warnings
from typing import NamedTuple

import torch
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

PAIRS = 200
STEPS = 64
NEIGHBOURS = 5
SILHOUETTES = 5000
DRAWS = 999
LOWEST = 10  # of 999: a further draw of the same density lies below the tenth lowest with probability 10 / 1000
BOOTSTRAPS = 200
BATCH = 100
BLOCK = 2**22  # numbers in a tensor
MEBIBYTES = 128  # for distances between codes
_CONTINUITY, _STRUCTURE, _HOLES = 1, 2, 3  # streams of random numbers, apart from that of `evaluate`


class Estimate(NamedTuple):
    """A number and its standard error, which is None where it cannot be known."""

    value: float
    stderr: float | None


class Continuity(NamedTuple):
    """How evenly the decoder moves.

    Attributes:
        path_ratio: decoded walk over straight line, at least 1; 1 of a decoder that does not move.
        largest_step: over the mean step of a walk, from 1 to `STEPS`; 1 of a decoder that does not move.
        lipschitz: median over codes of the decoder's stretch, in data units per unit of z.
        lipschitz_95: the quantile that 95 % lie below.
        pairs: of examples, each with a walk.
    """

    path_ratio: Estimate
    largest_step: Estimate
    lipschitz: float
    lipschitz_95: float
    pairs: int


class Structure(NamedTuple):
    """How the classes lie in latent space.

    Attributes:
        neighbours: share of held-out labels that most of the nearest training codes have.
        probe: share that logistic regression on standardised training codes finds.
        silhouette: mean over held-out codes, from -1 to 1; 0 where classes overlap, 1 where they are far apart.
        class_distance: mean distance between two classes' centroids over the mean deviation within a class, the root
            of the mean squared distance to its centroid.
    """

    neighbours: Estimate
    probe: Estimate
    silhouette: Estimate
    class_distance: float


class Holes(NamedTuple):
    """Where the prior promises what no example has filled.

    Attributes:
        share: of draws z ~ p(z) with log q(z) below the threshold; 0.01 where q(z) = p(z).
        threshold: in nats; 1 % of the draws of q(z) lie below.
        draws: of p(z), and as many of q(z).
    """

    share: Estimate
    threshold: float
    draws: int


class Meaning(NamedTuple):
    """What a classifier sees in samples, and in data.

    Attributes:
        confidence_of_samples: mean probability of the class that is likeliest.
        confidence_of_data: the same.
        imbalance: total variation distance between the mean predictions, from 0 to 1.
        imbalance_by_chance: about what it would be if samples and data came from one population.
        entropy_of_samples: of the mean prediction, in nats, at most log C.
        entropy_of_data: the same.
    """

    confidence_of_samples: Estimate
    confidence_of_data: Estimate
    imbalance: float
    imbalance_by_chance: float
    entropy_of_samples: Estimate
    entropy_of_data: Estimate


@torch.no_grad()
def continuity(model: VAE, x: Tensor, seed: int = 0) -> Continuity:
    """Walk between random pairs of examples, no example in two of them, and measure the decoder's stretch at codes.

    Args:
        model: on any device; of several layers the lowest is walked in.
        x: examples, ``(N, *event)``; at most 2 `PAIRS` are used.
        seed: of the choice.

    Raises:
        BadInput: there is no pair, or a decoded point is not finite.
    """
    if len(x) < 2:
        raise BadInput(f"a walk through latent space needs two examples: {len(x)} given")
    model.eval()
    with seeded(seed, RNGStream.EVALUATION, _CONTINUITY):
        x = x[torch.randperm(len(x))[: 2 * PAIRS]].to(model.device)
    pairs = len(x) // 2
    # One at a time: the memory does not depend on N, and a walk is a batch already.
    walks = [_walk(model, x[i : i + 1], x[pairs + i : pairs + i + 1]) for i in range(pairs)]
    steps, straight = (torch.stack(parts) for parts in zip(*walks, strict=True))
    stretch = torch.stack([_stretch(model, one) for one in x[:PAIRS].split(1)])
    return Continuity(
        path_ratio=_ratio(steps.sum(1).maximum(straight), straight),
        largest_step=_ratio(steps.amax(1), steps.mean(1)),
        lipschitz=float(stretch.quantile(0.5)),
        lipschitz_95=float(stretch.quantile(0.95)),
        pairs=pairs,
    )


def structure(train_codes: Tensor, train_labels: Tensor, codes: Tensor, labels: Tensor, seed: int = 0) -> Structure:
    """Predict held-out labels from codes, and measure how far the classes lie apart among the held-out codes.

    Args:
        train_codes: what neighbours and probe learn from, ``(N, Z)``.
        train_labels: ``(N,)``, whole numbers.
        codes: held out, ``(M, Z)``.
        labels: ``(M,)``.
        seed: of the choice of at most `SILHOUETTES` codes for the silhouette.

    Returns:
        Shares with the standard error of a binomial share.

    Raises:
        BadInput: a code is not finite, a part has a single class, or the held-out part has no two examples of a class.
    """
    train_codes, codes = train_codes.cpu().double(), codes.cpu().double()
    _require_finite(train_codes, "the code of training example")
    _require_finite(codes, "the code of held-out example")
    with seeded(seed, RNGStream.EVALUATION, _STRUCTURE):
        chosen = torch.randperm(len(codes))[:SILHOUETTES]
    train_labels, labels = train_labels.cpu(), labels.cpu()
    _require_classes(train_labels)
    _require_classes(labels[chosen])
    neighbours = KNeighborsClassifier(min(NEIGHBOURS, len(train_codes)))
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with config_context(working_memory=MEBIBYTES):
        right = [_predict(model, train_codes, train_labels, codes) == labels for model in (neighbours, probe)]
        silhouettes = silhouette_samples(codes[chosen].numpy(), labels[chosen].numpy())
    return Structure(
        neighbours=_share(right[0]),
        probe=_share(right[1]),
        silhouette=_mean(torch.from_numpy(silhouettes)),
        class_distance=_class_distance(codes, labels),
    )


@torch.no_grad()
def prior_holes(model: VAE, examples: Examples, seed: int = 0) -> Holes:
    """Look for what the aggregate posterior of some examples leaves empty; of several layers, in the top one.

    It takes 2 `DRAWS` log-densities for each example.

    Args:
        model: on any device.
        examples: N of them; with fewer than `DRAWS`, some give several draws, and the standard error is too small.
        seed: of the draws.

    Returns:
        The share, with a standard error that knows that the threshold was estimated, too: by the bootstrap.

    Raises:
        BadInput: there is a single example, the model is an autoencoder, or log q(z) is not finite.
    """
    if len(examples) < 2:
        raise BadInput(f"the aggregate posterior needs two examples: {len(examples)} given")
    model.eval()
    device = model.device
    with seeded(seed, RNGStream.EVALUATION, _HOLES, device=device):
        if not model.posterior_has_density:
            raise BadInput("an autoencoder has no aggregate posterior density: its posteriors are points")
        own = torch.randperm(len(examples))[torch.arange(DRAWS) % len(examples)]
        drawn_from = (examples[rows] for rows in own.split(BATCH))
        held_out = [model.encode(part.all().to(device)).sample() for part in drawn_from]
        drawn = model.prior_distribution().sample((DRAWS,))
        log_q = _log_aggregate(model, examples, torch.cat([drawn, *held_out]), own.repeat(2))
        _require_finite(log_q, "log q(z) at draw")
        again = [part[torch.randint(DRAWS, (BOOTSTRAPS, DRAWS))] for part in log_q.split(DRAWS)]
    below, threshold = _share_below(*log_q.split(DRAWS))
    stderr = _share_below(*again)[0].std()
    return Holes(Estimate(float(below), float(stderr)), float(threshold), DRAWS)


def meaning(probabilities_of_samples: Tensor, probabilities_of_data: Tensor) -> Meaning:
    """Compare what a classifier says of a model's samples with what it says of data.

    Confidence and entropy are those of Salimans et al. 2016.

    Args:
        probabilities_of_samples: of the C classes, ``(M, C)``.
        probabilities_of_data: ``(N, C)``, of data on which the classifier was not trained.

    Raises:
        BadInput: a row is no distribution.
    """
    samples, data = (p.detach().cpu().double() for p in (probabilities_of_samples, probabilities_of_data))
    _require_distributions(samples)
    _require_distributions(data)
    # Of a difference with the variance v, the mean of the absolute value is √(2v/π) by chance.
    variance = sum(p.var(0, unbiased=False) / len(p) for p in (samples, data))
    return Meaning(
        confidence_of_samples=_mean(samples.amax(1)),
        confidence_of_data=_mean(data.amax(1)),
        imbalance=float(0.5 * (samples.mean(0) - data.mean(0)).abs().sum()),
        imbalance_by_chance=float(0.5 * (2 * torch.as_tensor(variance) / math.pi).sqrt().sum()),
        entropy_of_samples=_entropy(samples),
        entropy_of_data=_entropy(data),
    )


# Means and their errors.


def _mean(values: Tensor) -> Estimate:
    """Of the examples' numbers ``(N,)``."""
    return Estimate(float(values.mean()), float(values.std()) / len(values) ** 0.5 if len(values) > 1 else None)


def _ratio(top: Tensor, bottom: Tensor) -> Estimate:
    """The mean of ``(N,)`` over the mean of ``(N,)``; 1 where all are zero."""
    if not bottom.any():
        return Estimate(math.inf if top.any() else 1.0, None)
    ratio = top.mean() / bottom.mean()
    return Estimate(float(ratio), _mean((top - ratio * bottom) / bottom.mean()).stderr)


def _share(right: Tensor) -> Estimate:
    """Of what is true in ``(N,)``."""
    share = float(right.double().mean())
    return Estimate(share, (share * (1 - share) / len(right)) ** 0.5)


def _entropy(probabilities: Tensor) -> Estimate:
    """Of the mean of ``(N, C)``: the mean of the examples' cross-entropies with it, whose error is its own."""
    return _mean(-torch.special.xlogy(probabilities, probabilities.mean(0)).sum(1))


# Pieces.


def _walk(model: VAE, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """The lengths of the steps ``(STEPS,)`` and of the straight line between two examples ``(1, *event)``."""
    decoded = model.interpolate(start, end, STEPS + 1).flatten(1).cpu()
    _require_finite(decoded, "the decoded walk between two examples at point")
    points = decoded.double()
    # Many steps of nothing but rounding would add up to a long way.
    rounding = 16 * torch.finfo(decoded.dtype).eps * points.norm(dim=1).max()
    steps, straight = points.diff(dim=0).norm(dim=1), (points[-1] - points[0]).norm()
    return steps.where(steps > rounding, 0.0), straight.where(straight > rounding, 0.0)


def _stretch(model: VAE, x: Tensor) -> Tensor:
    """The largest singular value of the decoder's Jacobian at the code of one example ``(1, *event)``, ``()``."""
    z = model.latent_means(x)[-1]
    directions = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device).split(STEPS)
    jacobian = torch.cat([_derivative(model, z, part) for part in directions]).cpu().double()
    return torch.as_tensor(torch.linalg.eigvalsh(jacobian @ jacobian.T)[-1].clamp_min(0).sqrt())


def _derivative(model: VAE, z: Tensor, directions: Tensor) -> Tensor:
    """The derivatives of E p(x | z) at ``(1, Z)`` in the directions ``(K, Z)``: ``(K, D)``, by forward mode."""

    def decoded(z: Tensor) -> Tensor:
        return model.decode(z).mean.flatten(1)

    with warnings.catch_warnings():
        # At its first use, forward mode warns of how PyTorch implements it.
        warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
        # The rows of a batch are decoded apart from each other, so that each can have a direction of its own.
        return torch.as_tensor(torch.func.jvp(decoded, (z.repeat(len(directions), 1),), (directions,))[1])


def _predict(model: KNeighborsClassifier | Pipeline, codes: Tensor, labels: Tensor, held_out: Tensor) -> Tensor:
    """The labels that a model of scikit-learn gives to ``(M, Z)``, fitted to ``(N, Z)`` and ``(N,)``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(codes.numpy(), labels.numpy())
    return torch.from_numpy(model.predict(held_out.numpy()))


def _class_distance(codes: Tensor, labels: Tensor) -> float:
    groups = [codes[labels == label] for label in labels.unique()]
    between = torch.pdist(torch.stack([group.mean(0) for group in groups])).mean()
    within = torch.stack([(group - group.mean(0)).square().sum(1).mean().sqrt() for group in groups]).mean()
    return float(between / within) if between else 0.0


def _log_aggregate(model: VAE, examples: Examples, z: Tensor, own: Tensor) -> Tensor:
    """log 1/(N-1) Σ_{n ≠ own} q(z | x_n) in nats for ``(M, Z)`` and the examples left out ``(M,)``: ``(M,)``."""
    total, seen, own = z.new_full((len(z),), -math.inf, dtype=torch.float64), 0, own.to(z.device)
    for part in examples.batches(BATCH):
        q = model.encode(part.to(z.device))
        index = torch.arange(seen, seen + len(part), device=z.device)
        # A full covariance takes Z² numbers for each draw and example; what a flow sees of the example is wide.
        rows = max(1, BLOCK // (len(part) * max(z.shape[-1] ** 2, 256)))
        parts = []
        for draws, left_out in zip(z.split(rows), own.split(rows), strict=True):
            log_prob = q.log_prob(draws.unsqueeze(-2)).cpu().double()
            parts.append(log_prob.where(index != left_out.unsqueeze(-1), -math.inf).logsumexp(-1))
        total, seen = total.logaddexp(torch.cat(parts)), seen + len(part)
    return total - math.log(seen - 1)


def _share_below(drawn: Tensor, held_out: Tensor) -> tuple[Tensor, Tensor]:
    """The share of ``(..., M)`` below the threshold of ``(..., M)``, and the threshold, both ``(...)``."""
    threshold = held_out.kthvalue(LOWEST, dim=-1).values
    return (drawn < threshold.unsqueeze(-1)).double().mean(-1), threshold


# What is refused.


def _require_finite(values: Tensor, what: str) -> None:
    finite = values.isfinite().reshape(len(values), -1).all(1)
    if not finite.all():
        raise BadInput(f"{what} {int(finite.int().argmin())} is not finite: look for extreme values in the data")


def _require_classes(labels: Tensor) -> None:
    classes = len(labels.unique())
    if not 2 <= classes < len(labels):
        raise BadInput(f"{classes} classes in {len(labels)} examples: expected at least two, and fewer than examples")


def _require_distributions(probabilities: Tensor) -> None:
    fair = (probabilities >= 0).all(1) & ((probabilities.sum(1) - 1).abs() < 1e-3)
    if not fair.all():
        row = int(fair.int().argmin())
        raise BadInput(f"row {row} holds {probabilities[row].tolist()[:5]}: expected probabilities that sum to 1")
