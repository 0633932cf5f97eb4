"""The contents of the page of a run: facts, which become JSON, and files.

Shapes: N test examples, M training examples, S samples from the prior, Z latent dimensions, *event. An array is a file;
the facts contain its name, type and shape. With several stochastic layers, z is what the decoder receives, given the
means of the layers above, as in `aevb export`.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb.columns import Column, DateNotation, modelled
from aevb.data.curves import curve_order
from aevb.data.dataset import Dataset
from aevb.data.examples import Examples, evenly_spaced
from aevb.data.tables.dates import NANOSECONDS, is_time_of_day
from aevb.data.value_kinds import described
from aevb.errors import counted
from aevb.evaluation.importance_sampling import per_example
from aevb.evaluation.scores import Score, titles
from aevb.explorer.networks import networks
from aevb.models.distributions import (
    FullNormal,
    Point,
    StandardNormal,
    kl_by_dimension,
)
from aevb.models.vae import VAE, LayerTrace
from aevb.plots import COLORS
from aevb.report import wording
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder
from aevb.runs.summary import architecture

SHOWN, NEIGHBORS, PRIOR_SAMPLES = 2000, 3000, 2000
"""The largest N, M and S."""
BYTES = 2**22
"""The largest size of the examples of a split."""
MEASURED, SAMPLES = 500, 8
"""The largest number of test examples whose bounds are compared with that of a drawing, and samples of z for each."""
COVARIANCES = 2**19
"""The largest number of entries of all covariances of full posteriors; beyond it, only standard deviations are used."""
HEADLINE = ("bound", "rate", "distortion", "log_px")
"""The scores at the top of the page."""
View = Literal["image", "cloud", "curve", "row"]


class Subject(NamedTuple):
    """What a page shows of a run.

    Attributes:
        run: a run on the CPU.
        dataset: the data set of the run.
        numbers: of the test examples in the test split, ``(N,)``, if they are those with one condition; None for all.
    """

    run: RunFolder
    dataset: Dataset
    numbers: Tensor | None = None


@dataclass
class Content:
    """The facts and files of one run.

    Attributes:
        facts: content for JSON.
        files: content by name.
        prefix: the prefix of the names.
    """

    prefix: str
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, content: bytes) -> str:
        """Add a file and return its name, which is unique among all runs."""
        self.files[full := f"{self.prefix}/{name}"] = content
        return full

    def array(
        self, name: str, values: Tensor | NDArray[Any], floats: Literal["float32", "float64"] = "float32"
    ) -> dict[str, Any]:
        """Add an array of floating-point numbers or of uint8, and return its description for the facts."""
        array = np.asarray(values)
        kind = floats if array.dtype.kind == "f" else "uint8"
        array = array.astype(np.dtype(kind).newbyteorder("<"))
        return {"file": self.add(name, array.tobytes()), "type": kind, "shape": list(array.shape)}


class Shades(NamedTuple):
    """The map from image values to shades.

    Attributes:
        low, high: the values of the shades 0 and 1.
        ink: whether images are inverted, because most values are low.
    """

    low: float
    high: float
    ink: bool


@torch.no_grad()
def gather(subject: Subject, prefix: str, folder: Path) -> Content:
    """Collect the contents of the page.

    Args:
        subject: what the page shows.
        prefix: the prefix of the names of its files.
        folder: the folder of the page, for the link to the configuration.

    Raises:
        BadInput: the decoder cannot be exported, or a conditional model has no fixed condition.
    """
    run, dataset, numbers = subject
    content, model = Content(prefix), run.model.eval()
    with seeded(0, RNGStream.EVALUATION):
        test, train = _some(dataset.test, SHOWN).materialize(), _some(dataset.train, NEIGHBORS).materialize()
    view = _view(dataset)
    files = networks(model)
    content.facts |= _identity(run, folder, all_conditions=numbers is not None) | {
        "view": view,
        "shape": list(dataset.shape),
        "output": list(model.likelihood.output),
        "latent": run.resolved.decoder_latent,
        "layers": len(run.resolved.layers),
        "posterior": run.resolved.posterior,
        "fingerprint": dataset.fingerprint,
        "networks": {name: content.add(f"{name}.onnx", file) for name, file in files.items()},
        "prior": _prior(model, content),
        "binarized": dataset.kind == "binary" and dataset.binarize != "treat-as-probabilities",
    }
    numbers = torch.arange(len(dataset.test)) if numbers is None else numbers
    content.facts |= _codes(model, test, numbers[evenly_spaced(len(numbers), len(test))], content)
    content.facts |= _images(test, train, content) if view == "image" else _rows(dataset, test, content)
    scored = "likelihood" in files and "encoder" in files and _has_simple_bound(run)
    content.facts["bounds"] = content.array("bounds", _bounds(model, _some(test, MEASURED))) if scored else None
    return content


def _view(dataset: Dataset) -> View:
    if len(dataset.shape) == 3:
        return "image"
    if dataset.shape == (2,) and not dataset.columns:
        return "cloud"
    return "curve" if _curve_order(dataset) else "row"


def _curve_order(dataset: Dataset) -> list[int] | None:
    return curve_order(dataset.test[:1000].all().x, dataset.columns)


def _some(examples: Examples, count: int) -> Examples:
    size = examples.values[:1].numel()
    return examples.subsample(min(count, max(10, BYTES // size)))


# Description.


def _identity(run: RunFolder, folder: Path, *, all_conditions: bool = False) -> dict[str, Any]:
    """Describe a run; `all_conditions` tells that its scores are of more examples than the page shows."""
    data, model, scores = run.data, run.resolved, _scores(run.scores)
    values = {score["title"]: score["value"] + " †" * bool(score["note"]) for score in scores}
    notes = [score["note"] for score in scores if score["title"] in _headline_titles() and score["note"]]
    sizes = f"{data.train:,} train, {data.valid:,} validation, {data.test:,} test"
    shape = " × ".join(map(str, data.shape))
    what = counted(len(data.columns), "column") if data.columns else f"{shape}, {described(data.kind)}"
    scope = ", all conditions" * all_conditions
    binarized = "" if run.config.data.binarize == "none" else f", binarized: {run.config.data.binarize}"
    return {
        "name": run.folder.resolve().name,
        "data": data.name,
        "columns": [],
        "classes": list(data.classes or ()),
        "colors": COLORS,
        "version": version("aevb"),
        "configuration": Path(os.path.relpath(run.folder.resolve() / "config.json", folder.resolve())).as_posix(),
        "about": {
            "data": f"{data.name}: {sizes}; {what}{binarized}",
            "networks": architecture(model),
            "latent": f"{' and '.join(map(str, model.layers))} dimensions, {model.posterior} posterior,"
            f" {model.prior} prior",
            "likelihood": str(model.likelihood),
            "training": f"weights of epoch {run.weights_epoch}; seed {run.config.seed}",
        },
        "scores": scores,
        "scope": scope,
        "headline": {f"{title}, nats{scope}": values[title] for title in _headline_titles() if title in values},
        "notes": list(dict.fromkeys(notes)),
    }


def _scores(scores: Sequence[Score]) -> list[dict[str, str]]:
    """Return the test scores, in the order in which scores are listed."""
    by_name = {score.name: score for score in scores if score.split == "test"}
    return [
        {
            "title": title,
            "value": wording.with_spread(by_name[name].value, by_name[name].stderr or float("nan")).replace("-", "−"),
            "estimator": by_name[name].estimator,
            "note": by_name[name].note or "",
        }
        for name, title in titles().items()
        if name in by_name and isfinite(by_name[name].value)
    ]


def _headline_titles() -> list[str]:
    by_name = titles()
    return [by_name[name] for name in HEADLINE]


# Latent space.


def _prior(model: VAE, content: Content) -> dict[str, Any]:
    """Describe the prior: the standard normal by name, any other by samples of what the decoder receives."""
    if not model.lower_layers and isinstance(model.prior_distribution(), StandardNormal):
        return {"kind": "normal"}
    with seeded(0, RNGStream.SAMPLES):
        z = model.decoder_input(model.sample_prior(PRIOR_SAMPLES))
    return {"kind": "samples", "samples": content.array("prior", z)}


def _has_simple_bound(run: RunFolder) -> bool:
    """Return whether the page can compute the rate of an image in closed form."""
    model = run.resolved
    return model.posterior == "diagonal" and model.prior == "normal" and len(model.layers) == 1


def _bounds(model: VAE, test: Examples) -> Tensor:
    """Return the evidence lower bound of each example in nats, ``(N,)``."""
    terms = per_example(model, test, SAMPLES)
    return -(terms.rate + terms.distortion)


def _codes(model: VAE, test: Examples, numbers: Tensor, content: Content) -> dict[str, Any]:
    """Add the posteriors of test examples, which have these numbers in the test split."""
    traces = [model.top_down(model.bottom_up(batch), lambda q: q.mean) for batch in test.batches(500)]
    lowest = [layers[-1] for layers in traces]
    facts: dict[str, Any] = {
        "numbers": content.array("numbers", numbers.float()),
        "codes": content.array("codes", _decoder_inputs(model, traces, lambda layer: layer.z)),
        "stddevs": None,
        "covariances": None if model.skip else _covariances(lowest, content),
        "labels": None if test.labels is None else content.array("labels", test.labels.float()),
        "rates": None,
    }
    if not isinstance(lowest[0].q, Point):
        facts["stddevs"] = content.array("stddevs", _decoder_inputs(model, traces, lambda layer: layer.q.stddev))
    if all(_rates(layer) is not None for layer in (traces[0] if model.skip else traces[0][-1:])):
        facts["rates"] = _decoder_inputs(model, traces, lambda layer: cast(Tensor, _rates(layer))).mean(0).tolist()
    return facts


def _decoder_inputs(
    model: VAE, traces: Sequence[Sequence[LayerTrace]], value_of: Callable[[LayerTrace], Tensor]
) -> Tensor:
    """Return a value of each latent dimension that the decoder receives, for all examples, ``(N, Z)``."""
    return torch.cat([model.decoder_input([value_of(layer) for layer in layers]) for layers in traces])


def _rates(layer: LayerTrace) -> Tensor | None:
    """Return KL(q(z_j | x) || p(z_j)) in nats, ``(B, Z)``; None unless both are normal in each dimension."""
    if isinstance(layer.q, FullNormal):
        return kl_by_dimension(layer.q.marginals(), layer.p)
    return layer.rate_by_dimension


def _covariances(layers: Sequence[LayerTrace], content: Content) -> dict[str, Any] | None:
    """Add the covariances ``(N, Z, Z)`` of full posteriors, unless they have more than `COVARIANCES` entries."""
    factors = [layer.q.scale_tril for layer in layers if isinstance(layer.q, FullNormal)]
    if not factors or sum(map(Tensor.numel, factors)) > COVARIANCES:
        return None
    return content.array("covariances", torch.cat([factor @ factor.mT for factor in factors]))


# Examples.


def _images(test: Examples, train: Examples, content: Content) -> dict[str, Any]:
    shades = _shades(test.all().x)
    return {
        "shades": shades._asdict(),
        "examples": content.array("examples", _bytes(test.all().x, shades)),
        "training": content.array("training", _bytes(train.all().x, shades)),
    }


def _shades(x: Tensor) -> Shades:
    """Return the shades by the rule of `aevb.plots.images`."""
    low, high = float(x.min()), float(x.max())
    if low >= -0.5 and high <= 1.5:
        low, high = 0.0, 1.0
    ink = x.shape[1] == 1 and float(x.flatten()[:1_000_000].median()) < (low + high) / 2
    return Shades(low, high if high > low else low + 1.0, ink)


def _bytes(x: Tensor, shades: Shades) -> NDArray[np.uint8]:
    scaled = (x - shades.low) / (shades.high - shades.low)
    return (255 * scaled.clamp(0, 1)).round().to(torch.uint8).numpy()


def _rows(dataset: Dataset, test: Examples, content: Content) -> dict[str, Any]:
    x = test.all().x
    train = dataset.train.subsample(100_000).all().x.double().numpy()
    train[:, np.isnan(train).all(0)] = 0.0  # columns without observed values
    low, high = np.nanquantile(train, (0.01, 0.99), axis=0)
    columns = modelled(dataset.columns) or _unnamed(dataset)
    return {
        "examples": content.array("examples", x, "float64" if x.dtype == torch.float64 else "float32"),
        "columns": [
            {
                "name": column.name,
                "kind": column.kind,
                "values": column.labels,
                "whole": column.whole,
                "instant": _instant(column),
                "low": float(low[index]),
                "high": float(max(high[index], low[index] + 1e-9 * max(1, abs(low[index])))),
                "bounds": [column.low, column.high],
                "spikes": [0.0] if column.kind == "nonnegative" else list(column.spikes),
            }
            for index, column in enumerate(columns)
        ],
        "order": _curve_order(dataset),
        "table": bool(dataset.columns),
    }


def _instant(column: Column) -> dict[str, float] | None:
    """Return the milliseconds of the unit of dates and times of day, and their part of YYYY-MM-DD hh:mm; or None."""
    notation = column.notation
    if not isinstance(notation, DateNotation) or not notation.pattern:
        return None
    start, end = (11, 16) if is_time_of_day(notation) else (0, 10 if notation.unit == "D" else 16)
    return {"unit": NANOSECONDS[notation.unit] / 1e6, "from": start, "to": end}


def _unnamed(dataset: Dataset) -> list[Column]:
    """Return columns for the elements of a vector."""
    kind: Literal["binary", "real"] = "binary" if dataset.kind == "binary" else "real"
    values = ("0", "1") if kind == "binary" else ()
    return [
        Column(name=f"x{position}", kind=kind, position=position, values=values) for position in range(dataset.shape[0])
    ]
