"""The figures of the recipe, drawn from finished trials."""

import math
from collections.abc import Mapping
from functools import partial

import torch
from matplotlib.figure import Figure

from aevb import plots
from aevb.evaluation.latent_means import latent_means
from aevb.models.vae import VAE
from aevb.reproduction.quantities import Results, score
from aevb.reproduction.recipe import Picture
from aevb.reproduction.zhao.claims import report_loss
from aevb.reproduction.zhao.trials import LATENT, NETWORKS, REPORTED, SETS, VARIANCE, trial_name
from aevb.rng import RNGStream, seeded


def pictures() -> list[Picture]:
    return [
        Picture(
            "spaces",
            "Figures 1 and 2",
            "Latent means of test images, MNIST, 2 latent dimensions: an autoencoder and a VAE with the same network.",
            "Sketches: scattered latent means with gaps for an AE, close together around the origin for a VAE.",
            _spaces,
        ),
        Picture(
            "training",
            "Training curves",
            "Loss in the convention of the report over the epochs, 2 latent dimensions. Training is dashed, validation"
            " solid, mean ± standard deviation over the seeds; the reported level is dotted.",
            "Not shown; only final values are given.",
            _training,
        ),
        Picture(
            "manifolds",
            "Figures 5 to 8",
            "Decoded latent planes, 2 latent dimensions, even grids over [-3, 3]².",
            "Digits and clothes that change continuously into each other; less clear for the CNN.",
            lambda results: plots.manifolds({_title(*of): _model(results, *of) for of in REPORTED}),
        ),
        Picture(
            "samples",
            "Figures 5 to 8, samples",
            "Means of p(x|z) for 100 samples from the prior, 2 latent dimensions.",
            "Not shown except for the decoded planes.",
            lambda results: _samples(results, {_title(*of): trial_name(*of, 2) for of in REPORTED}),
        ),
        Picture(
            "reconstructions",
            "Reconstructions",
            "Test images above their reconstructions, 2 latent dimensions.",
            "Not shown.",
            _reconstructions,
        ),
        Picture(
            "codes",
            "Latent means",
            "Latent means of test images, 2 latent dimensions, with the name of each class at its median.",
            "Not shown.",
            lambda results: _codes(results, {_title(*of): trial_name(*of, 2) for of in REPORTED}),
        ),
        *(
            Picture(
                f"dimensions-{network}",
                title,
                f"Samples of the {NETWORKS[network]} with 1, 2, 3 and 20 latent dimensions, MNIST.",
                "Little variety with 1 latent dimension, the best samples with 3, shapes that are not digits with 20.",
                partial(_dimensions, network),
            )
            for network, title in (("mlp", "Figure 9"), ("conv", "Figure 10"))
        ),
        Picture(
            "sweep",
            "Number of latent dimensions",
            "Loss on test images in the convention of the report, and precision and recall of samples, by number of"
            " latent dimensions; mean ± standard deviation over the seeds. Precision is the fraction of samples that"
            " resemble test images, recall the fraction of test images that resemble samples.",
            "Described in words.",
            _sweep,
        ),
        Picture(
            "variances",
            "Figure 11",
            "Samples for three variances c of the likelihood, MLP, MNIST, 2 latent dimensions.",
            "c = 1e-4: sharp but less diverse; c = 1: diverse but blurred.",
            lambda results: _samples(
                results, {f"c = {c:g}": trial_name("mlp", "mnist", 2, c) for c in (1e-4, VARIANCE, 1.0)}, across=3
            ),
        ),
    ]


def _title(network: str, source: str) -> str:
    return f"{NETWORKS[network]}, {SETS[source]}"


def _model(results: Results, network: str, source: str) -> VAE:
    return results.run(trial_name(network, source, 2)).model


def _samples(results: Results, trials: Mapping[str, str], across: int = 2) -> Figure:
    drawn = {}
    for title, trial in trials.items():
        with seeded(0, RNGStream.SAMPLES):
            drawn[title] = results.run(trial).model.sample(100)
    return plots.image_sheets(drawn, columns=10, across=across)


def _dimensions(network: str, results: Results) -> Figure:
    return _samples(results, {f"z = {latent}": trial_name(network, "mnist", latent) for latent in LATENT})


def _reconstructions(results: Results) -> Figure:
    pairs = {}
    for network, source in REPORTED:
        trial = trial_name(network, source, 2)
        x = results.dataset(trial).test.batch(slice(0, 30)).x
        pairs[_title(network, source)] = torch.stack([x, results.run(trial).model.reconstruct(x)])
    return plots.image_sheets(pairs, columns=10)


def _codes(results: Results, trials: Mapping[str, str]) -> Figure:
    return plots.scatter_latent_means({title: _labelled(results, trial) for title, trial in trials.items()})


def _labelled(results: Results, trial: str) -> plots.Labelled:
    dataset = results.dataset(trial)
    assert dataset.test.labels is not None
    return plots.Labelled(
        latent_means(results.run(trial).model, dataset.test), dataset.test.labels, dataset.classes or ()
    )


def _spaces(results: Results) -> Figure:
    return _codes(results, {"autoencoder": "autoencoder", "VAE": trial_name("mlp", "mnist", 2)})


def _training(results: Results) -> Figure:
    constant = 28 * 28 / 2 * math.log(2 * math.pi * VARIANCE)
    runs = {_title(*of): results.trained(trial_name(*of, 2)) for of in REPORTED}
    levels = {_title(*of): reported[0] for of, reported in REPORTED.items()}
    return plots.losses(runs, constant, levels)


def _sweep(results: Results) -> Figure:
    fields = {
        "loss, nats per test image": report_loss,
        "precision of samples": lambda trial: score(trial, "sample_precision"),
        "recall of samples": lambda trial: score(trial, "sample_recall"),
    }
    curves = {
        title: {
            _title(*of): [quantity(trial_name(*of, latent)).values(results) for latent in LATENT] for of in REPORTED
        }
        for title, quantity in fields.items()
    }  # fmt: skip
    return plots.bands(curves, "latent dimensions", LATENT)
