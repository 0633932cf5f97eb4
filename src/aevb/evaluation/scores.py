"""A number, and all that one has to know to compare it with another."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aevb.data.dataset import Dataset
from aevb.errors import BadInput

Split = Literal["train", "valid", "test"]


TITLES = {
    "bound": "bound (ELBO)",
    "rate": "rate (KL)",
    "distortion": "distortion",
    "loss_without_constant": "loss without constant",
    "log_px": "log p(x)",
    "log_px_quadrature": "log p(x), quadrature",
    "log_px_annealed": "log p(x), annealing",
    "log_px_lower": "log p(x) from below, annealing",
    "log_px_between": "log p(x), importance sampling",
    "log_px_upper": "log p(x) from above, annealing",
    "approximation_gap": "approximation gap",
    "amortization_gap": "amortisation gap",
    "bits_per_dimension": "bits per dimension",
    "effective_samples": "effective samples",
    "mutual_information": "information I(x; z)",
    "marginal_kl": "KL(q(z) || p(z))",
    "active_units": "active units",
    "squared_error": "squared error",
    "path_ratio": "path length / straight line",
    "largest_step": "largest / mean step",
    "lipschitz": "Lipschitz constant",
    "neighbours_accuracy": "5-nearest-neighbour accuracy",
    "probe_accuracy": "linear probe accuracy",
    "silhouette": "silhouette",
    "class_distance": "class distance / spread",
    "prior_holes": "prior holes",
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
}
"""What scores are called, in the order in which they are listed."""


@dataclass(frozen=True)
class Score:
    """One number and what it is.

    Attributes:
        name: what was measured, such as ``bound``, ``rate`` or ``log_px``; docs/measures.md has them all.
        value: nats per example, where the name does not say otherwise; bounds and ``log_px``: higher is better.
        stderr: standard error of the mean over the examples; None of a count, and where none is known.
        split: the examples it was measured on.
        estimator: how it was computed.
        samples: draws of z per example; None where nothing is drawn.
        binarization: what was done to grey values before.
        note: what makes this number doubtful, if anything does.
        examples: how many of the split were measured.
    """

    name: str
    value: float
    stderr: float | None
    split: str
    estimator: str
    samples: int | None
    binarization: str
    note: str | None = None
    examples: int | None = None


def mean_score(
    name: str,
    values: NDArray[np.float64],
    split: str,
    estimator: str,
    samples: int | None,
    dataset: Dataset,
    note: str | None = None,
) -> Score:
    """The mean of the examples' numbers ``(N,)``, with its standard error.

    Raises:
        BadInput: one is not finite.
    """
    finite = np.isfinite(values)
    if not finite.all():
        raise BadInput(
            f"the {name} of example {finite.argmin()} of the {split} part of {dataset.name} is not finite: look for"
            " extreme values in it"
        )
    stderr = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
    return Score(name, float(values.mean()), stderr, split, estimator, samples, dataset.binarize, note, len(values))
