"""Measures on the models: PCA and autoencoders, the identity of the ELBO, exact likelihoods, mixtures."""

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
from aevb.evaluation.two_samples import frechet_distance
from aevb.models.likelihoods import Gaussian
from aevb.models.linear import LinearGaussian, linear_optimum
from aevb.models.posteriors import PointPosterior
from aevb.models.priors import Standard
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder
from aevb.workflow.sweep import Measure

COMPONENTS = (1, 2, 4, 8, 16)
"""Numbers of components K of the mixtures of normals."""
PLOTTED = 8
"""The number of components of the mixture in the figure."""


FRECHET = {False: "frechet_prior", True: "frechet_fitted"}
"""Names of the Fréchet distances: with z ~ N(0, I), or with z from a normal fitted to the latent means."""


# Comparison of PCA, autoencoders and VAEs.


@lru_cache(maxsize=4)
def principal(dataset: Dataset, size: int) -> PCA:
    return baselines.pca(dataset, size)


def as_autoencoder(pca: PCA, event: tuple[int, ...]) -> VAE:
    """Return PCA as a linear autoencoder, whose weights are the principal components."""
    components, mean = (torch.from_numpy(values).float() for values in (pca.components_, pca.mean_))
    size, features = components.shape
    posterior, output = PointPosterior(features, size), nn.Linear(size, features)
    for layer, weight, bias in ((posterior.head, components, -components @ mean), (output, components.T, mean)):
        layer.weight.data, layer.bias.data = weight.contiguous(), bias
    decoder = nn.Sequential(output, nn.Unflatten(1, event))
    return VAE(nn.Flatten(), posterior, Standard(size, event), decoder, Gaussian(event)).eval()


@torch.no_grad()
def decoded_samples(model: VAE, train: Examples, count: int, *, fitted: bool) -> Tensor:
    """Return means of p(x|z), ``(count, *event)``, for z from N(0, I) or from a normal fitted to samples of q(z|x)."""
    with seeded(0, RNGStream.SAMPLES):
        if not fitted:
            return model.sample(count)
        codes = model.encode(train.subsample(10_000).all().x).sample()
        return model.decode(MultivariateNormal(codes.mean(0), torch.cov(codes.T)).sample((count,))).mean


def frechet_scores(run: RunFolder, dataset: Dataset) -> list[Score]:
    return [_frechet(run.model, dataset, name, fitted=fitted) for fitted, name in FRECHET.items()]


def _frechet(model: VAE, dataset: Dataset, name: str, *, fitted: bool) -> Score:
    real = dataset.test.batch(slice(5000)).x
    network, samples = classifier(dataset), decoded_samples(model, dataset.train, len(real), fitted=fitted)
    value = frechet_distance(network.features(real), network.features(samples))
    return _plain(name, value, "test", f"{len(real)} means of p(x|z), features of a classifier", dataset)


def pca_scores(run: RunFolder, dataset: Dataset) -> list[Score]:
    """Return the angle between the subspaces, and the scores of PCA."""
    size = run.resolved.layers[0]
    pca = principal(dataset, size)
    angles = np.degrees(subspace_angles(LinearGaussian.of(run.model).weight.numpy(), pca.components_.T))
    pca_model = as_autoencoder(pca, dataset.shape)
    x = dataset.test.all().x
    error = (pca_model.reconstruct(x) - x).flatten(1).square().sum(1).mean().item()
    return [
        _plain("subspace_angle", angles.max().item(), "train", "largest principal angle to PCA, degrees", dataset),
        _plain("pca_squared_error", error, "test", "reconstruction by PCA", dataset),
        _frechet(pca_model, dataset, f"pca_{FRECHET[True]}", fitted=True),
    ]


PCA_MEASURE = Measure("subspace_angle", pca_scores)


def _plain(name: str, value: float, split: str, estimator: str, dataset: Dataset) -> Score:
    """Return a score without standard error."""
    return Score(name, value, None, split, estimator, None, dataset.binarize)


# log p(x) = ELBO + KL(q(z|x) || p(z|x)).


def linear_terms(run: RunFolder, dataset: Dataset) -> Identity:
    """Return the terms of the identity in closed form."""
    return linear_identity(run.model, dataset.train.subsample(300).all().x)


def plane_terms(run: RunFolder, dataset: Dataset) -> Identity:
    """Return the terms of the identity by numerical integration."""
    return plane_identity(run.model, dataset.train.subsample(20))


def identity_scores(
    identity: Callable[[RunFolder, Dataset], Identity], run: RunFolder, dataset: Dataset
) -> list[Score]:
    terms = identity(run, dataset)
    as_printed = terms.elbo + 2 * terms.rate  # with the opposite sign of KL(q(z|x) || p(z))
    values = {
        "identity_error": terms.error,
        "identity_error_as_printed": (terms.log_px - as_printed - terms.gap).abs().mean().item(),
        "posterior_gap": terms.gap.median().item(),
    }
    how = f"{len(terms.gap)} examples, each term computed independently"
    return [_plain(name, value, "train", how, dataset) for name, value in values.items()]


# Mixtures of normals.


def linear_log_px(run: RunFolder, dataset: Dataset) -> list[Score]:
    """Return log p(x) and the bound of a linear VAE and log p(x) of probabilistic PCA, all exact."""
    size, scores = run.resolved.layers[0], []
    train = dataset.train.all().x.flatten(1)
    scores.append(_plain("log_px_ppca", linear_optimum(train, size), "train", "largest eigenvalues", dataset))
    held_out = principal(dataset, size).score(dataset.test.all().x.flatten(1).double().numpy())
    scores.append(_plain("log_px_ppca", float(held_out), "test", "fitted to the training split", dataset))
    for split in ("train", "test"):
        terms = linear_identity(run.model, getattr(dataset, split).all().x)
        scores.append(_plain("log_px_exact", terms.log_px.mean().item(), split, "closed form", dataset))
        scores.append(_plain("bound_exact", terms.elbo.mean().item(), split, "closed form", dataset))
    return scores


def mixtures(points: int, seed: int, _data_dir: str | None = None) -> dict[str, Any]:
    """Return test log p(x) of mixtures fitted by EM, and of the truth."""
    dataset = load_data("figure-8")
    dataset = replace(dataset, train=dataset.train.subsample(points))
    x = dataset.test.values.double().numpy()
    fitted = {count: baselines.mixture(dataset, count, seed=seed) for count in COMPONENTS}
    return {
        "log_px": [float(model.score(x)) for model in fitted.values()],
        "truth": float(truth("figure-8").log_prob(x).mean()),
        "means": fitted[PLOTTED].means_.tolist(),
        "covariances": fitted[PLOTTED].covariances_.tolist(),
    }
