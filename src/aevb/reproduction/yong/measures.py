"""What is measured on the models: PCA beside autoencoders, the identity of the ELBO, exact likelihoods, mixtures."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from aevb.data import Dataset, Examples, load_data, truth
from aevb.evaluation import Score, baselines
from aevb.evaluation.elbo_identity import Identity, linear_identity, plane_identity
from aevb.evaluation.features import classifier
from aevb.evaluation.sample_quality import frechet_distance
from aevb.models.likelihoods import Gaussian
from aevb.models.linear import LinearGaussian, linear_optimum
from aevb.models.posteriors import PointPosterior
from aevb.models.priors import Standard
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder
from aevb.workflow.sweep import Measure

COMPONENTS = (1, 2, 4, 8, 16)
"""K of the mixtures of normals."""
DRAWN = 8
"""K of the mixture that is drawn."""


FRECHET = {False: "frechet_prior", True: "frechet_fitted"}
"""The scores of samples, likewise."""


# PCA, autoencoders and VAEs, side by side.


@lru_cache(maxsize=4)
def principal(dataset: Dataset, size: int) -> PCA:
    return baselines.pca(dataset, size)


def as_autoencoder(pca: PCA, event: tuple[int, ...]) -> VAE:
    """The linear autoencoder that PCA is: its components encode and decode."""
    components, mean = (torch.from_numpy(values).float() for values in (pca.components_, pca.mean_))
    size, features = components.shape
    posterior, output = PointPosterior(features, size), nn.Linear(size, features)
    for layer, weight, bias in ((posterior.head, components, -components @ mean), (output, components.T, mean)):
        layer.weight.data, layer.bias.data = weight.contiguous(), bias
    decoder = nn.Sequential(output, nn.Unflatten(1, event))
    return VAE(nn.Flatten(), posterior, Standard(size, event), decoder, Gaussian(event)).eval()


@torch.no_grad()
def decoded_samples(model: VAE, train: Examples, count: int, *, fitted: bool) -> Tensor:
    """Means of p(x|z), ``(count, *event)``, for z ~ N(0, I) or, fitted, for a normal with the moments of z ~ q(z|x)."""
    with seeded(0, RNGStream.SAMPLES):
        if not fitted:
            return model.sample(count)
        codes = model.encode(train.subsample(10_000).all().x).sample()
        return model.decode(MultivariateNormal(codes.mean(0), torch.cov(codes.T)).sample((count,))).mean


def frechet_scores(run: RunFolder, dataset: Dataset) -> list[Score]:
    return [_frechet(run.model, dataset, name, fitted=fitted) for fitted, name in FRECHET.items()]


def _frechet(model: VAE, dataset: Dataset, name: str, *, fitted: bool) -> Score:
    real = dataset.test.batch(slice(5000)).x
    seen, drawn = classifier(dataset), decoded_samples(model, dataset.train, len(real), fitted=fitted)
    value = frechet_distance(seen.features(real), seen.features(drawn))
    return _plain(name, value, "test", f"{len(real)} means of p(x|z), features of a classifier", dataset)


def pca_scores(run: RunFolder, dataset: Dataset) -> list[Score]:
    """The angle between the subspaces, and what PCA reaches itself."""
    size = run.resolved.latent[0]
    pca = principal(dataset, size)
    angles = np.degrees(subspace_angles(LinearGaussian.of(run.model).weight.numpy(), pca.components_.T))
    same = as_autoencoder(pca, dataset.shape)
    x = dataset.test.all().x
    error = (same.reconstruct(x) - x).flatten(1).square().sum(1).mean().item()
    return [
        _plain("subspace_angle", angles.max().item(), "train", "largest principal angle to PCA, degrees", dataset),
        _plain("pca_squared_error", error, "test", "reconstruction by PCA", dataset),
        _frechet(same, dataset, f"pca_{FRECHET[True]}", fitted=True),
    ]


PCA_MEASURE = Measure("subspace_angle", pca_scores)


def _plain(name: str, value: float, split: str, estimator: str, dataset: Dataset) -> Score:
    """A score without an error of its own."""
    return Score(name, value, None, split, estimator, None, dataset.binarize)


# log p(x) = ELBO + KL(q(z|x) || p(z|x)).


def linear_terms(run: RunFolder, dataset: Dataset) -> Identity:
    """In closed form."""
    return linear_identity(run.model, dataset.train.subsample(300).all().x)


def plane_terms(run: RunFolder, dataset: Dataset) -> Identity:
    """By integration."""
    return plane_identity(run.model, dataset.train.subsample(20))


def identity_scores(
    identity: Callable[[RunFolder, Dataset], Identity], run: RunFolder, dataset: Dataset
) -> list[Score]:
    found = identity(run, dataset)
    as_printed = found.elbo + 2 * found.rate  # with the other sign before KL(q(z|x) || p(z))
    values = {
        "identity_error": found.error,
        "identity_error_as_printed": (found.log_px - as_printed - found.gap).abs().mean().item(),
        "posterior_gap": found.gap.median().item(),
    }
    how = f"{len(found.gap)} examples, each term by itself"
    return [_plain(name, value, "train", how, dataset) for name, value in values.items()]


# A mixture of normals with a continuous index.


def linear_log_px(run: RunFolder, dataset: Dataset) -> list[Score]:
    """log p(x) and the bound of a linear VAE beside those of probabilistic PCA, all exact."""
    size, scores = run.resolved.latent[0], []
    train = dataset.train.all().x.flatten(1)
    scores.append(_plain("log_px_ppca", linear_optimum(train, size), "train", "largest eigenvalues", dataset))
    held_out = principal(dataset, size).score(dataset.test.all().x.flatten(1).double().numpy())
    scores.append(_plain("log_px_ppca", float(held_out), "test", "fitted to the training part", dataset))
    for split in ("train", "test"):
        found = linear_identity(run.model, getattr(dataset, split).all().x)
        scores.append(_plain("log_px_exact", found.log_px.mean().item(), split, "closed form", dataset))
        scores.append(_plain("bound_exact", found.elbo.mean().item(), split, "closed form", dataset))
    return scores


def mixtures(points: int, seed: int, _data_dir: str | None = None) -> dict[str, Any]:
    """Test log p(x) of mixtures fitted by EM, and of the truth."""
    dataset = load_data("figure-8")
    dataset = replace(dataset, train=dataset.train.subsample(points))
    x = dataset.test.values.double().numpy()
    fitted = {count: baselines.mixture(dataset, count, seed=seed) for count in COMPONENTS}
    return {
        "log_px": [float(model.score(x)) for model in fitted.values()],
        "truth": float(truth("figure-8").log_prob(x).mean()),
        "means": fitted[DRAWN].means_.tolist(),
        "covariances": fitted[DRAWN].covariances_.tolist(),
    }
