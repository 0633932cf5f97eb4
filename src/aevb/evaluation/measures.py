"""Measures: functions from a model and examples to scores, by name.

A measure registers itself together with the titles of its scores and what it needs:

    @register.measure("code-norm", titles={"code_norm": "mean norm of the latent means"}, needs=("unconditional",))
    def code_norm(task: Task) -> list[Score]:
        means = latent_means(task.model, task.examples)
        return [task.mean_score("code_norm", means.norm(dim=1), "norm of E q(z|x)")]
"""

from collections.abc import Collection
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.errors import BadInput, option
from aevb.evaluation.checks import require_density
from aevb.evaluation.scores import DEFAULT, Estimate, Score, Scores, Split, mean_score
from aevb.models.registry import register
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

DEFAULT_SAMPLES = 1000
"""K of measures that do not choose it for each example."""
SLOW_EXAMPLES = 100
"""The number of examples that slow measures use by default."""
Need = Literal["density", "unconditional", "no-table", "held-out"]
"""What a measure may need: a posterior with a density, an unconditional model, data that are not a table, a split other
than the training split."""


class Effort(NamedTuple):
    """How much computation a measure may use.

    Attributes:
        n_importance_samples: K, samples of z per example; None to choose the estimator of log p(x), and the number of
            samples for each example.
        examples: number of examples of the split, evenly spaced; None for all, or `SLOW_EXAMPLES` for slow measures.
        seed: the random seed.
        memory: approximate limit, in bytes, of the tensors that are alive at once.
    """

    n_importance_samples: int | None = None
    examples: int | None = None
    seed: int = 0
    memory: int = 2**30


class Task(NamedTuple):
    """What a measure measures.

    Attributes:
        model: in evaluation mode.
        dataset: the whole data set.
        split: the split that is measured.
        examples: the examples of that split that are measured.
        effort: how much computation may be used.
    """

    model: VAE
    dataset: Dataset
    split: Split
    examples: Examples
    effort: Effort

    def mean_score(
        self,
        name: str,
        values: Tensor,
        estimator: str,
        n_importance_samples: int | None = None,
        note: str | None = None,
    ) -> Score:
        """Return the mean over the examples of values ``(N,)`` as a score."""
        return mean_score(name, values.numpy(), self.split, estimator, n_importance_samples, self.dataset, note)

    def score(self, name: str, value: Estimate | float, estimator: str) -> Score:
        """Return a number that is not a mean over examples as a score."""
        number, stderr = value if isinstance(value, Estimate) else (value, None)
        binarization, count = self.dataset.binarize, len(self.examples)
        return Score(name, number, stderr, self.split, estimator, None, binarization, examples=count)

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.model.device


def measure(name: str, model: VAE, dataset: Dataset, split: Split = "test", effort: Effort | None = None) -> Scores:
    """Return the scores of one measure.

    Args:
        name: the name of a registered measure, such as "likelihood".
        model: on any device; it is put into evaluation mode.
        dataset: the data set; some measures compare the split with its training split.
        split: "train", "valid" or "test".
        effort: how much computation to use.

    Raises:
        BadInput: the measure does not exist, or has no meaning for the model, the data or the split.
    """
    if split not in get_args(Split):
        raise BadInput(f"{option('split', split)} is unknown: expected one of {', '.join(get_args(Split))}")
    function, facts, effort = register.measure[name], register.measure.facts(name), effort or Effort()
    _require(name, _needs(name), model, dataset, split)
    examples: Examples = getattr(dataset, split)
    count = effort.examples or (SLOW_EXAMPLES if facts.get("slow") else len(examples))
    with seeded(effort.seed, RNGStream.EVALUATION):
        examples = examples.subsample(count).materialize()
    return Scores(function(Task(model.eval(), dataset, split, examples, effort)))


def evaluate(
    model: VAE,
    dataset: Dataset,
    split: Split = "test",
    *,
    n_importance_samples: int | None = None,
    seed: int = 0,
    memory: int = 2**30,
) -> Scores:
    """Return the likelihood scores of a model on one split: bound, rate, distortion, log p(x) and what explains them.

    Args:
        model: on any device; it is put into evaluation mode.
        dataset: the data set.
        split: "train", "valid" or "test".
        n_importance_samples: K, samples of z per example; log p(x) is left out for K = 1, where it equals the bound.
            None chooses the estimator of log p(x), and the number of samples for each example.
        seed: the random seed.
        memory: approximate limit, in bytes, of the tensors that are alive at once.

    Returns:
        The scores, in nats per example unless their names say otherwise.

    Raises:
        BadInput: a number is not finite: an example is impossible under the model.
    """
    return measure(DEFAULT, model, dataset, split, Effort(n_importance_samples, None, seed, memory))


def _require(name: str, needs: Collection[Need], model: VAE, dataset: Dataset, split: Split) -> None:
    """Raise `BadInput` unless everything that a measure needs is present."""
    if "density" in needs:
        require_density(model.posterior_has_density, f"measure {name}")
    if "held-out" in needs and split == "train":
        raise BadInput(f"measure {name} compares with the training split: use {option('split', 'valid')} or test")
    if "no-table" in needs and dataset.columns:
        raise BadInput(f"measure {name} compares examples by distance: rows of a table have none; use another measure")
    if "unconditional" in needs and model.condition is not None:
        others = [other for other in register.measure if "unconditional" not in _needs(other)]
        raise BadInput(f"measure {name} needs an unconditional model: expected one of {', '.join(others)}")


def _needs(name: str) -> Collection[Need]:
    needs: Collection[Need] = register.measure.facts(name).get("needs", ())
    return needs
