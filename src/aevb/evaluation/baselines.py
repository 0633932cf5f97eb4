"""Simpler models on the same data, which a VAE should outperform. The models are scikit-learn's.

    pca        the first Z principal components; as probabilistic PCA also a density, with log p(x) exactly
    mixture    K normals fitted by EM, with log p(x) exactly

Both are densities. For zeros and ones, for counts, and for the numbers of a table that recur often, a VAE gives
probabilities, which cannot be compared with a density; only the squared error remains.
"""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from aevb.columns import modelled
from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.errors import BadInput, option
from aevb.evaluation.scores import Score, Split, mean_score
from aevb.rng import RNGStream, seeded

_LEAST_VARIANCE = 1e-6
"""Added to the variances of a mixture, in units of the pixels or of the column that varies least."""


def pca(dataset: Dataset, components: int) -> PCA:
    """Fit principal components to the training split.

    Raises:
        BadInput: there are fewer columns or examples than components.
    """
    x = rows(dataset.train)
    if components > min(x.shape):
        raise BadInput(f"{len(x)} examples of {x.shape[1]} numbers have fewer principal components than {components}")
    return PCA(components, svd_solver="full").fit(x)


def mixture(
    dataset: Dataset, components: int, *, covariance: Literal["full", "diag"] = "full", seed: int = 0
) -> GaussianMixture:
    """Fit a mixture of normals to the training split by EM.

    Raises:
        BadInput: there are fewer examples than components, or their covariance is singular.
    """
    x = rows(dataset.train)
    if components > len(x):
        raise BadInput(f"{len(x)} examples are too few for {components} components")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = GaussianMixture(
            components,
            covariance_type=covariance,
            random_state=seed,
            max_iter=500,
            reg_covar=_LEAST_VARIANCE * (1.0 if dataset.kind == "unit" else _smallest_variance(x)),
        )
        try:
            return model.fit(x)
        except ValueError as error:
            raise BadInput(
                f"{dataset.name} lies in a subspace, where a normal has no density: use {option('covariance', 'diag')}"
            ) from error


def _smallest_variance(x: NDArray[np.float64]) -> float:
    """Return the variance of the column of ``(N, D)`` that varies least, at most 1; columns may have small units."""
    variances = x.var(0)
    return float(variances[variances > 0].min(initial=1.0))


def has_density(dataset: Dataset) -> bool:
    """Return whether a density is meaningful for such data."""
    numbers = bool(dataset.columns) and all(
        column.kind in ("real", "positive") and not column.spikes for column in modelled(dataset.columns)
    )
    return dataset.kind in ("unit", "real") or numbers


def measure(baseline: PCA | GaussianMixture, dataset: Dataset, split: Split = "test") -> list[Score]:
    """Return the scores of a fitted baseline on one split, named as those of a VAE: `log_px`, `squared_error`.

    Principal components that leave no variance have no density.
    """
    x, scores = rows(getattr(dataset, split)), []

    def score(name: str, values: NDArray[np.float64], estimator: str) -> Score:
        return mean_score(name, values, split, estimator, None, dataset)

    if has_density(dataset) and has_noise(baseline):
        kind = "probabilistic PCA" if isinstance(baseline, PCA) else "mixture of normals"
        log_px = pca_log_px(baseline, x) if isinstance(baseline, PCA) else baseline.score_samples(x)
        scores.append(score("log_px", log_px, f"exact, {kind}"))
    if isinstance(baseline, PCA):
        reconstruction = baseline.inverse_transform(baseline.transform(x))
        scores.append(score("squared_error", np.square(x - reconstruction).sum(1), "reconstruction"))
    return scores


def pca_log_px(model: PCA, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log p(x) of probabilistic PCA in nats, ``(N,)``, for x ``(N, D)``.

    It equals ``model.score_samples(x)``, which takes memory for D² numbers and operations for D³.
    """
    centered, noise = x - model.mean_, model.noise_variance_
    along, variances = centered @ model.components_.T, np.maximum(model.explained_variance_, noise)
    across = np.square(centered).sum(1) - np.square(along).sum(1)
    squares = (np.square(along) / variances).sum(1) + across / noise
    volume = np.log(variances).sum() + (x.shape[1] - len(variances)) * np.log(noise)
    log_px: NDArray[np.float64] = -0.5 * (x.shape[1] * np.log(2 * np.pi) + volume + squares)
    return log_px


def has_noise(baseline: PCA | GaussianMixture) -> bool:
    """Return whether a baseline has a density: PCA needs variance outside its components."""
    if isinstance(baseline, GaussianMixture):
        return True
    return bool(baseline.noise_variance_ > 1e-10 * baseline.explained_variance_.sum())


def rows(examples: Examples) -> NDArray[np.float64]:
    """Return examples as float64 ``(N, D)``; resampled values are sampled once.

    Raises:
        BadInput: a value is missing.
    """
    with seeded(0, RNGStream.EVALUATION):
        x = examples.all().x
    if x.isnan().any():
        raise BadInput("the data have missing values, which these models do not support: impute or drop them")
    return x.flatten(1).double().numpy()
