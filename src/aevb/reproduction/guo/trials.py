"""The sets of points, the settings, and the models that are trained on them."""

from functools import partial
from typing import Any, NamedTuple

from aevb.data import Variant
from aevb.reproduction.guo.measures import estimators, from_truth, gaps
from aevb.reproduction.recipe import Trial, configuration
from aevb.reproduction.verdicts import Scale
from aevb.workflow.sweep import Measure


class Points(NamedTuple):
    """A set of points.

    Attributes:
        source, variant: options of the data set.
        title: the title in figures and claims.
        figure: the number of the figure in the report.
        epochs: the number of epochs in the report.
        log_px: E log p*(x) in nats (`aevb.data.sources.synthetic`).
    """

    source: str
    variant: Variant | None
    title: str
    figure: int
    epochs: int
    log_px: float


SETS = {
    "gaussian": Points("gaussian", None, "1 Gaussian", 3, 50, -3.3637),
    "rotated": Points("gaussian-rotated", None, "2 rotated Gaussian", 4, 50, -3.3637),
    "figure-8": Points("figure-8", "corrected", "3 figure 8", 5, 200, -0.8848),
    "figure-8-printed": Points("figure-8", "printed", "3 figure 8, as printed", 5, 200, -1.8202),
    "blobs": Points("blobs", None, "4 three blobs", 6, 200, -2.2839),
    "mixture": Points("mixture", "corrected", "5 mixture", 7, 200, -3.9365),
    "mixture-printed": Points("mixture", "printed", "5 mixture, as printed", 7, 200, -3.6581),
}
DIAGONAL = {"posterior": "diagonal", "likelihood": "gaussian-diagonal"}
FULL = {"posterior": "full", "likelihood": "gaussian-full"}
ONE_DRAW: dict[str, Any] = {"kind": "elbo-mc"}
OURS: dict[str, Any] = {
    "model": {**FULL, "init": "lecun", "posterior_scale": "softplus"},
    "train": {"batch_size": 128, "lr": 3e-3, "lr_schedule": "linear", "lr_decay": 0.5, "clip_grad_norm": 10},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "diagonal": {"model": DIAGONAL, "objective": ONE_DRAW},
    "full": {"model": FULL, "objective": ONE_DRAW},
    "elbo": {**OURS, "objective": ONE_DRAW},
    "warm-up": {**OURS, "objective": {**ONE_DRAW, "warmup": 0.5}},
    "weighted": {**OURS, "objective": {"kind": "dreg", "n_samples": 16}},
}


class Size(NamedTuple):
    """The size of the experiments at a scale.

    Attributes:
        sets: the names of the sets.
        reported: epochs of the reported settings; None for the number in the report.
        ours: epochs of the other settings.
        points: the number of test points for the comparison with the truth.
        split: the number of test points for the gaps and the comparison of estimators.
    """

    sets: tuple[str, ...]
    reported: int | None
    ours: int
    points: int = 4000
    split: int = 100


SIZES: dict[Scale, Size] = {
    "smoke": Size(("figure-8",), 1, 1, 500, 10),
    "default": Size(tuple(SETS), 10, 20),
    "full": Size(tuple(SETS), None, 50),
}


def trials(scale: Scale) -> dict[str, Trial]:
    """Return the trials: every set with every setting."""
    size = SIZES[scale]
    return {f"{place}-{setting}": _trial(place, setting, size) for place in size.sets for setting in SETTINGS}


def _trial(place: str, setting: str, size: Size) -> Trial:
    data, chosen = SETS[place], SETTINGS[setting]
    epochs = size.ours if "train" in chosen else size.reported or data.epochs
    measures = (
        Measure("kl_from_truth", partial(from_truth, points=size.points)),
        Measure("approximation_gap", partial(gaps, points=size.split)),
        Measure("estimator_difference", partial(estimators, points=size.split)),
    )
    content = {
        "data": {"source": data.source, "variant": data.variant},
        "model": {"hidden": [128, 128], "init": "pytorch", "latent": 2, **chosen["model"]},
        "objective": chosen["objective"],
        "train": {
            "batch_size": 32,
            "lr": 1e-3,
            "lr_schedule": "constant",
            "keep": "last",
            **chosen.get("train", {}),
            "epochs": epochs,
        },
    }
    return Trial(configuration(content), measures, n_importance_samples=10)
