"""What simpler models reach on the same data: a VAE should beat them. The models are scikit-learn's.

    pca        the first Z principal components, and as probabilistic PCA a density: log p(x) exactly
    mixture    K normals fitted by EM: log p(x) exactly

Both give densities. Of zeros and ones, or of counts, a VAE gives probabilities, which no density can be compared with:
there only the squared error is left.
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
from aevb.errors import BadInput
from aevb.evaluation import Score, Split, mean_score
from aevb.rng import RNGStream, seeded


def pca(dataset: Dataset, components: int) -> PCA:
    """Principal components of the training part.

    Raises:
        BadInput: there are fewer columns or examples than components.
    """
    x = _rows(dataset.train)
    if components > min(x.shape):
        raise BadInput(f"{len(x)} examples of {x.shape[1]} numbers have fewer principal components than {components}")
    return PCA(components, svd_solver="full").fit(x)


def mixture(
    dataset: Dataset, components: int, *, covariance: Literal["full", "diag"] = "full", seed: int = 0
) -> GaussianMixture:
    """A mixture of normals fitted to the training part by EM.

    Raises:
        BadInput: there are fewer examples than components, or their covariance is singular.
    """
    x = _rows(dataset.train)
    if components > len(x):
        raise BadInput(f"{len(x)} examples are too few for {components} components")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = GaussianMixture(components, covariance_type=covariance, random_state=seed, max_iter=500)
        try:
            return model.fit(x)
        except ValueError as error:
            raise BadInput(
                f"{dataset.name} lies in a subspace, where a normal has no density: use --covariance diag"
            ) from error


def has_density(dataset: Dataset) -> bool:
    """Whether a density of such data has a meaning."""
    numbers = bool(dataset.columns) and all(column.kind in ("real", "positive") for column in modelled(dataset.columns))
    return dataset.kind in ("unit", "real") or numbers


def measure(baseline: PCA | GaussianMixture, dataset: Dataset, split: Split = "test") -> list[Score]:
    """The numbers of a fitted baseline on one split, under the names that a VAE's have: `log_px`, `squared_error`.

    Where principal components leave no variance, they have no density.
    """
    x, scores = _rows(getattr(dataset, split)), []

    def score(name: str, values: NDArray[np.float64], estimator: str) -> Score:
        return mean_score(name, values, split, estimator, None, dataset)

    if has_density(dataset) and _has_noise(baseline):
        kind = "probabilistic PCA" if isinstance(baseline, PCA) else "mixture of normals"
        scores.append(score("log_px", baseline.score_samples(x), f"exact, {kind}"))
    if isinstance(baseline, PCA):
        again = baseline.inverse_transform(baseline.transform(x))
        scores.append(score("squared_error", np.square(x - again).sum(1), "reconstruction"))
    return scores


def _has_noise(baseline: PCA | GaussianMixture) -> bool:
    """Whether a density is left: of PCA, variance beside the components."""
    if isinstance(baseline, GaussianMixture):
        return True
    return bool(baseline.noise_variance_ > 1e-10 * baseline.explained_variance_.sum())


def _rows(examples: Examples) -> NDArray[np.float64]:
    """Examples as float64 ``(N, D)``; a binarisation that is drawn anew is drawn once."""
    with seeded(0, RNGStream.EVALUATION):
        x = examples.all().x
    if x.isnan().any():
        raise BadInput("values are missing, which these models cannot do without")
    return x.flatten(1).double().numpy()
