"""All that can be measured of a model, by name: functions of a model and a data set to scores."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation import sample_quality
from aevb.evaluation.annealing import CHAINS, TEMPERATURES, annealed, sandwich
from aevb.evaluation.features import Classifier, classifier
from aevb.evaluation.gaps import gaps
from aevb.evaluation.latent_means import latent_means
from aevb.evaluation.latent_space import Estimate, continuity, meaning, prior_holes, structure
from aevb.evaluation.likelihood import collapse, evaluate, per_example
from aevb.evaluation.quadrature import quadrature
from aevb.evaluation.scores import Score, Split, mean_score
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

FEW = 100
"""Examples that the slow measures take where nothing else is asked."""
POINTS = 5000
"""Samples, and examples of each part, that are compared at most."""
WALKED = 400
"""Examples whose codes are walked between, at most."""


class Effort(NamedTuple):
    """How much is spent on a measure.

    Attributes:
        samples: K, draws of z for each example.
        examples: of the split, evenly spaced; all of them, or `FEW` for slow measures, where None.
        seed: of the draws.
        memory: about how many bytes the tensors may take that are alive at once.
    """

    samples: int = 1000
    examples: int | None = None
    seed: int = 0
    memory: int = 2**30


class Task(NamedTuple):
    """What is measured.

    Attributes:
        model: in evaluation mode.
        dataset: all of it.
        split: the part that is measured.
        examples: of that part, as many as are measured.
        effort: how much is spent.
    """

    model: VAE
    dataset: Dataset
    split: Split
    examples: Examples
    effort: Effort

    def mean(
        self, name: str, values: Tensor, estimator: str, samples: int | None = None, note: str | None = None
    ) -> Score:
        """The score of a mean over examples."""
        return mean_score(name, values.numpy(), self.split, estimator, samples, self.dataset, note)

    def score(self, name: str, found: Estimate | float, estimator: str) -> Score:
        """A score that is not a mean over examples."""
        value, stderr = found if isinstance(found, Estimate) else (found, None)
        binarization, count = self.dataset.binarize, len(self.examples)
        return Score(name, value, stderr, self.split, estimator, None, binarization, examples=count)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    @property
    def has_density(self) -> bool:
        """Whether the posterior has one: not that of an autoencoder."""
        return self.model.posterior_has_density


def measure(
    name: str, model: VAE, dataset: Dataset, split: Split = "test", effort: Effort | None = None
) -> list[Score]:
    """The scores of one measure, by its name in `MEASURES`.

    Raises:
        BadInput: the measure has no meaning for the model, the data or the split.
    """
    effort = effort or Effort()
    count = effort.examples or (FEW if name in _SLOW else len(getattr(dataset, split)))
    with seeded(effort.seed, RNGStream.EVALUATION):
        examples = getattr(dataset, split).subsample(count).materialize()
    task = Task(model.eval(), dataset, split, examples, effort)
    if name in ("quadrature", *_SLOW) and not task.has_density:
        raise BadInput(f"--measure {name} needs a posterior with a density: an autoencoder has none")
    if name in ("latent-space", "sample-quality") and split == "train":
        raise BadInput(f"--measure {name} compares with the training part: use --split valid or test")
    if name in ("latent-space", "sample-quality") and dataset.columns:
        raise BadInput(f"--measure {name} compares examples by distance, which the rows of a table have not")
    if name in _UNCONDITIONAL and dataset.condition_columns:
        others = ", ".join(known for known in MEASURES if known not in _UNCONDITIONAL)
        raise BadInput(f"--measure {name} is not to be had of a conditional model: expected {others}")
    return MEASURES[name](task)


def _likelihood(task: Task) -> list[Score]:
    changed: dict[str, Any] = {task.split: task.examples}
    part, effort = replace(task.dataset, **changed), task.effort
    return evaluate(task.model, part, task.split, samples=effort.samples, seed=effort.seed, memory=effort.memory)


def _quadrature(task: Task) -> list[Score]:
    return [task.mean("log_px_quadrature", quadrature(task.model, task.examples), "quadrature over z")]


def _annealing(task: Task) -> list[Score]:
    found = annealed(task.model, task.examples, seed=task.effort.seed, memory=task.effort.memory)
    lonely = (found.effective < 2).double().mean().item()
    note = f"too low: one chain outweighs all others for {100 * lonely:.0f} % of the examples" if lonely > 0.2 else None
    return [task.mean("log_px_annealed", found.log_px, _ANNEALING, note=note)]


def _sandwich(task: Task) -> list[Score]:
    effort, count = task.effort, len(task.examples)
    found = sandwich(task.model, count, seed=effort.seed, memory=effort.memory)
    between = per_example(task.model, Examples(found.x), effort.samples, seed=effort.seed, memory=effort.memory)
    note = collapse(between.effective, effort.samples)
    scores = [
        task.mean("log_px_lower", found.lower, _ANNEALING),
        task.mean("log_px_between", between.log_px, "importance sampling", effort.samples, note),
        task.mean("log_px_upper", found.upper, f"reverse {_ANNEALING}"),
    ]
    return [replace(score, split="simulated") for score in scores]


def _gaps(task: Task) -> list[Score]:
    effort = task.effort
    found = gaps(task.model, task.examples, samples=effort.samples, seed=effort.seed, memory=effort.memory)
    best = "ELBO of the best posterior of the family"
    return [
        task.mean(
            "approximation_gap", found.approximation, f"log p(x) by importance sampling - {best}", effort.samples
        ),
        task.mean("amortization_gap", found.amortization, f"{best} - ELBO", effort.samples),
    ]


def _latent_space(task: Task) -> list[Score]:
    model, examples, seed = task.model, task.examples, task.effort.seed
    walk = continuity(model, examples.subsample(WALKED).all().x.to(task.device), seed)
    scores = [
        task.score("path_ratio", walk.path_ratio, f"{walk.pairs} pairs of examples"),
        task.score("largest_step", walk.largest_step, f"{walk.pairs} pairs of examples"),
        task.score("lipschitz", walk.lipschitz, "median of the decoder's largest stretch at codes"),
    ]
    if _has_classes(task.dataset.train) and _has_classes(examples):
        scores += _structure(task)
    if task.has_density:
        holes = prior_holes(model, examples, seed)
        scores.append(task.score("prior_holes", holes.share, f"{holes.draws} draws, 0.01 by chance"))
    return scores


def _structure(task: Task) -> list[Score]:
    train = task.dataset.train.subsample(10 * POINTS)
    means = [_codes(task.model, part, task.effort.seed) for part in (train, task.examples)]
    found = structure(means[0], _labels(train), means[1], _labels(task.examples))
    return [
        task.score("neighbours_accuracy", found.neighbours, "5 nearest codes of training examples"),
        task.score("probe_accuracy", found.probe, "logistic regression on codes of training examples"),
        task.score("silhouette", found.silhouette, "classes among codes"),
        task.score("class_distance", found.class_distance, "between centres over spread within"),
    ]


def _sample_quality(task: Task) -> list[Score]:
    """In the features of a classifier for images of several classes, else among the values themselves, standardised."""
    train, real, image = (
        task.dataset.train.subsample(POINTS),
        task.examples.subsample(POINTS),
        len(task.dataset.shape) == 3,
    )
    bits = task.dataset.kind == "binary" and task.dataset.binarize != "treat-as-probabilities"
    with seeded(task.effort.seed, RNGStream.SAMPLES, device=task.device):
        fake = task.model.sample(len(real), real.condition, draw=bits or not image).cpu()
    seen = classifier(task.dataset) if image and _has_classes(task.dataset.train) else None
    data = [_rows(part, task.effort.seed) for part in (train, real)]
    space, where = _space(data[0], seen)
    scores = _clouds(
        task, space(data[0]), space(data[1]), space(fake), where + " of means of p(x|z)" * (not bits and image)
    )
    if seen:
        found = meaning(seen.probabilities(fake), seen.probabilities(data[1]))
        sure, even = found.confidence_of_data.value, found.imbalance_by_chance
        scores.append(task.score("sample_confidence", found.confidence_of_samples, f"of data {sure:.3f}"))
        scores.append(task.score("class_imbalance", found.imbalance, f"by chance {even:.3f}"))
    return scores


def _clouds(task: Task, train: Tensor, real: Tensor, fake: Tensor, where: str) -> list[Score]:
    """Everything that compares two clouds of points."""
    seed = task.effort.seed
    overlap = sample_quality.manifold_overlap(real, fake)
    told = sample_quality.two_sample_accuracy(real, fake, seed=seed)
    kernel = sample_quality.maximum_mean_discrepancy(real, fake, seed=seed)
    sliced = sample_quality.sliced_wasserstein(real, fake, seed=seed)
    near = sample_quality.nearest_neighbours(train, real, fake)
    count = f"{len(fake)} samples, {where}"
    return [
        task.score("frechet_distance", sample_quality.frechet_distance(real, fake), count),
        *(task.score(f"sample_{name}", value, count) for name, value in overlap._asdict().items()),
        task.score("two_sample_accuracy", Estimate(told.accuracy, told.stderr), f"{count}, p = {told.p_value:.2g}"),
        task.score("mmd", Estimate(kernel.value, kernel.stderr), f"{count}, p = {kernel.p_value:.2g}"),
        task.score("sliced_wasserstein", Estimate(sliced.value, sliced.stderr), count),
        task.score("copied", near.copied, f"{count}, nearer to a training example than 99 % of held-out ones"),
    ]


def _space(train: Tensor, seen: Classifier | None) -> tuple[Callable[[Tensor], Tensor], str]:
    """Where samples are compared with data: x ``(N, *event)`` to ``(N, F)``, and in words."""
    if seen:
        return seen.features, f"in the features of a classifier of accuracy {seen.accuracy:.3f}"
    values = train.flatten(1)
    shift, spread = values.mean(0), values.std(0)
    spread = torch.where(spread > 0, spread, 1.0)
    return lambda x: (x.flatten(1) - shift) / spread, "in standardised values"


def _rows(examples: Examples, seed: int) -> Tensor:
    """All examples; a binarisation that is drawn anew is drawn once."""
    with seeded(seed, RNGStream.EVALUATION):
        return examples.all().x


def _codes(model: VAE, examples: Examples, seed: int) -> Tensor:
    """The same of codes."""
    with seeded(seed, RNGStream.EVALUATION):
        return latent_means(model, examples)


def _labels(examples: Examples) -> Tensor:
    assert examples.labels is not None
    return examples.labels


def _has_classes(examples: Examples) -> bool:
    return examples.labels is not None and len(examples.labels.unique()) > 1


_ANNEALING = f"annealed importance sampling, {TEMPERATURES} temperatures, {CHAINS} chains"
_SLOW = ("annealing", "sandwich", "gaps")
_UNCONDITIONAL = ("quadrature", "sandwich", "latent-space")
MEASURES: dict[str, Callable[[Task], list[Score]]] = {
    "likelihood": _likelihood,
    "quadrature": _quadrature,
    "annealing": _annealing,
    "sandwich": _sandwich,
    "gaps": _gaps,
    "latent-space": _latent_space,
    "sample-quality": _sample_quality,
}
