"""The models of the recipe, and the length of their training at each scale."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from aevb.data import Dataset
from aevb.evaluation.elbo_identity import Identity
from aevb.reproduction.race import Race
from aevb.reproduction.recipe import Trial, configuration
from aevb.reproduction.verdicts import Scale
from aevb.reproduction.yong.measures import (
    FRECHET,
    PCA_MEASURE,
    frechet_scores,
    identity_scores,
    linear_log_px,
    linear_terms,
    plane_terms,
)
from aevb.runs.run_folder import RunFolder
from aevb.workflow.sweep import Measure


class Length(NamedTuple):
    """The size of the experiments at a scale.

    Attributes:
        source: the images for the comparison of PCA, autoencoders and VAE.
        sizes: the numbers of latent dimensions; the first is 2.
        hidden: the width of the deep networks.
        images, linear, plane, curve: epochs for the images, the linear VAE of digits, the VAE of digits with two
            latent dimensions, and the figure 8.
        points: the number of points of the figure 8 to which mixtures are fitted.
        small, large: the lengths of Monte Carlo EM and AEVB on few images and on all.
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


def trials(length: Length) -> dict[str, Trial]:
    flat = {"hidden": [], "mean_link": "identity"}
    deep = {"hidden": [length.hidden], "activation": "relu"}
    models: dict[str, dict[str, Any]] = {
        "linear": {"posterior": "point", **flat},
        "deep": {"posterior": "point", **deep},
        "vae": deep,
    }
    page = {
        f"{kind}-{size}": _trial(
            length.source,
            model | {"latent": size},
            length.images,
            {"lr": 2e-3, "lr_decay": 0.5, "batch_size": 200},
            measures=(Measure(FRECHET[False], frechet_scores), *((PCA_MEASURE,) if kind == "linear" else ())),
        )
        for size in length.sizes
        for kind, model in models.items()
    }
    slow = {"lr": 3e-3, "lr_decay": 0.7, "batch_size": 400, "keep": "last"}
    exact = (Measure("log_px_exact", linear_log_px),)
    bent = {"hidden": [64, 64], "activation": "tanh", "init": "lecun", "latent": 1, "variance": "learned"}
    return page | {
        "linear-digits": _trial("digits", models["linear"], 300, slow | {"lr": 1e-2}, measures=(PCA_MEASURE,)),
        "linear-vae-digits": _trial("digits", flat, length.linear, slow, measures=exact),
        "linear-vae-digits-young": _trial(
            "digits", flat, 5, {"lr": 1e-3, "lr_decay": 0.1}, measures=(_identity_of(linear_terms),)
        ),
        "vae-digits": _trial(
            "digits",
            {"hidden": [100], "activation": "tanh"},
            length.plane,
            {"lr": 1e-3, "lr_decay": 0.5},
            binarize="threshold",
            measures=(_identity_of(plane_terms),),
        ),
        "linear-vae-curve": _trial(
            "figure-8",
            {"hidden": [], "latent": 1, "variance": "learned", "tails": "normal"},
            length.curve,
            slow | {"lr": 1e-2},
            measures=exact,
        ),
        "vae-curve": _trial(
            "figure-8",
            bent,
            length.curve,
            slow | {"batch_size": 200},
            objective={"kind": "iwae", "n_samples": 16},
            n_importance_samples=100,
        ),
    }


def _identity_of(identity: Callable[[RunFolder, Dataset], Identity]) -> Measure:
    return Measure("identity_error", partial(identity_scores, identity))


def _trial(
    source: str,
    model: Mapping[str, Any],
    epochs: int,
    train: Mapping[str, Any],
    *,
    binarize: str = "none",
    objective: Mapping[str, Any] | None = None,
    measures: tuple[Measure, ...] = (),
    n_importance_samples: int = 20,
) -> Trial:
    config = {
        "data": {"source": source, "binarize": binarize},
        "model": model,
        "objective": objective or {},
        "train": {"epochs": epochs, **train},
    }
    return Trial(configuration(config), measures, n_importance_samples)
