"""The latent space of a trained model: is it continuous and structured, and does it match the prior?

Continuous: the straight line between the latent means c(x) of two examples is decoded in T steps,

    x̂_t = E p(x | (1 - t/T) c(x_0) + t/T c(x_T)),    step_t = |x̂_t - x̂_{t-1}|
    path ratio        E Σ_t step_t / E |x̂_T - x̂_0|,  the length of the decoded path over the straight line
    largest step      E max_t step_t / E 1/T Σ_t step_t
    stretch           the largest singular value of ∂ E p(x | z) / ∂z at a latent mean: the local Lipschitz constant

Lengths are those of Arvanitidis, Hansen & Hauberg 2018, in data units. A cross-fade has path ratio and largest step 1:
a ratio of 1 is no merit, a large one means detours, and a largest step near T means jumps. Means over pairs are taken
before the division, so that pairs of similar examples have little weight.

Structured: how well the latent means of labeled examples predict held-out labels, by k nearest neighbors and by
logistic regression (a linear probe), and how far the classes are apart (silhouette: Rousseeuw 1987).

Prior holes: `aevb.evaluation.aggregate_posterior`.

Examples are treated as independent samples of their population. A standard error is that of the mean over them, to
first order.

Legend: N training and M held-out examples, Z latent dimensions, K directions, D numbers of an example.
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
from aevb.evaluation.aggregate_posterior import prior_holes
from aevb.evaluation.checks import require_finite
from aevb.evaluation.latent_means import latent_means
from aevb.evaluation.measures import Task
from aevb.evaluation.scores import Estimate, Score
from aevb.models.registry import register
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

PAIRS = 200
STEPS = 64
NEIGHBORS = 5
SILHOUETTES = 5000
"""The largest number of examples in the silhouette."""
PATH_EXAMPLES = 400
"""The largest number of examples from which pairs are formed."""
TRAIN_EXAMPLES = 50_000
"""The largest number of training examples that predict held-out labels."""
MEBIBYTES = 128
"""Memory for distances between latent means."""
_CONTINUITY, _STRUCTURE = 1, 2  # random number streams, separate from that of the likelihood


class Continuity(NamedTuple):
    """How evenly the decoder's output changes with z.

    Attributes:
        path_ratio: length of the decoded path over the straight line, at least 1; 1 for a constant decoder.
        largest_step: over the mean step of a path, from 1 to `STEPS`; 1 for a constant decoder.
        lipschitz: median over latent means of the decoder's stretch, in data units per unit of z.
        lipschitz_95: its 95 % quantile.
        pairs: the number of pairs of examples.
    """

    path_ratio: Estimate
    largest_step: Estimate
    lipschitz: float
    lipschitz_95: float
    pairs: int


class Structure(NamedTuple):
    """How well the latent space separates the classes.

    Attributes:
        neighbors: accuracy of k nearest neighbors among the training examples.
        probe: accuracy of logistic regression on standardized latent means of training examples.
        silhouette: mean over held-out examples, from -1 to 1; 0 where classes overlap, 1 where they are far apart.
        class_distance: mean distance between two classes' centroids over the mean standard deviation within a class,
            the root of the mean squared distance to its centroid.
    """

    neighbors: Estimate
    probe: Estimate
    silhouette: Estimate
    class_distance: float


@torch.no_grad()
def continuity(model: VAE, x: Tensor, seed: int = 0) -> Continuity:
    """Measure decoded paths between random pairs of examples, and the decoder's stretch at latent means.

    Args:
        model: unconditional, on any device; paths are in the latents that the decoder receives.
        x: examples, ``(N, *event)``; at most 2 `PAIRS` are used, each in one pair.
        seed: seed of the choice of pairs.

    Raises:
        BadInput: there is no pair, or a decoded point is not finite.
    """
    if len(x) < 2:
        raise BadInput(f"continuity needs at least two examples: got {len(x)}")
    model.eval()
    with seeded(seed, RNGStream.EVALUATION, _CONTINUITY):
        x = x[torch.randperm(len(x))[: 2 * PAIRS]].to(model.device)
    pairs = len(x) // 2
    # One pair at a time: the memory does not depend on N, and a path is already a batch.
    paths = [_path(model, x[i : i + 1], x[pairs + i : pairs + i + 1]) for i in range(pairs)]
    steps, straight = (torch.stack(lengths) for lengths in zip(*paths, strict=True))
    stretch = torch.stack([_stretch(model, example) for example in x[:PAIRS].split(1)])
    return Continuity(
        path_ratio=_ratio(steps.sum(1).maximum(straight), straight),
        largest_step=_ratio(steps.amax(1), steps.mean(1)),
        lipschitz=float(stretch.quantile(0.5)),
        lipschitz_95=float(stretch.quantile(0.95)),
        pairs=pairs,
    )


def structure(train_means: Tensor, train_labels: Tensor, means: Tensor, labels: Tensor, seed: int = 0) -> Structure:
    """Predict held-out labels from latent means, and measure how far the classes are apart.

    Args:
        train_means: latent means of training examples, ``(N, Z)``.
        train_labels: their labels, ``(N,)``, integers.
        means: latent means of held-out examples, ``(M, Z)``.
        labels: their labels, ``(M,)``.
        seed: seed of the choice of at most `SILHOUETTES` examples for the silhouette.

    Returns:
        The measures; accuracies have the standard error of a binomial proportion.

    Raises:
        BadInput: a latent mean is not finite, a split has one class only, or no two held-out examples share a class.
    """
    train_means, means = train_means.cpu().double(), means.cpu().double()
    require_finite(train_means, "the latent mean of training example")
    require_finite(means, "the latent mean of held-out example")
    with seeded(seed, RNGStream.EVALUATION, _STRUCTURE):
        chosen = torch.randperm(len(means))[:SILHOUETTES]
    train_labels, labels = train_labels.cpu(), labels.cpu()
    _require_classes(train_labels)
    _require_classes(labels[chosen])
    neighbors = KNeighborsClassifier(min(NEIGHBORS, len(train_means)))
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with config_context(working_memory=MEBIBYTES):
        correct = [_predict(model, train_means, train_labels, means) == labels for model in (neighbors, probe)]
        silhouettes = silhouette_samples(means[chosen].numpy(), labels[chosen].numpy())
    return Structure(
        neighbors=_accuracy(correct[0]),
        probe=_accuracy(correct[1]),
        silhouette=Estimate.of_mean(torch.from_numpy(silhouettes)),
        class_distance=_class_distance(means, labels),
    )


@register.measure(
    "latent-space",
    titles={
        "path_ratio": "path length / straight line",
        "largest_step": "largest / mean step",
        "lipschitz": "Lipschitz constant",
        "neighbors_accuracy": "5-nearest-neighbor accuracy",
        "probe_accuracy": "linear probe accuracy",
        "silhouette": "silhouette",
        "class_distance": "class distance / spread",
        "prior_holes": "prior holes",
    },
    needs=("held-out", "no-table", "unconditional"),
)
def latent_space_scores(task: Task) -> list[Score]:
    """Continuity, class structure and prior holes of the latent space."""
    model, examples, seed = task.model, task.examples, task.effort.seed
    result = continuity(model, examples.subsample(PATH_EXAMPLES).all().x.to(task.device), seed)
    pairs = f"{result.pairs} pairs of examples"
    scores = [
        task.score("path_ratio", result.path_ratio, pairs),
        task.score("largest_step", result.largest_step, pairs),
        task.score("lipschitz", result.lipschitz, "median of the decoder's largest stretch at latent means"),
    ]
    if task.dataset.train.has_classes and examples.has_classes:
        scores += _structure_scores(task)
    if model.posterior_has_density:
        holes = prior_holes(model, examples, seed)
        scores.append(task.score("prior_holes", holes.share, f"{holes.n_samples} prior samples, 0.01 by chance"))
    return scores


def _structure_scores(task: Task) -> list[Score]:
    train, held_out = task.dataset.train.subsample(TRAIN_EXAMPLES), task.examples
    train_means, means = (_latent_means(task, examples) for examples in (train, held_out))
    result = structure(train_means, _labels(train), means, _labels(held_out))
    return [
        task.score("neighbors_accuracy", result.neighbors, "5 nearest latent means of training examples"),
        task.score("probe_accuracy", result.probe, "logistic regression on latent means of training examples"),
        task.score("silhouette", result.silhouette, "classes among latent means"),
        task.score("class_distance", result.class_distance, "between centroids over standard deviation within"),
    ]


def _latent_means(task: Task, examples: Examples) -> Tensor:
    """Return the latent means of examples; resampled values are sampled once."""
    with seeded(task.effort.seed, RNGStream.EVALUATION):
        return latent_means(task.model, examples)


def _labels(examples: Examples) -> Tensor:
    assert examples.labels is not None
    return examples.labels


# Means and their standard errors.


def _ratio(top: Tensor, bottom: Tensor) -> Estimate:
    """Return the mean of ``(N,)`` over the mean of ``(N,)``; 1 if all are zero."""
    if not bottom.any():
        return Estimate(math.inf if top.any() else 1.0, None)
    ratio = top.mean() / bottom.mean()
    return Estimate(float(ratio), Estimate.of_mean((top - ratio * bottom) / bottom.mean()).stderr)


def _accuracy(correct: Tensor) -> Estimate:
    """Return the share of true values in ``(N,)``."""
    share = float(correct.double().mean())
    return Estimate(share, (share * (1 - share) / len(correct)) ** 0.5)


# Paths and derivatives.


def _path(model: VAE, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lengths of the steps ``(STEPS,)`` and of the straight line between two examples ``(1, *event)``."""
    decoded = model.interpolate(start, end, STEPS + 1).flatten(1).cpu()
    require_finite(decoded, "the decoded path between two examples at point")
    points = decoded.double()
    # Many steps of rounding errors alone would add up to a long path.
    rounding = 16 * torch.finfo(decoded.dtype).eps * points.norm(dim=1).max()
    steps, straight = points.diff(dim=0).norm(dim=1), (points[-1] - points[0]).norm()
    return steps.where(steps > rounding, 0.0), straight.where(straight > rounding, 0.0)


