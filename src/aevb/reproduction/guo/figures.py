"""The figures of the recipe, plotted from finished trials."""

import math
from collections.abc import Iterator
from functools import partial
from itertools import starmap
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from aevb import plots
from aevb.data import truth
from aevb.reproduction.guo.claims import NEAR, REPORTED, available, family, kl
from aevb.reproduction.guo.trials import SETS, SETTINGS, SIZES, Points
from aevb.reproduction.quantities import Missing, Results
from aevb.reproduction.recipe import Picture
from aevb.reproduction.verdicts import Scale
from aevb.rng import RNGStream, seeded

SHOWN = 2000
"""Points of a panel."""


def _clouds(place: str, results: Results) -> Figure:
    """Plot data and samples above; below, reconstructions in the colors of their original points."""
    x = results.dataset(f"{place}-full").test.subsample(SHOWN).all().x
    hues = _hues(x)
    above, below = [plots.Cloud("test points", x)], [plots.Cloud("test points, colored", x, hues)]
    for setting in (*REPORTED, "weighted"):
        model = results.run(f"{place}-{setting}").model
        with seeded(0, RNGStream.SAMPLES), torch.no_grad():
            above.append(plots.Cloud(f"{setting}: samples", model.sample(SHOWN, draw=True)))
            again = model.decode(model.encode(x).sample()).sample()
            below.append(plots.Cloud(f"{setting}: reconstructions", again, hues))
    return plots.clouds([*above, *below])


def _hues(x: Tensor) -> Tensor:
    """Return the angle of standardized points ``(N, 2)`` around their mean, as a share of a full turn."""
    first, second = ((x - x.mean(0)) / x.std(0)).T
    return torch.atan2(second, first) / (2 * math.pi) + 0.5


def _training(results: Results) -> Figure:
    """Plot the validation bound of the reported settings during training."""
    curves = {
        data.title: {
            setting: [[made.valid.bound for made in run.epochs if made.valid] for run in results.trained(name)]
            for setting in REPORTED
            for name in [f"{place}-{setting}"]
        }
        for place, data in _shown(results)
    }
    levels = {data.title: _levels(place, data, results) for place, data in _shown(results)}
    return plots.progress(curves, levels, "validation bound, nats")


def _levels(place: str, data: Points, results: Results) -> dict[str, float]:
    """Return the mean log density of the validation points under the truth, and under the best normal."""
    density, points = truth(data.source, data.variant), results.dataset(f"{place}-full").valid.all().x
    curves = {"truth": density, "best normal": density.gaussian()}
    return {name: float(curve.log_prob(points).mean()) for name, curve in curves.items()}


def _summary(results: Results) -> Figure:
    """Plot the distance of every run from the truth."""
    values = {
        _broken(data.title): {setting: kl(place, setting).values(results) for setting in SETTINGS}
        for place, data in _shown(results)
    }
    levels = {_broken(data.title): {"0.02 nats": NEAR, "best normal": available(data)} for data in SETS.values()}
    return plots.strips(values, levels, "nats from the truth", least=1e-3)


def _parts(results: Results) -> Figure:
    """Plot the distance of the bound from the truth with the best posterior for each x, means over the seeds."""
    parts = {
        data.title: {
            setting: {
                "model: KL(p* || p)": kl(place, setting).mean(results),
                "posterior family: approximation gap": family(place, setting).mean(results),
            }
            for setting in SETTINGS
        }
        for place, data in _shown(results)
    }
    return plots.stacks(parts, "nats from the truth")


def _fits(results: Results) -> Figure:
    """Plot the forward fit, and the reverse fit of every seed."""
    p = truth("mixture", "corrected")
    ticks = np.linspace(-11, 11, 200)
    grid = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
    studies = [results.study("directions", seed) for seed in results.seeds]

    def panel(name: str, fits: list[dict[str, Any]]) -> tuple[str, list[plots.Ellipse]]:
        forward, reverse = (fits[0][f"{name}_fit_{other}_kl"] for other in ("forward", "reverse"))
        ellipses = [(np.array(fit[f"{name}_fit_mean"]), np.array(fit[f"{name}_fit_covariance"])) for fit in fits]
        return f"{name}: KL(p || q) = {forward:.2f}, KL(q || p) = {reverse:.2f}", list(starmap(plots.Ellipse, ellipses))

    panels = dict((panel("forward", studies[:1]), panel("reverse", studies)))
    return plots.contours(np.exp(p.log_prob(grid)).reshape(200, 200), (-11, 11, -11, 11), panels)


def pictures(scale: Scale) -> Iterator[Picture]:
    """Yield the figures of the report, then ours."""
    yield Picture(
        "divergences",
        "Section 3.2",
        "A normal fitted to three normals (gray) by KL(p || q), left, and by KL(q || p), right, for the starting"
        " point of"
        " each seed; ellipses of one and two standard deviations.",
        "Described in words.",
        _fits,
    )
    for place in SIZES[scale].sets:
        data = SETS[place]
        yield Picture(
            place,
            f"Figure {data.figure}" + " (corrected)" * (data.variant == "corrected"),
            f"Set {data.title}: test points, samples of three models, and reconstructions x' ~ p(x|z), z ~ q(z|x), in"
            " the colors of their original points. Mixed colors mean that z contains no information on x.",
            "Data, samples, reconstructions and the training curve" + ", diagonal and full" * (data.figure > 3) + ".",
            partial(_clouds, place),
        )
    yield Picture(
        "training",
        "Figures 3d to 7d",
        "The validation bound (ELBO) of the reported settings, a line for each seed. Levels: mean log density of the"
        " same points under the truth and under the best normal.",
        "The training curve of each set.",
        _training,
    )
    yield Picture(
        "summary",
        "All sets",
        "E log p*(x) - log p(x) over test points, a point for each seed; values below 0.001, also"
        " negative ones, which are sampling error, are drawn at 0.001.",
        "None.",
        _summary,
    )
    yield Picture(
        "gaps",
        "Why the reported settings fail",
        "Distance of the ELBO of each model from the truth, with the best normal posterior for each point, means"
        " over the"
        " seeds. The ELBO prefers models with a low bar; models near the truth have a low blue part.",
        "None.",
        _parts,
    )


def _shown(results: Results) -> list[tuple[str, Points]]:
    """Return the sets with finished trials.

    Raises:
        Missing: there are none.
    """
    if not (shown := [(place, data) for place, data in SETS.items() if results.runs(f"{place}-weighted")]):
        raise Missing("no set was trained")
    return shown


def _broken(title: str) -> str:
    return title.replace(", ", ",\n").replace(" ", "\n", 1)
