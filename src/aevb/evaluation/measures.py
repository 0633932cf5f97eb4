"""All that can be measured of a model, by name: functions of a model and a data set to scores."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.dataset import Dataset, Examples
from aevb.distributions import Point
from aevb.errors import BadInput
from aevb.evaluation import sample_quality
from aevb.evaluation.annealing import CHAINS, TEMPERATURES, annealed, sandwich
from aevb.evaluation.features import Classifier, classifier
from aevb.evaluation.gaps import gaps
from aevb.evaluation.latent_space import Estimate, continuity, meaning, prior_holes, structure
from aevb.evaluation.likelihood import evaluate, per_example
from aevb.evaluation.quadrature import quadrature
from aevb.evaluation.scores import Score, Split, mean_score
from aevb.model import VAE
from aevb.randomness import Purpose, seeded

FEW = 100
"""Examples that the slow measures take where nothing else is asked."""
POINTS = 5000
"""Samples, and examples of each part, that are compared at most."""


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


Measure = Callable[[VAE, Dataset, Split, Effort], list[Score]]


def measure(
    name: str, model: VAE, dataset: Dataset, split: Split = "test", effort: Effort | None = None
) -> list[Score]:
    """The scores of one measure, by its name in `MEASURES`.

    Raises:
        BadInput: the measure has no meaning for the model or the data.
    """
    effort = effort or Effort()
    if name in _SLOW:
        effort = effort._replace(examples=effort.examples or FEW)
    if effort.examples:
        dataset = replace(dataset, **{split: getattr(dataset, split).some(effort.examples)})
    if name in _BOUND and not _has_bound(model, getattr(dataset, split)):
        raise BadInput(f"--measure {name} needs a posterior with a density: an autoencoder has none")
    return MEASURES[name](model.eval(), dataset, split, effort)


def _likelihood(model: VAE, dataset: Dataset, split: Split, effort: Effort) -> list[Score]:
    return evaluate(model, dataset, split, samples=effort.samples, seed=effort.seed, memory=effort.memory)


def _quadrature(model: VAE, dataset: Dataset, split: Split, _: Effort) -> list[Score]:
    values = quadrature(model, getattr(dataset, split))
    return [mean_score("log_px_quadrature", values.numpy(), split, "quadrature over z", None, dataset)]


def _annealing(model: VAE, dataset: Dataset, split: Split, effort: Effort) -> list[Score]:
    found = annealed(model, getattr(dataset, split), seed=effort.seed, memory=effort.memory)
    lonely = (found.effective < 2).double().mean().item()
    note = f"too low: one chain outweighs all others for {100 * lonely:.0f} % of the examples" if lonely > 0.2 else None
    return [mean_score("log_px_annealed", found.log_px.numpy(), split, _ANNEALING, None, dataset, note)]


def _sandwich(model: VAE, dataset: Dataset, split: Split, effort: Effort) -> list[Score]:
    count = len(getattr(dataset, split))
    found = sandwich(model, count, seed=effort.seed, memory=effort.memory)
    between = per_example(model, Examples(found.x), effort.samples, seed=effort.seed, memory=effort.memory).log_px

    def score(name: str, values: Tensor, estimator: str, samples: int | None = None) -> Score:
        return mean_score(name, values.numpy(), f"{count} simulated", estimator, samples, dataset)

    return [
        score("log_px_lower", found.lower, _ANNEALING),
        score("log_px_between", between, "importance sampling", effort.samples),
        score("log_px_upper", found.upper, f"reverse {_ANNEALING}"),
    ]


def _gaps(model: VAE, dataset: Dataset, split: Split, effort: Effort) -> list[Score]:
    found = gaps(model, getattr(dataset, split), samples=effort.samples, seed=effort.seed, memory=effort.memory)

    def score(name: str, values: Tensor, estimator: str) -> Score:
        return mean_score(name, values.numpy(), split, estimator, effort.samples, dataset)

    return [
        score("approximation_gap", found.approximation, "log p(x) - ELBO of the best posterior of the family"),
        score("amortization_gap", found.amortization, "ELBO of the best posterior of the family - ELBO"),
    ]


def _latent_space(model: VAE, dataset: Dataset, split: Split, effort: Effort) -> list[Score]:
    examples: Examples = getattr(dataset, split)
    walk = continuity(model, _rows(examples, effort.seed).to(_device(model)), effort.seed)
    make = _Maker(split, dataset)
    scores = [
        make("path_ratio", walk.path_ratio, f"{walk.pairs} pairs of examples"),
        make("largest_step", walk.largest_step, f"{walk.pairs} pairs of examples"),
        make("lipschitz", walk.lipschitz, "median of the decoder's largest stretch at codes"),
    ]
    if examples.labels is not None and dataset.train.labels is not None:
        train = dataset.train.some(10 * POINTS)
        found = structure(
            _codes(model, train, effort.seed), _labels(train), _codes(model, examples, effort.seed), examples.labels
        )
        scores += [
            make("neighbours_accuracy", found.neighbours, "5 nearest codes of training examples"),
            make("probe_accuracy", found.probe, "logistic regression on codes of training examples"),
            make("silhouette", found.silhouette, "classes among codes"),
            make("class_distance", found.class_distance, "between centres over spread within"),
        ]
    if _has_bound(model, examples):
        holes = prior_holes(model, examples, effort.seed)
        scores.append(make("prior_holes", holes.share, f"{holes.draws} draws, 0.01 by chance"))
    return scores


def _sample_quality(model: VAE, dataset: Dataset, split: Split, effort: Effort) -> list[Score]:
    """In the features of a classifier for labelled images, else among the values themselves, standardised."""
    train, real = (part.some(POINTS) for part in (dataset.train, getattr(dataset, split)))
    with seeded(effort.seed, Purpose.SAMPLES, device=_device(model)):
        fake = model.sample(len(real), draw=len(dataset.shape) == 1 or dataset.kind == "binary").cpu()
    seen = classifier(dataset) if len(dataset.shape) == 3 and train.labels is not None else None
    space, where = _space(train, seen, effort.seed)
    data, make = [_rows(part, effort.seed) for part in (train, real)], _Maker(split, dataset)
    scores = _clouds(space(data[0]), space(data[1]), space(fake), where, effort.seed, make)
    if seen:
        found = meaning(seen.probabilities(fake), seen.probabilities(data[1]))
        scores.append(
            make("sample_confidence", found.confidence_of_samples, f"of data {found.confidence_of_data.value:.3f}")
        )
        scores.append(make("class_imbalance", found.imbalance, f"by chance {found.imbalance_by_chance:.3f}"))
    return scores


def _clouds(train: Tensor, real: Tensor, fake: Tensor, where: str, seed: int, make: "_Maker") -> list[Score]:
    """Everything that compares two clouds of points."""
    overlap = sample_quality.manifold_overlap(real, fake)
    told = sample_quality.two_sample_accuracy(real, fake, seed=seed)
    kernel = sample_quality.maximum_mean_discrepancy(real, fake, seed=seed)
    sliced = sample_quality.sliced_wasserstein(real, fake, seed=seed)
    near = sample_quality.nearest_neighbours(train, real, fake)
    count = f"{len(fake)} samples, {where}"
    return [
        make("frechet_distance", sample_quality.frechet_distance(real, fake), count),
        *(make(f"sample_{name}", value, count) for name, value in overlap._asdict().items()),
        make("two_sample_accuracy", Estimate(told.accuracy, told.stderr), f"{count}, p = {told.p_value:.2g}"),
        make("mmd", Estimate(kernel.value, kernel.stderr), f"{count}, p = {kernel.p_value:.2g}"),
        make("sliced_wasserstein", Estimate(sliced.value, sliced.stderr), count),
        make("copied", near.copied, f"{count}, nearer to a training example than 99 % of held-out ones"),
    ]


def _space(train: Examples, seen: Classifier | None, seed: int) -> tuple[Callable[[Tensor], Tensor], str]:
    """Where samples are compared with data: x ``(N, *event)`` to ``(N, F)``, and in words."""
    if seen:
        return seen.features, f"in the features of a classifier of accuracy {seen.accuracy:.3f}"
    values = _rows(train, seed).flatten(1)
    shift, spread = values.mean(0), values.std(0)
    spread = torch.where(spread > 0, spread, 1.0)
    return lambda x: (x.flatten(1) - shift) / spread, "in standardised values"


class _Maker(NamedTuple):
    """Scores of one split that are not means over its examples."""

    split: str
    dataset: Dataset

    def __call__(self, name: str, found: Estimate | float, estimator: str) -> Score:
        value, stderr = found if isinstance(found, Estimate) else (found, None)
        return Score(name, value, stderr, self.split, estimator, None, self.dataset.binarize)


def _rows(examples: Examples, seed: int) -> Tensor:
    """All examples; a binarisation that is drawn anew is drawn once."""
    with seeded(seed, Purpose.EVALUATION):
        return examples.batch(slice(None))


@torch.no_grad()
def _codes(model: VAE, examples: Examples, seed: int) -> Tensor:
    with seeded(seed, Purpose.EVALUATION):
        return torch.cat([model.encode(x.to(_device(model))).mean.cpu() for x in examples.batches(1000)])


def _labels(examples: Examples) -> Tensor:
    assert examples.labels is not None
    return examples.labels


def _has_bound(model: VAE, examples: Examples) -> bool:
    return not isinstance(model.encode(examples.batch(slice(1)).to(_device(model))), Point)


def _device(model: VAE) -> torch.device:
    return next(model.parameters()).device


_ANNEALING = f"annealed importance sampling, {TEMPERATURES} temperatures, {CHAINS} chains"
_SLOW = ("annealing", "sandwich", "gaps")
_BOUND = ("quadrature", *_SLOW)
MEASURES: dict[str, Measure] = {
    "likelihood": _likelihood,
    "quadrature": _quadrature,
    "annealing": _annealing,
    "sandwich": _sandwich,
    "gaps": _gaps,
    "latent-space": _latent_space,
    "sample-quality": _sample_quality,
}