def _stretch(model: VAE, x: Tensor) -> Tensor:
    """Return the decoder's largest singular value, ``()``, at the latent mean of one example ``(1, *event)``."""
    z = model.decoder_input(model.latent_means(x))
    directions = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device).split(STEPS)
    jacobian = torch.cat([_derivative(model, z, chunk) for chunk in directions]).cpu().double()
    return torch.as_tensor(torch.linalg.eigvalsh(jacobian @ jacobian.T)[-1].clamp_min(0).sqrt())


def _derivative(model: VAE, z: Tensor, directions: Tensor) -> Tensor:
    """Return the derivatives ``(K, D)`` of E p(x | z) at ``(1, Z)`` in directions ``(K, Z)``, by forward mode."""

    def decoded(z: Tensor) -> Tensor:
        return model.decode(z).mean.flatten(1)

    with warnings.catch_warnings():
        # At its first use, forward mode warns about its implementation in PyTorch.
        warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
        # The rows of a batch are decoded independently, so each can have its own direction.
        return torch.as_tensor(torch.func.jvp(decoded, (z.repeat(len(directions), 1),), (directions,))[1])


# Classes.


def _predict(model: KNeighborsClassifier | Pipeline, means: Tensor, labels: Tensor, held_out: Tensor) -> Tensor:
    """Fit a scikit-learn classifier to ``(N, Z)`` and ``(N,)``, and return its predictions for ``(M, Z)``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(means.numpy(), labels.numpy())
    return torch.from_numpy(model.predict(held_out.numpy()))


def _class_distance(means: Tensor, labels: Tensor) -> float:
    groups = [means[labels == label] for label in labels.unique()]
    between = torch.pdist(torch.stack([group.mean(0) for group in groups])).mean()
    within = torch.stack([(group - group.mean(0)).square().sum(1).mean().sqrt() for group in groups]).mean()
    return float(between / within) if between else 0.0


def _require_classes(labels: Tensor) -> None:
    classes = len(labels.unique())
    if not 2 <= classes < len(labels):
        raise BadInput(f"{classes} classes in {len(labels)} examples: expected at least two, and fewer than examples")
