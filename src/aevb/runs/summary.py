"""What a run is and what it reached, in words: for the terminal and for its page."""

from collections import Counter
from math import floor, log10
from typing import NamedTuple

from aevb.evaluation.scores import Score, titles
from aevb.models.likelihoods import Gaussian
from aevb.runs.records import Outcome
from aevb.runs.run_folder import RunFolder


class Numbers(NamedTuple):
    """Scores as a table.

    Attributes:
        parts: of the data, a column each.
        rows: the title of a score, and its cells.
        legend: what has to be known to read them, a line each.
    """

    parts: list[str]
    rows: list[tuple[str, list[str]]]
    legend: list[str]


def description(run: RunFolder) -> dict[str, str]:
    """What was trained on what: data, model, training."""
    data, model, outcome = run.data, run.resolved, run.outcome
    sizes = f"{data.train} train, {data.valid} validation, {data.test} test"
    widths = " ".join(map(str, model.options.get("hidden") or model.options.get("channels") or ()))
    latent = " and ".join(map(str, model.latent))
    return {
        "data": f"{data.name}: {sizes}; {_values(run)}{_given(run)}",
        "model": f"{model.network} {widths} {model.activation}, z of {latent}, {model.posterior} posterior,"
        f" {model.prior} prior, {model.likelihood} likelihood" + _variance(run),
        "training": _ending(outcome) if outcome else f"under way or killed; weights of epoch {run.weights_epoch}",
    }


def numbers(run: RunFolder) -> Numbers:
    """The scores of a run."""
    parts = list(dict.fromkeys(_part(run, score) for score in run.scores))
    rows = [(title, [_cell(run, name, part) for part in parts]) for name, title in titles().items()]
    return Numbers(parts, [row for row in rows if any(row[1])], _legend(run))


def with_error(score: Score) -> str:
    """Value and standard error, to at least two digits of the error."""
    if score.stderr is None:
        return f"{score.value:.2f}"
    decimals = min(4, max(2, 1 - floor(log10(score.stderr)))) if score.stderr > 0 else 2
    return f"{score.value:.{decimals}f} ± {score.stderr:.{decimals}f}"


def _values(run: RunFolder) -> str:
    """What an example is."""
    data = run.data
    if not data.columns:
        shape = " x ".join(map(str, data.shape))
        return f"{shape}, {data.kind} values, binarisation: {run.config.data.binarize}"
    kinds = Counter(column.kind for column in data.columns)
    return "columns: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _given(run: RunFolder) -> str:
    """What every number is conditional on."""
    names = ", ".join(column.name for column in run.data.condition_columns)
    return f"; given {names}: p(x) is p(x|{names})" if names else ""


def _variance(run: RunFolder) -> str:
    likelihood = run.model.likelihood
    learned = " (learned)" if run.resolved.options.get("variance") == "learned" else ""
    return f" of variance {likelihood.variance:.4g}{learned}" if isinstance(likelihood, Gaussian) else ""


def _ending(outcome: Outcome) -> str:
    how = {"early": ", stopped early", "finished": ""}.get(outcome.ended, f", {outcome.ended}")
    return f"{outcome.epochs} epochs in {outcome.seconds:.1f} s{how}; weights of epoch {outcome.kept or 1}"


def _part(run: RunFolder, score: Score) -> str:
    """The part of the data that a score is of, with its size where that is not the whole part."""
    name = {"valid": "validation"}.get(score.split, score.split)
    return name if score.examples in (None, getattr(run.data, score.split, None)) else f"{name} ({score.examples})"


def _cell(run: RunFolder, name: str, part: str) -> str:
    found = [score for score in run.scores if (score.name, _part(run, score)) == (name, part)]
    if not found:
        return ""
    if name == "active_units":
        return f"{found[-1].value:.0f} of {sum(run.config.model.latent)}"
    return with_error(found[-1])


def _legend(run: RunFolder) -> list[str]:
    draws = {_part(run, score): score.n_importance_samples for score in run.scores if score.name == "log_px"}
    better = "" if run.resolved.posterior == "point" else "; bound and log p(x): higher is better"
    lines = [f"± is the standard error of the mean over the examples{better}."]
    lines += [
        f"log p(x) on {part}: importance sampling with K = {k} draws, a lower bound in expectation."
        for part, k in draws.items()
    ]
    if any(score.name == "loss_without_constant" for score in run.scores):
        lines.append("loss without constant: rate + distortion - D/2 log(2πc), the squared error over 2c plus the KL.")
    titled = titles()
    notes = {
        f"{_part(run, score)}: {score.note}": titled.get(score.name, score.name)
        for score in reversed(run.scores)
        if score.note
    }
    lines += [f"{title} on {note}." for note, title in reversed(notes.items())]
    if any(score.name == "squared_error" for score in run.scores):
        lines.append("squared error: of the reconstruction, summed over an example; it is not in nats.")
    return lines
