"""The figures of the recipe, plotted from finished trials."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor

from aevb import plots
from aevb.data import Dataset
from aevb.evaluation.latent_means import latent_means
from aevb.models.vae import VAE
from aevb.reproduction import race
from aevb.reproduction.quantities import Results, number, score
from aevb.reproduction.recipe import Picture
from aevb.reproduction.yong.claims import KINDS, score_of
from aevb.reproduction.yong.measures import (
    COMPONENTS,
    FRECHET,
    as_autoencoder,
    decoded_samples,
    linear_terms,
    plane_terms,
    principal,
)
from aevb.reproduction.yong.trials import Length

SAMPLED = {
    "PCA": ("pca", True),
    "linear AE": ("linear", True),
    "deep AE": ("deep", True),
    "deep AE, N(0, I)": ("deep", False),
    "VAE": ("vae", False),
}
"""Sampled models: kind, and whether z comes from a normal fitted to its latent means instead of N(0, I)."""


def pictures(length: Length) -> list[Picture]:
    missing = "The figures of the report are not available; it compares the methods in words."
    return [
        Picture(
            "reconstructions",
            "PCA, autoencoders and VAE: reconstructions",
            "Test images and their reconstructions with the same number of latent dimensions.",
            missing,
            partial(_draw_reconstructions, length.sizes),
        ),
        Picture(
            "samples",
            "PCA, autoencoders and VAE: samples",
            "Means of p(x|z). A VAE samples z from its prior N(0, I). PCA and autoencoders have no prior: their z come"
            " from a normal fitted to the latent means of training images and, in one panel, from N(0, I).",
            missing,
            partial(_draw_samples, length.sizes),
        ),
        Picture(
            "codes",
            "PCA, autoencoders and VAE: the latent plane",
            "Latent means of test images.",
            missing,
            _draw_codes,
        ),
        Picture(
            "numbers",
            "PCA, autoencoders and VAE: scores",
            "Left: squared error of the reconstructions of test images. Right: squared Fréchet distance between test"
            " images and samples, in the features of a classifier. Mean ± standard deviation over the seeds; PCA has no"
            " seeds.",
            missing,
            partial(_draw_numbers, length.sizes),
        ),
        Picture(
            "identity",
            "log p(x) = ELBO + KL",
            "Each point is a digit: KL(q(z|x) || p(z|x)), computed from its definition, against log p(x) - ELBO, each"
            " term computed independently. On the line the identity holds.",
            "A formula.",
            _draw_identity,
        ),
        Picture(
            "mixtures",
            "Finite and continuous mixtures of normals",
            "Left: test log p(x) of mixtures fitted by EM, and of VAEs, which are continuous mixtures; the band is ±"
            " one"
            " standard deviation over the seeds. Right: ellipses of one standard deviation of 8 normals, and the means"
            " of p(x|z) of the VAE for z from -3 to 3.",
            "Described in words.",
            _draw_mixtures,
        ),
        Picture(
            "race",
            "Monte Carlo EM against AEVB",
            "Test log p(x), exact by quadrature over the two dimensions of z, a line for each seed. The axis begins at"
            " the common initial value; the first steps of AEVB are below it. Top: over time. Bottom: over passes of"
            " images through the decoder; the faint curves are those of Kingma & Welling 2013, Figure 3, with three"
            " latent dimensions and their count of training samples. As theirs, gray values are probabilities.",
            "Quoted from Kingma & Welling: sampling-based solutions would be too slow.",
            partial(race.draw, length.source == "mnist"),
        ),
    ]


def _models(results: Results, size: int) -> tuple[Dataset, dict[str, VAE]]:
    """Return the data set and the compared models with one latent size, of the first seed."""
    dataset = results.dataset(f"linear-{size}")
    trained = {kind: results.run(f"{kind}-{size}").model for kind in list(KINDS)[1:]}
    return dataset, {"pca": as_autoencoder(principal(dataset, size), dataset.shape), **trained}


def _draw_reconstructions(sizes: Sequence[int], results: Results) -> Figure:
    rows: dict[str, Tensor] = {}
    for size in sizes:
        dataset, models = _models(results, size)
        x = dataset.test.batch(slice(12)).x
        rows["test images"] = x
        rows |= {f"{KINDS[kind]}, {size}": model.reconstruct(x).clamp(0, 1) for kind, model in models.items()}
    return plots.image_rows(rows, "reconstructions, by number of latent dimensions")


def _draw_samples(sizes: Sequence[int], results: Results) -> Figure:
    sheets = {}
    for size in sizes:
        dataset, models = _models(results, size)
        for label, (kind, fitted) in SAMPLED.items():
            drawn = decoded_samples(models[kind], dataset.train, 25, fitted=fitted)
            sheets[f"{label}, {size}"] = drawn.clamp(0, 1)
    return plots.image_sheets(sheets, columns=5, across=len(SAMPLED))


def _draw_codes(results: Results) -> Figure:
    dataset, models = _models(results, 2)
    test = dataset.test.subsample(3000)
    assert test.labels is not None
    classes = dataset.classes or ()
    return plots.scatter_latent_means(
        {KINDS[kind]: plots.Labelled(latent_means(model, test), test.labels, classes) for kind, model in models.items()}
    )


@rc_context(plots.STYLE)
def _draw_numbers(sizes: Sequence[int], results: Results) -> Figure:
    figure = Figure(figsize=(7.2, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    errors = {label: (kind, "squared_error") for kind, label in KINDS.items()}
    distances = {label: (kind, FRECHET[fitted]) for label, (kind, fitted) in SAMPLED.items()}
    _draw_bars(left, errors, sizes, results)
    _draw_bars(right, distances, sizes, results)
    left.set(title="squared error")
    right.set(title="Fréchet distance of samples")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(sizes))
    return figure


def _draw_bars(axis: Axes, rows: Mapping[str, tuple[str, str]], sizes: Sequence[int], results: Results) -> None:
    """Plot a bar for each row, a kind and a score, and each latent size."""
    for shift, size, color in zip((-0.2, 0.2), sizes, plots.COLORS[:3:2], strict=True):
        scores = [np.array(score_of(kind, size, name).values(results)) for kind, name in rows.values()]
        means, stds = ([float(statistic(values)) for values in scores] for statistic in (np.mean, np.std))
        positions = np.arange(len(rows)) + shift
        bars = axis.barh(positions, means, 0.36, xerr=stds, color=color, label=f"{size} latent dimensions")
        axis.bar_label(bars, [f"{mean:.0f}" if mean >= 100 else f"{mean:.3g}" for mean in means], padding=3)
    axis.set(yticks=range(len(rows)), yticklabels=rows)
    axis.margins(x=0.15)
    axis.invert_yaxis()


@rc_context(plots.STYLE)
def _draw_identity(results: Results) -> Figure:
    young, plane = "linear-vae-digits-young", "vae-digits"
    identities = {
        "linear VAE after 5 epochs, closed forms": linear_terms(results.run(young), results.dataset(young)),
        "VAE, integrals": plane_terms(results.run(plane), results.dataset(plane)),
    }
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.axline((1, 1), slope=1, color="black", linewidth=0.5)
    for (label, terms), color in zip(identities.items(), plots.COLORS[:3:2], strict=True):
        axis.scatter(terms.gap, terms.log_px - terms.elbo, s=14, alpha=0.6, linewidths=0, color=color, label=label)
    axis.set(xscale="log", yscale="log", xlabel="KL(q(z|x) || p(z|x)), nats", ylabel="log p(x) - ELBO, nats")
    axis.legend()
    return figure


@rc_context(plots.STYLE)
def _draw_mixtures(results: Results) -> Figure:
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    studies = [results.study("mixtures", seed) for seed in results.seeds]
    rows = np.array([study["log_px"] for study in studies])
    mean, std = rows.mean(0), rows.std(0)
    left.plot(COMPONENTS, mean, "o-", color=plots.COLORS[0], label="K normals, EM")
    left.fill_between(COMPONENTS, mean - std, mean + std, color=plots.COLORS[0], alpha=0.2, linewidth=0)
    lines = {
        "linear VAE": (score("linear-vae-curve", "log_px_exact"), plots.COLORS[1], "-"),
        "VAE": (score("vae-curve", "log_px"), plots.COLORS[2], "-"),
        "truth": (number("mixtures", "truth"), "black", ":"),
    }
    for label, (quantity, color, style) in lines.items():
        left.axhline(float(np.mean(quantity.values(results))), color=color, linestyle=style, label=label)
    left.set(xscale="log", xlabel="K", ylabel="test log p(x), nats", xticks=COMPONENTS, xticklabels=COMPONENTS)
    left.minorticks_off()
    left.legend(loc="center right")
    _draw_curve(right, results, studies[0])
    return figure


def _draw_curve(axis: Axes, results: Results, study: Mapping[str, Any]) -> None:
    x = results.dataset("vae-curve").test.values[:3000]
    axis.scatter(x[:, 0], x[:, 1], s=3, color=plots.COLORS[3], alpha=0.4, linewidths=0)
    for mean, covariance in zip(study["means"], study["covariances"], strict=True):
        variances, axes = np.linalg.eigh(covariance)
        angle = math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
        width, height = 2 * np.sqrt(variances[::-1])
        axis.add_patch(Ellipse(mean, width, height, angle=angle, fill=False, color=plots.COLORS[0], linewidth=1.5))
    with torch.no_grad():
        means = results.run("vae-curve").model.decode(torch.linspace(-3, 3, 400).unsqueeze(1)).mean
    axis.plot(means[:, 0], means[:, 1], color=plots.COLORS[2], linewidth=2)
    axis.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
