"""Simpler models of the same data, which a VAE should outperform.

Data of few dimensions are compared with a normal and with mixtures of normals, others with probabilistic PCA of as many
components as the VAE has latent dimensions: the best VAE with linear networks and one variance. The models are
scikit-learn's.
"""

import math
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.baselines import has_density, has_noise, pca_log_px, rows
from aevb.evaluation.diagnosis.findings import SimpleModel
from aevb.models.shapes import size

FEW_DIMENSIONS = 20
"""The largest number of dimensions of data that mixtures are fitted to."""
COMPONENTS = (1, 5, 20)
"""Numbers of components; the first is a normal."""
LEAST_VARIANCE = 1e-3
"""Added to variances of standardized data: rounded values have no unbounded density."""
ROWS, ENTRIES = 5000, 3 * 10**10
"""The largest number N of training examples that are used, and of N² D for examples of D numbers, to which the
operations of probabilistic PCA are proportional."""
ENOUGH = 10
"""Smallest number of training examples for each component and dimension."""

Rows = NDArray[np.float64]


def simple_models(dataset: Dataset, measured: Examples, latent: int) -> list[SimpleModel]:
    """Return simpler models, the simplest first; none where the data have no density or missing values.

    Args:
        dataset: the models are fitted to its training examples.
        measured: N examples.
        latent: number of components of probabilistic PCA.
    """
    if not has_density(dataset):
        return []
    try:
        few = min(ROWS, math.isqrt(ENTRIES // size(dataset.shape)))
        train, x = rows(dataset.train.subsample(few)), rows(measured)
    except BadInput:  # missing values
        return []
    stddev = train.std(0)
    if train.shape[1] > FEW_DIMENSIONS:
        return _linear(train, x, latent)
    return _mixtures(train, x, stddev) if (stddev > 0).all() else []


def _linear(train: Rows, x: Rows, latent: int) -> list[SimpleModel]:
    if latent >= min(train.shape):
        return []
    model = PCA(latent, svd_solver="full").fit(train)
    return [SimpleModel("a linear model", _tensor(pca_log_px(model, x)))] if has_noise(model) else []


def _mixtures(train: Rows, x: Rows, stddev: Rows) -> list[SimpleModel]:
    models = []
    for count in COMPONENTS:
        if len(train) < ENOUGH * count * train.shape[1]:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = GaussianMixture(count, reg_covar=LEAST_VARIANCE, random_state=0).fit(train / stddev)
        name = f"a mixture of {count} normals" if count > 1 else "a normal"
        models.append(SimpleModel(name, _tensor(model.score_samples(x / stddev) - np.log(stddev).sum())))
    return models


def _tensor(values: Rows) -> Tensor:
    return torch.from_numpy(values)
