"""The quality of samples: how close they are to held-out examples, and what a classifier says about them.

Samples are compared with examples in the features of a classifier for images of several classes, otherwise in
standardized values (`aevb.evaluation.two_samples`). A classifier of the data also measures how confident it is about
samples and how evenly they cover the classes,

    imbalance         ½ Σ_c |p̄_c - p̄'_c|,  p̄ and p̄' the mean predictions for samples and for data
    entropy           -Σ_c p̄_c log p̄_c

Legend: N data points, M samples, C classes, F features.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation import two_samples
from aevb.evaluation.features import Classifier, classifier
from aevb.evaluation.measures import Task
from aevb.evaluation.scores import Estimate, Score
from aevb.models.registry import register
from aevb.rng import RNGStream, seeded

POINTS = 5000
"""The largest number of samples, and of examples of each split, that are compared."""


class ClassCoverage(NamedTuple):
    """What a classifier predicts for samples and for data.

    Attributes:
        confidence_of_samples: mean probability of the most probable class.
        confidence_of_data: the same for data.
        imbalance: total variation distance between the mean predictions, from 0 to 1.
        imbalance_by_chance: about the imbalance of samples and data from one population.
        entropy_of_samples: of the mean prediction, in nats, at most log C.
        entropy_of_data: the same for data.
    """

    confidence_of_samples: Estimate
    confidence_of_data: Estimate
    imbalance: float
    imbalance_by_chance: float
    entropy_of_samples: Estimate
    entropy_of_data: Estimate


def class_coverage(probabilities_of_samples: Tensor, probabilities_of_data: Tensor) -> ClassCoverage:
    """Compare a classifier's predictions for samples with those for data.

    Confidence and entropy are those of Salimans et al. 2016.

    Args:
        probabilities_of_samples: of the C classes, ``(M, C)``.
        probabilities_of_data: ``(N, C)``, for data that the classifier was not trained on.

    Raises:
        BadInput: a row is not a probability distribution.
    """
    samples, data = (p.detach().cpu().double() for p in (probabilities_of_samples, probabilities_of_data))
    _require_distributions(samples)
    _require_distributions(data)
    # The absolute value of a difference with variance v has mean √(2v/π) by chance.
    variance = sum(p.var(0, unbiased=False) / len(p) for p in (samples, data))
    return ClassCoverage(
        confidence_of_samples=Estimate.of_mean(samples.amax(1)),
        confidence_of_data=Estimate.of_mean(data.amax(1)),
        imbalance=float(0.5 * (samples.mean(0) - data.mean(0)).abs().sum()),
        imbalance_by_chance=float(0.5 * (2 * torch.as_tensor(variance) / math.pi).sqrt().sum()),
        entropy_of_samples=_entropy(samples),
        entropy_of_data=_entropy(data),
    )


@register.measure(
    "sample-quality",
    titles={
        "frechet_distance": "Fréchet distance",
        "sample_precision": "precision",
        "sample_recall": "recall",
        "sample_density": "density",
        "sample_coverage": "coverage",
        "two_sample_accuracy": "two-sample accuracy",
        "mmd": "MMD²",
        "sliced_wasserstein": "sliced Wasserstein distance",
        "copied": "copies of training examples",
        "sample_confidence": "classifier's confidence",
        "class_imbalance": "class imbalance",
    },
    needs=("held-out", "no-table"),
)
def sample_quality_scores(task: Task) -> list[Score]:
    """Distances and tests between samples and held-out examples."""
    dataset, seed, image = task.dataset, task.effort.seed, len(task.dataset.shape) == 3
    train, held_out = dataset.train.subsample(POINTS), task.examples.subsample(POINTS)
    binary = dataset.kind == "binary" and dataset.binarize != "treat-as-probabilities"
    with seeded(seed, RNGStream.SAMPLES, device=task.device):
        fake = task.model.sample(len(held_out), held_out.condition, draw=binary or not image).cpu()
    network = classifier(dataset) if image and dataset.train.has_classes else None
    train_values, real = (_values(examples, seed) for examples in (train, held_out))
    space, where = _space(train_values, network)
    where += " of means of p(x|z)" * (not binary and image)
    scores = _distance_scores(task, space(train_values), space(real), space(fake), where)
    if network:
        coverage = class_coverage(network.probabilities(fake), network.probabilities(real))
        of_data = f"of data {coverage.confidence_of_data.value:.3f}"
        scores.append(task.score("sample_confidence", coverage.confidence_of_samples, of_data))
        scores.append(
            task.score("class_imbalance", coverage.imbalance, f"by chance {coverage.imbalance_by_chance:.3f}")
        )
    return scores


def _distance_scores(task: Task, train: Tensor, real: Tensor, fake: Tensor, where: str) -> list[Score]:
    """Return all scores that compare two sets of points ``(N, F)`` and ``(M, F)``."""
    seed, estimator = task.effort.seed, f"{len(fake)} samples, {where}"
    overlap = two_samples.manifold_overlap(real, fake)
    accuracy = two_samples.two_sample_accuracy(real, fake, seed=seed)
    discrepancy = two_samples.maximum_mean_discrepancy(real, fake, seed=seed)
    sliced = two_samples.sliced_wasserstein(real, fake, seed=seed)
    copied = two_samples.nearest_neighbors(train, real, fake).copied
    of_copies = f"{estimator}, closer to a training example than 99 % of held-out examples"
    return [
        task.score("frechet_distance", two_samples.frechet_distance(real, fake), estimator),
        *(task.score(f"sample_{name}", value, estimator) for name, value in overlap._asdict().items()),
        task.score(
            "two_sample_accuracy",
            Estimate(accuracy.accuracy, accuracy.stderr),
            f"{estimator}, p = {accuracy.p_value:.2g}",
        ),
        task.score(
            "mmd", Estimate(discrepancy.value, discrepancy.stderr), f"{estimator}, p = {discrepancy.p_value:.2g}"
        ),
        task.score("sliced_wasserstein", Estimate(sliced.value, sliced.stderr), estimator),
        task.score("copied", copied, of_copies),
    ]


def _space(train: Tensor, network: Classifier | None) -> tuple[Callable[[Tensor], Tensor], str]:
    """Return the map from x ``(N, *event)`` to the points ``(N, F)`` that are compared, and its description."""
    if network:
        return network.features, f"in the features of a classifier of accuracy {network.accuracy:.3f}"
    values = train.flatten(1)
    mean, std = values.mean(0), values.std(0)
    std = torch.where(std > 0, std, 1.0)
    return lambda x: (x.flatten(1) - mean) / std, "in standardized values"


def _values(examples: Examples, seed: int) -> Tensor:
    """Return the values of all examples; resampled values are sampled once."""
    with seeded(seed, RNGStream.EVALUATION):
        return examples.all().x


def _entropy(probabilities: Tensor) -> Estimate:
    """Return the entropy of the mean of ``(N, C)``: the mean cross-entropy with it, whose error is the same."""
    return Estimate.of_mean(-torch.special.xlogy(probabilities, probabilities.mean(0)).sum(1))


def _require_distributions(probabilities: Tensor) -> None:
    valid = (probabilities >= 0).all(1) & ((probabilities.sum(1) - 1).abs() < 1e-3)
    if not valid.all():
        row = int(valid.int().argmin())
        raise BadInput(f"row {row} holds {probabilities[row].tolist()[:5]}: expected probabilities that sum to 1")
