"""Yong, "Variational Autoencoder (VAE)": what it says, each with a number.

    PCA, linear and deep autoencoder, VAE    at the same code size: squared error, Fréchet distance of samples
    log p(x) = ELBO + KL(q(z|x) || p(z|x))   the three computed by different means
    p(x) = ∫ p(z) p(x|z) dz                  against mixtures of K normals and probabilistic PCA
    EM                                       by Monte Carlo, against AEVB: test log p(x) by the clock

`aevb reproduce yong` takes about ten minutes on two cores. To expect: below 1° between the linear autoencoder and the
principal subspace, 1e-3 nats between the linear VAE and probabilistic PCA, the identity within 1e-4 nats.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from aevb import plots
from aevb.config.schema import Config
from aevb.data import Dataset, Examples, load, truth
from aevb.evaluation import Score, baselines
from aevb.evaluation.elbo_identity import Identity, linear_identity, plane_identity
from aevb.evaluation.features import classifier
from aevb.evaluation.latent_means import codes
from aevb.evaluation.sample_quality import frechet_distance
from aevb.models.likelihoods import Gaussian
from aevb.models.linear import LinearGaussian, linear_optimum
from aevb.models.posteriors import PointPosterior
from aevb.models.priors import Standard
from aevb.models.vae import VAE
from aevb.reproduction import race
from aevb.reproduction.race import Race
from aevb.reproduction.recipe import (
    Above,
    Below,
    Claim,
    Near,
    Picture,
    Quantity,
    Recipe,
    Results,
    Scale,
    Trial,
    number,
    score,
)
from aevb.rng import RNGStream, seeded
from aevb.runs.run import Run
from aevb.workflow.sweep import Measure

COMPONENTS = (1, 2, 4, 8, 16)
"""K of the mixtures of normals."""
DRAWN = 8
"""K of the mixture that is drawn."""
KINDS = {"pca": "PCA", "linear": "linear autoencoder", "deep": "deep autoencoder", "vae": "VAE"}
"""What stands side by side, by the names of trials; PCA is not trained."""
SAMPLED = {
    "PCA": ("pca", True),
    "linear AE": ("linear", True),
    "deep AE": ("deep", True),
    "deep AE, N(0, I)": ("deep", False),
    "VAE": ("vae", False),
}
"""What is sampled: a kind, and whether z comes from a normal fitted to its codes instead of N(0, I)."""
FRECHET = {False: "frechet_prior", True: "frechet_fitted"}
"""The scores of samples, likewise."""


class Length(NamedTuple):
    """What a scale means.

    Attributes:
        source: images that stand side by side.
        sizes: of their codes, the first 2.
        hidden: width of the deep networks.
        images, linear, plane, curve: epochs of the images, of the linear VAE of digits, of the VAE of digits with a
            plane of codes, and of the figure 8.
        points: of the figure 8, to which mixtures are fitted.
        small, large: how far Monte Carlo EM and AEVB run, over few images and over all.
    """

    source: str
    sizes: tuple[int, int]
    hidden: int
    images: int
    linear: int
    plane: int
    curve: int
    points: int
    small: Race
    large: Race


LENGTHS: Mapping[Scale, Length] = {
    "smoke": Length(
        source="digits",
        sizes=(2, 10),
        hidden=64,
        images=10,
        linear=60,
        plane=20,
        curve=1,
        points=1000,
        small=Race(300, iterations=8, epochs=40, test=10, moments=4, source="digits"),
        large=Race(None, iterations=8, epochs=40, test=10, moments=4, source="digits"),
    ),
    "default": Length(
        source="mnist",
        sizes=(2, 20),
        hidden=300,
        images=10,
        linear=2000,
        plane=200,
        curve=20,
        points=36_000,
        small=Race(1000, iterations=250, epochs=1200),
        large=Race(None, iterations=16, epochs=24),
    ),
    "full": Length(
        source="mnist",
        sizes=(2, 20),
        hidden=500,
        images=100,
        linear=4000,
        plane=1000,
        curve=100,
        points=36_000,
        small=Race(1000, iterations=2000, epochs=6000),
        large=Race(None, iterations=150, epochs=150),
    ),
}


def recipe(scale: Scale) -> Recipe:
    """What the report says, at one scale."""
    length = LENGTHS[scale]
    return Recipe(
        name="yong",
        title="Variational Autoencoder (VAE)",
        author="Roger Yong",
        about=ABOUT,
        trials=_trials(length),
        studies={
            "mixtures": partial(_mixtures, length.points),
            "race-small": partial(race.run, length.small),
            "race-large": partial(race.run, length.large),
        },
        claims=_claims(length),
        pictures=_pictures(length),
        errata=ERRATA,
        differences=DIFFERENCES,
    )


# Trials.


def _trials(length: Length) -> dict[str, Trial]:
    flat = {"hidden": [], "mean": "identity"}
    models: dict[str, dict[str, Any]] = {
        "linear": {"posterior": "point", **flat},
        "deep": {"posterior": "point", "hidden": [length.hidden]},
        "vae": {"hidden": [length.hidden]},
    }
    page = {
        f"{kind}-{size}": _trial(
            length.source,
            model | {"latent": size},
            length.images,
            {"lr": 2e-3, "decay": 0.5, "batch_size": 200},
            measures=(Measure(FRECHET[False], _sampled), *((_PCA,) if kind == "linear" else ())),
        )
        for size in length.sizes
        for kind, model in models.items()
    }
    slow = {"lr": 3e-3, "decay": 0.7, "batch_size": 400, "keep": "last"}
    exact = (Measure("log_px_exact", _linear_log_px),)
    bent = {"hidden": [64, 64], "activation": "tanh", "initial": "lecun", "latent": 1}
    return page | {
        "linear-digits": _trial("digits", models["linear"], 300, slow | {"lr": 1e-2}, measures=(_PCA,)),
        "linear-vae-digits": _trial("digits", flat, length.linear, slow, measures=exact),
        "linear-vae-digits-young": _trial("digits", flat, 5, {}, measures=(_identity_of(_linear_identity),)),
        "vae-digits": _trial(
            "digits",
            {"hidden": [100], "activation": "tanh"},
            length.plane,
            {"decay": 0.5},
            binarize="threshold",
            measures=(_identity_of(_plane_identity),),
        ),
        "linear-vae-curve": _trial(
            "figure-8",
            {"hidden": [], "latent": 1},
            length.curve,
            slow | {"lr": 1e-2},
            measures=exact,
        ),
        "vae-curve": _trial(
            "figure-8",
            bent,
            length.curve,
            slow | {"batch_size": 200},
            objective={"kind": "iwae", "samples": 16},
            samples=100,
        ),
    }


def _identity_of(identity: Callable[[Run, Dataset], Identity]) -> Measure:
    return Measure("identity_error", partial(_identity_scores, identity))


def _trial(
    source: str,
    model: Mapping[str, Any],
    epochs: int,
    train: Mapping[str, Any],
    *,
    binarize: str = "none",
    objective: Mapping[str, Any] | None = None,
    measures: tuple[Measure, ...] = (),
    samples: int = 20,
) -> Trial:
    config = {
        "data": {"source": source, "binarize": binarize},
        "model": model,
        "objective": objective or {},
        "train": {"epochs": epochs, **train},
    }
    return Trial(Config.model_validate(config), measures, samples)


# PCA, autoencoders and VAEs, side by side.


@lru_cache(maxsize=4)
def _principal(dataset: Dataset, size: int) -> PCA:
    return baselines.pca(dataset, size)


def _as_autoencoder(pca: PCA, event: tuple[int, ...]) -> VAE:
    """The linear autoencoder that PCA is: its components encode and decode."""
    components, mean = (torch.from_numpy(values).float() for values in (pca.components_, pca.mean_))
    size, features = components.shape
    posterior, output = PointPosterior(features, size), nn.Linear(size, features)
    for layer, weight, bias in ((posterior.head, components, -components @ mean), (output, components.T, mean)):
        layer.weight.data, layer.bias.data = weight.contiguous(), bias
    decoder = nn.Sequential(output, nn.Unflatten(1, event))
    return VAE(nn.Flatten(), posterior, Standard(size, event), decoder, Gaussian(event)).eval()


@torch.no_grad()
def _drawn(model: VAE, train: Examples, count: int, *, fitted: bool) -> Tensor:
    """Means of p(x|z), ``(count, *event)``, for z ~ N(0, I) or, fitted, for a normal with the moments of z ~ q(z|x)."""
    with seeded(0, RNGStream.SAMPLES):
        if not fitted:
            return model.sample(count)
        codes = model.encode(train.subsample(10_000).batch(slice(None))).sample()
        return model.decode(MultivariateNormal(codes.mean(0), torch.cov(codes.T)).sample((count,))).mean


def _sampled(run: Run, dataset: Dataset) -> list[Score]:
    return [_frechet(run.model, dataset, name, fitted=fitted) for fitted, name in FRECHET.items()]


def _frechet(model: VAE, dataset: Dataset, name: str, *, fitted: bool) -> Score:
    real = dataset.test.batch(slice(5000))
    seen, drawn = classifier(dataset), _drawn(model, dataset.train, len(real), fitted=fitted)
    value = frechet_distance(seen.features(real), seen.features(drawn))
    return _plain(name, value, "test", f"{len(real)} means of p(x|z), features of a classifier", dataset)


def _compared_with_pca(run: Run, dataset: Dataset) -> list[Score]:
    """The angle between the subspaces, and what PCA reaches itself."""
    size = run.resolved.latent[0]
    pca = _principal(dataset, size)
    angles = np.degrees(subspace_angles(LinearGaussian.of(run.model).weight.numpy(), pca.components_.T))
    same = _as_autoencoder(pca, dataset.shape)
    x = dataset.test.batch(slice(None))
    error = (same.reconstruct(x) - x).flatten(1).square().sum(1).mean().item()
    return [
        _plain("subspace_angle", angles.max().item(), "train", "largest principal angle to PCA, degrees", dataset),
        _plain("pca_squared_error", error, "test", "reconstruction by PCA", dataset),
        _frechet(same, dataset, f"pca_{FRECHET[True]}", fitted=True),
    ]


_PCA = Measure("subspace_angle", _compared_with_pca)


def _plain(name: str, value: float, split: str, estimator: str, dataset: Dataset) -> Score:
    """A score without an error of its own."""
    return Score(name, value, None, split, estimator, None, dataset.binarize)


# log p(x) = ELBO + KL(q(z|x) || p(z|x)).


def _linear_identity(run: Run, dataset: Dataset) -> Identity:
    """In closed form."""
    return linear_identity(run.model, dataset.train.subsample(300).batch(slice(None)))


def _plane_identity(run: Run, dataset: Dataset) -> Identity:
    """By integration."""
    return plane_identity(run.model, dataset.train.subsample(20))


def _identity_scores(identity: Callable[[Run, Dataset], Identity], run: Run, dataset: Dataset) -> list[Score]:
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


def _linear_log_px(run: Run, dataset: Dataset) -> list[Score]:
    """log p(x) and the bound of a linear VAE beside those of probabilistic PCA, all exact."""
    size, scores = run.resolved.latent[0], []
    train = dataset.train.batch(slice(None)).flatten(1)
    scores.append(_plain("log_px_ppca", linear_optimum(train, size), "train", "largest eigenvalues", dataset))
    held_out = _principal(dataset, size).score(dataset.test.batch(slice(None)).flatten(1).double().numpy())
    scores.append(_plain("log_px_ppca", float(held_out), "test", "fitted to the training part", dataset))
    for split in ("train", "test"):
        found = linear_identity(run.model, getattr(dataset, split).batch(slice(None)))
        scores.append(_plain("log_px_exact", found.log_px.mean().item(), split, "closed form", dataset))
        scores.append(_plain("bound_exact", found.elbo.mean().item(), split, "closed form", dataset))
    return scores


def _mixtures(points: int, seed: int, _data_dir: str | None = None) -> dict[str, Any]:
    """Test log p(x) of mixtures fitted by EM, and of the truth."""
    dataset = load("figure-8")
    dataset = replace(dataset, train=dataset.train.subsample(points))
    x = dataset.test.values.double().numpy()
    fitted = {count: baselines.mixture(dataset, count, seed=seed) for count in COMPONENTS}
    return {
        "log_px": [float(model.score(x)) for model in fitted.values()],
        "truth": float(truth("figure-8").log_prob(x).mean()),
        "means": fitted[DRAWN].means_.tolist(),
        "covariances": fitted[DRAWN].covariances_.tolist(),
    }


# Claims.


def _claims(length: Length) -> list[Claim]:
    return [*_page_claims(length), *_identity_claims(), *_mixture_claims(), *_race_claims(length)]


def _page_claims(length: Length) -> list[Claim]:
    angle = score("linear-digits", "subspace_angle", "train")
    claims = [
        Claim(
            "Largest angle between linear autoencoder and principal subspace, digits, 2 dimensions, in degrees",
            "“AE uses neural networks instead of SVD”",
            angle,
            Below(1),
            "smoke",
        )
    ]
    for size in length.sizes:
        error = {kind: _of(kind, size, "squared_error") for kind in KINDS}
        where = f"{length.source}, {size} dimensions"
        claims += [
            Claim(
                f"Squared error of the linear autoencoder, less that of PCA, {where}",
                None,
                error["linear"] - error["pca"],
                Near(0, 0.5),
            ),
            Claim(
                f"Squared error of the deep autoencoder, less that of PCA, {where}",
                None,
                error["deep"] - error["pca"],
                Below(0),
            ),
            Claim(f"Squared error of the VAE, less that of PCA, {where}", None, error["vae"] - error["pca"], Below(0)),
            Claim(
                f"Fréchet distance of samples to data, z ~ N(0, I), VAE less deep autoencoder, {where}",
                "“this data distribution is passed to a decoder network”",
                _of("vae", size, FRECHET[False]) - _of("deep", size, FRECHET[False]),
                Below(0),
                note="An autoencoder has no p(z): where its codes lie, nothing tells.",
            ),
            Claim(
                f"The same, the autoencoder's z from a normal fitted to its codes, {where}",
                None,
                _of("vae", size, FRECHET[False]) - _of("deep", size, FRECHET[True]),
                Above(0),
                note="Two moments of the codes make up for the missing p(z), by this measure, and more.",
            ),
        ]
    return claims


def _of(kind: str, size: int, name: str) -> Quantity:
    """A score of what stands side by side; those of PCA are kept with the linear autoencoder."""
    return score(f"linear-{size}", f"pca_{name}") if kind == "pca" else score(f"{kind}-{size}", name)


def _identity_claims() -> list[Claim]:
    young = partial(score, "linear-vae-digits-young", split="train")
    plane = partial(score, "vae-digits", split="train")
    return [
        Claim(
            "Largest |log p(x) - ELBO - KL(q(z|x) || p(z|x))|, linear VAE after 5 epochs, closed forms, nats",
            "log P(x) = ELBO + KL(q(z|x) || P(z|x))",
            young("identity_error"),
            Below(1e-4),
            "smoke",
        ),
        Claim(
            "The same, VAE with 100 hidden units, each term by another rule of integration, nats",
            "log P(x) = ELBO + KL(q(z|x) || P(z|x))",
            plane("identity_error"),
            Below(1e-4),
            "smoke",
        ),
        Claim(
            "Median KL(q(z|x) || p(z|x)) of the linear VAE after 5 epochs, nats",
            "“greater than or equal to 0”",
            young("posterior_gap"),
            Above(0.01),
            "smoke",
            note="The identity has something to find.",
        ),
        Claim("The same, VAE with 100 hidden units, nats", None, plane("posterior_gap"), Above(0.01), "smoke"),
        Claim(
            "By how much the identity fails with the printed sign of KL(q(z|x) || p(z)), nats",
            "-KL = -½ Σ (1 + log σ² - μ² - σ²)",
            plane("identity_error_as_printed"),
            Above(1),
            "smoke",
            note="An erratum: with the printed sign the bound would reward a large KL.",
        ),
    ]


def _mixture_claims() -> list[Claim]:
    digits, line, curve = "linear-vae-digits", "linear-vae-curve", "vae-curve"
    optimum = score(digits, "log_px_ppca", "train")
    return [
        Claim(
            "log p(x) of the linear VAE, less that of probabilistic PCA, digits, training part, nats",
            "“we can always adjust ELBO to be equal to log P(x)”",
            score(digits, "log_px_exact", "train") - optimum,
            Near(0, 1e-3),
        ),
        Claim("Its bound, less the same, nats", None, score(digits, "bound_exact", "train") - optimum, Near(0, 1e-3)),
        Claim(
            "log p(x) of both on test digits, nats apart",
            None,
            score(digits, "log_px_exact") - score(digits, "log_px_ppca"),
            Near(0, 1e-2),
        ),
        Claim(
            "Test log p(x) of the linear VAE, less that of one normal fitted by EM, figure 8, nats",
            None,
            score(line, "log_px_exact") - _of_mixture(0),
            Near(0, 1e-2),
            note="With a linear mean and one dimension less than the data, the continuous mixture is one normal.",
        ),
        Claim(
            f"Test log p(x) of {COMPONENTS[-1]} normals fitted by EM, less that of the linear VAE, figure 8, nats",
            None,
            _of_mixture(-1) - score(line, "log_px_exact"),
            Above(0.1),
        ),
        Claim(
            "Test log p(x) of a VAE with a one-dimensional z, less that of the truth, figure 8, nats",
            "“our code is replaced by a continuous variable z”",
            score(curve, "log_px") - number("mixtures", "truth"),
            Near(0, 0.05),
            note="The normals of the mixture have one variance and their means lie on a line, which the decoder bends.",
        ),
    ]


def _of_mixture(place: int) -> Quantity:
    return Quantity(lambda results, seed: float(results.study("mixtures", seed)["log_px"][place]))


def _race_claims(length: Length) -> list[Claim]:
    few = f"{length.small.examples:,} images"
    return [
        Claim(
            "How many times sooner AEVB reaches the final test log p(x) of Monte Carlo EM, all images",
            "“Sampling-based solutions, e.g. Monte Carlo EM, would in general be too slow”",
            number("race-large", "speedup"),
            Above(4),
            note="0 where it does not reach it at all.",
        ),
        Claim(
            "Final test log p(x) of AEVB, less that of Monte Carlo EM, all images, nats",
            None,
            number("race-large", "gain"),
            Above(0),
        ),
        Claim(
            f"How many times sooner AEVB reaches the final test log p(x) of Monte Carlo EM, {few}",
            "K & W, Fig. 3: neither is far ahead",
            number("race-small", "speedup"),
            Below(4),
            note="Where the data are few, a pass over all of them is cheap.",
        ),
        Claim(
            f"Final test log p(x) of AEVB, less that of Monte Carlo EM, {few}, nats",
            "K & W, Fig. 3: -1.6 after 60 million images",
            number("race-small", "gain"),
            Near(0, 5),
        ),
        Claim(
            f"Share of Hamiltonian moves that were accepted, {few}",
            "K & W: 0.9",
            number("race-small", "accepted"),
            Near(0.9, 0.03),
        ),
    ]


# Pictures.


def _pictures(length: Length) -> list[Picture]:
    missing = "The figures of the report did not survive; it compares the methods in words."
    return [
        Picture(
            "reconstructions",
            "PCA, autoencoders and VAE: reconstructions",
            "Test images, and their reconstructions at the same code size.",
            missing,
            partial(_draw_reconstructions, length.sizes),
        ),
        Picture(
            "samples",
            "PCA, autoencoders and VAE: samples",
            "Means of p(x|z). A VAE has a p(z) to draw z from, N(0, I). PCA and autoencoders have none: their z come"
            " from a normal fitted to the codes of training images, and for one sheet from N(0, I), too.",
            missing,
            partial(_draw_samples, length.sizes),
        ),
        Picture(
            "codes",
            "PCA, autoencoders and VAE: the latent plane",
            "Codes of test images; of the VAE, means of q(z|x).",
            missing,
            _draw_codes,
        ),
        Picture(
            "numbers",
            "PCA, autoencoders and VAE: numbers",
            "Left: squared error of the reconstructions of test images. Right: squared Fréchet distance between test"
            " images and samples, in the features of a classifier. Mean and deviation over the seeds; PCA has none.",
            missing,
            partial(_draw_numbers, length.sizes),
        ),
        Picture(
            "identity",
            "log p(x) = ELBO + KL",
            "Each point is a digit: KL(q(z|x) || p(z|x)), computed as it is defined, against log p(x) - ELBO, each"
            " of these computed by itself. On the line the identity holds.",
            "A formula.",
            _draw_identity,
        ),
        Picture(
            "mixtures",
            "Mixtures of K normals, and of infinitely many",
            "Left: test log p(x) of mixtures fitted by EM, and of VAEs, whose mixtures have a continuous index; the"
            " band is ± one deviation over the seeds. Right: one-deviation ellipses of 8 normals,"
            " and the means of p(x|z) of the VAE as z runs from -3 to 3.",
            "Words.",
            _draw_mixtures,
        ),
        Picture(
            "race",
            "Monte Carlo EM against AEVB",
            "Test log p(x), exact by quadrature over the two dimensions of z, a line for each seed, from where both"
            " start up; the first steps of AEVB fall below. Top: by the clock. Bottom: by the passes of an image"
            " through the decoder; the faint curves are those of Kingma & Welling 2013, Figure 3, with three dimensions"
            " of z and their own count of training samples. Grey values count as probabilities, as in theirs.",
            "Quoted from Kingma & Welling: sampling-based solutions would be too slow.",
            partial(race.draw, length.source == "mnist"),
        ),
    ]


def _models(results: Results, size: int) -> tuple[Dataset, dict[str, VAE]]:
    """What stands side by side at one code size, from the first seed."""
    dataset = results.dataset(f"linear-{size}")
    trained = {kind: results.run(f"{kind}-{size}").model for kind in list(KINDS)[1:]}
    return dataset, {"pca": _as_autoencoder(_principal(dataset, size), dataset.shape), **trained}


def _draw_reconstructions(sizes: Sequence[int], results: Results) -> Figure:
    rows: dict[str, Tensor] = {}
    for size in sizes:
        dataset, models = _models(results, size)
        x = dataset.test.batch(slice(12))
        rows["test images"] = x
        rows |= {f"{KINDS[kind]}, {size}": model.reconstruct(x).clamp(0, 1) for kind, model in models.items()}
    return plots.image_rows(rows, "reconstructions, by the dimensions of the code")


def _draw_samples(sizes: Sequence[int], results: Results) -> Figure:
    sheets = {}
    for size in sizes:
        dataset, models = _models(results, size)
        for label, (kind, fitted) in SAMPLED.items():
            drawn = _drawn(models[kind], dataset.train, 25, fitted=fitted)
            sheets[f"{label}, {size}"] = drawn.clamp(0, 1)
    return plots.image_sheets(sheets, columns=5, across=len(SAMPLED))


def _draw_codes(results: Results) -> Figure:
    dataset, models = _models(results, 2)
    test = dataset.test.subsample(3000)
    assert test.labels is not None
    clouds = {KINDS[kind]: codes(model, test) for kind, model in models.items()}
    return plots.clouds_of_codes(clouds, [test.labels] * len(clouds), dataset.classes or ())


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
    """A bar for each row, which is a kind and a score, and code size."""
    for shift, size, colour in zip((-0.2, 0.2), sizes, plots.COLOURS[:3:2], strict=True):
        found = [np.array(_of(kind, size, name).values(results)) for kind, name in rows.values()]
        means, deviations = ([float(part(values)) for values in found] for part in (np.mean, np.std))
        places = np.arange(len(rows)) + shift
        bars = axis.barh(places, means, 0.36, xerr=deviations, color=colour, label=f"{size} dimensions")
        axis.bar_label(bars, [f"{mean:.0f}" if mean >= 100 else f"{mean:.3g}" for mean in means], padding=3)
    axis.set(yticks=range(len(rows)), yticklabels=rows)
    axis.margins(x=0.15)
    axis.invert_yaxis()


@rc_context(plots.STYLE)
def _draw_identity(results: Results) -> Figure:
    young, plane = "linear-vae-digits-young", "vae-digits"
    found = {
        "linear VAE after 5 epochs, closed forms": _linear_identity(results.run(young), results.dataset(young)),
        "VAE, integrals": _plane_identity(results.run(plane), results.dataset(plane)),
    }
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.axline((1, 1), slope=1, color="black", linewidth=0.5)
    for (label, terms), colour in zip(found.items(), plots.COLOURS[:3:2], strict=True):
        axis.scatter(terms.gap, terms.log_px - terms.elbo, s=14, alpha=0.6, linewidths=0, color=colour, label=label)
    axis.set(xscale="log", yscale="log", xlabel="KL(q(z|x) || p(z|x)), nats", ylabel="log p(x) - ELBO, nats")
    axis.legend()
    return figure


@rc_context(plots.STYLE)
def _draw_mixtures(results: Results) -> Figure:
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    studies = [results.study("mixtures", seed) for seed in results.seeds]
    rows = np.array([study["log_px"] for study in studies])
    mean, deviation = rows.mean(0), rows.std(0)
    left.plot(COMPONENTS, mean, "o-", color=plots.COLOURS[0], label="K normals, EM")
    left.fill_between(COMPONENTS, mean - deviation, mean + deviation, color=plots.COLOURS[0], alpha=0.2, linewidth=0)
    lines = {
        "linear VAE": (score("linear-vae-curve", "log_px_exact"), plots.COLOURS[1], "-"),
        "VAE": (score("vae-curve", "log_px"), plots.COLOURS[2], "-"),
        "truth": (number("mixtures", "truth"), "black", ":"),
    }
    for label, (quantity, colour, style) in lines.items():
        left.axhline(float(np.mean(quantity.values(results))), color=colour, linestyle=style, label=label)
    left.set(xscale="log", xlabel="K", ylabel="test log p(x), nats", xticks=COMPONENTS, xticklabels=COMPONENTS)
    left.minorticks_off()
    left.legend(loc="center right")
    _draw_curve(right, results, studies[0])
    return figure


def _draw_curve(axis: Axes, results: Results, study: Mapping[str, Any]) -> None:
    x = results.dataset("vae-curve").test.values[:3000]
    axis.scatter(x[:, 0], x[:, 1], s=3, color=plots.COLOURS[3], alpha=0.4, linewidths=0)
    for mean, covariance in zip(study["means"], study["covariances"], strict=True):
        variances, axes = np.linalg.eigh(covariance)
        angle = math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
        width, height = 2 * np.sqrt(variances[::-1])
        axis.add_patch(Ellipse(mean, width, height, angle=angle, fill=False, color=plots.COLOURS[0], linewidth=1.5))
    with torch.no_grad():
        means = results.run("vae-curve").model.decode(torch.linspace(-3, 3, 400).unsqueeze(1)).mean
    axis.plot(means[:, 0], means[:, 1], color=plots.COLOURS[2], linewidth=2)
    axis.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")


ABOUT = (
    "An introduction in words and formulas, without experiments: from PCA over autoencoders to the VAE, the evidence"
    " lower bound, and why EM does not apply. Here what it says becomes numbers. PCA by singular value decomposition, a"
    " linear and a deep autoencoder and a VAE stand side by side, at the same size of the code. The identity between"
    " log p(x), bound and divergence is computed where all three are known. A VAE with a linear decoder is compared"
    " with probabilistic PCA, whose likelihood is its optimum, and one with a curved decoder with mixtures of normals"
    " fitted by EM. Last, Monte Carlo EM runs against AEVB, as in Figure 3 of Kingma & Welling 2013, whom it quotes."
)

ERRATA = (
    "The report has -KL(q(z|x) || p(z)) = -½ Σ (1 + log σ² - μ² - σ²). The sign before the sum must be +: as printed it"
    " is the divergence itself, and to maximise it would drive q(z|x) away from p(z).",
    "Mean and variance of z = μ + σ ⊙ ε come from the encoder; the text has them “derived from the decoder output”.",
    "The distribution that the decoder defines is p(x|z), not q(x|z).",
    "“We can always adjust ELBO to be equal to log P(x)” needs a family of q that holds the true posterior. A diagonal"
    " normal does so for the linear decoder at its optimum; for others the divergence stays above zero.",
)

DIFFERENCES = (
    "The report has no experiment of its own: data, sizes and trainings are ours, and the limits of the claims too.",
    "Kingma & Welling compare with three dimensions of z and estimate log p(x) from Hamiltonian samples. Here z has"
    " two, so that log p(x) is exact by quadrature, which depends on the decoder alone, for both methods alike.",
    "Both methods take Adagrad, each with the learning rate that served it best on validation images, start from the"
    " same weights and have no weight decay. Monte Carlo EM has one chain for each image, 10 leapfrogs and 5 steps of"
    " the decoder an iteration, and one step size that follows the accepted share. One iteration over 50,000 images"
    " takes seconds: many are made at full scale only.",
)
