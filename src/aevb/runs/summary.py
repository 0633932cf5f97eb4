"""Summary of a run for the terminal, its page and its model card: data, model, training and scores."""

from collections import Counter
from typing import NamedTuple

from aevb import display
from aevb.config.schema import ModelConfig
from aevb.data.value_kinds import described
from aevb.errors import counted
from aevb.evaluation.scores import Score, titles, with_error
from aevb.models.likelihoods import Gaussian
from aevb.runs.records import Outcome
from aevb.runs.run_folder import RunFolder
from aevb.training.history import curves


class Numbers(NamedTuple):
    """Scores as a table.

    Attributes:
        splits: titles of the columns.
        rows: title and cells of each score.
        legend: lines that explain the scores.
    """

    splits: list[str]
    rows: list[tuple[str, list[str]]]
    legend: list[str]


def description(run: RunFolder) -> dict[str, str]:
    """Return descriptions of the data, the model and the training of a run."""
    data, model, outcome = run.data, run.resolved, run.outcome
    sizes = f"{data.train} train, {data.valid} validation, {data.test} test"
    latent = " and ".join(map(str, model.layers))
    return {
        "data": f"{data.name}: {sizes}; {_values(run)}{_condition(run)}",
        "model": f"{architecture(model)}, {latent} latent dimensions,"
        f" {model.posterior} posterior, {model.prior} prior, {model.likelihood} likelihood" + _variance(run),
        "training": _ending(outcome) if outcome else f"running or killed; weights of epoch {run.weights_epoch}",
    }


def architecture(model: ModelConfig) -> str:
    """Return the network, the widths of its layers, and their kind, such as "mlp 256 256 relu"."""
    widths = model.options.get("hidden") or model.options.get("channels") or ()
    kind = [block for block in [model.options.get("block", "plain")] if block != "plain"]
    return " ".join(map(str, [model.network, *widths, *kind, model.activation]))


def numbers(run: RunFolder) -> Numbers:
    """Return the scores of a run as a table."""
    splits = list(dict.fromkeys(_split(run, score) for score in run.scores))
    rows = [(title, [_cell(run, name, split) for split in splits]) for name, title in titles().items()]
    return Numbers(splits, [row for row in rows if any(row[1])], _legend(run))


def _values(run: RunFolder) -> str:
    """Return the shape and kind of an example, or the types of the columns."""
    data = run.data
    if not data.columns:
        shape = " x ".join(map(str, data.shape))
        return f"{shape}, {described(data.kind)}, binarization: {run.config.data.binarize}"
    kinds = Counter(column.type_name for column in data.columns)
    return "columns: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _condition(run: RunFolder) -> str:
    """Return the condition of all scores."""
    names = ", ".join(column.name for column in run.data.condition_columns)
    return f"; condition {names}: p(x) is p(x|{names})" if names else ""


def _variance(run: RunFolder) -> str:
    likelihood = run.model.likelihood
    if not isinstance(likelihood, Gaussian):
        return ""
    low, high = (f"{end.item():.4g}" for end in likelihood.variance.aminmax())
    learned = " (learned)" if isinstance(run.resolved.options.get("variance"), str) else ""
    return f" of variance {low}{learned}" if low == high else f" of variances from {low} to {high}{learned}"


def _ending(outcome: Outcome) -> str:
    """Return how training ended."""
    how = {"early": ", stopped early", "finished": ""}.get(outcome.ended, f", {outcome.ended}")
    return f"{counted(outcome.epochs, 'epoch')} in {outcome.seconds:.1f} s{how}; weights of epoch {outcome.kept}"


def _split(run: RunFolder, score: Score) -> str:
    """Return the split of a score, with the number of examples if it is not the whole split."""
    name = {"valid": "validation"}.get(score.split, score.split)
    return name if score.examples in (None, getattr(run.data, score.split, None)) else f"{name} ({score.examples})"


def _cell(run: RunFolder, name: str, split: str) -> str:
    scores = [score for score in run.scores if (score.name, _split(run, score)) == (name, split)]
    if not scores:
        return ""
    if name == "active_units":
        layers = run.resolved.layers
        each = [_cell(run, f"active_units_{number}", split) for number in range(1, len(layers) + 1)]
        return f"{scores[-1].value:.0f} of {sum(layers)}" + (f" ({', '.join(each)})" if all(each) else "")
    if name.startswith("active_units_"):
        return f"{scores[-1].value:.0f} of {run.resolved.layers[int(name.rpartition('_')[2]) - 1]}"
    return with_error(scores[-1])


def _estimator(score: Score) -> str:
    """Return how log p(x) was estimated."""
    k = score.n_importance_samples
    return f"{score.estimator}, K = {k:,}, a lower bound in expectation" if k else f"{score.estimator}, exact"


def _legend(run: RunFolder) -> list[str]:
    estimates = {_split(run, score): score for score in run.scores if score.name == "log_px"}
    better = "" if run.resolved.posterior == "point" else "; bound and log p(x): higher is better"
    lines = [f"± is the standard error of the mean over the examples{better}."]
    lines += [f"log p(x) on {split}: {_estimator(score)}." for split, score in estimates.items()]
    if any(score.name == "loss_without_constant" for score in run.scores):
        several = run.resolved.options.get("variance") == "per-element"
        constant = "1/2 Σ log(2πc)" if several else "D/2 log(2πc)"
        lines.append(f"loss without constant: rate + distortion - {constant}, the squared error over 2c plus the KL.")
    titled = titles()
    notes = {
        f"{_split(run, score)}: {score.note}": titled.get(score.name, score.name)
        for score in reversed(run.scores)
        if score.note
    }
    lines += [f"{title} on {note}." for note, title in reversed(notes.items())]
    if any(score.name == "squared_error" for score in run.scores):
        lines.append("squared error: of the reconstruction, summed over an example; it is not in nats.")
    return lines


def headline(run: RunFolder) -> str:
    """Return the data, the model and the test bound of a run in one line."""
    latent = " and ".join(map(str, run.resolved.layers))
    bounds = [f"test bound {with_error(one)}" for one in run.scores if (one.name, one.split) == ("bound", "test")]
    return ", ".join([run.data.name, f"{latent} latent dimensions", f"{parameters(run):,} parameters", *bounds[-1:]])


def parameters(run: RunFolder) -> int:
    """Return the number of trainable parameters of the model."""
    return sum(parameter.numel() for parameter in run.model.parameters() if parameter.requires_grad)


def as_html(run: RunFolder) -> str:
    """Return the summary of a run for a notebook: data, model, training, scores and the training curve."""
    scores = numbers(run)
    facts = description(run) | {"parameters": f"{parameters(run):,}", "run folder": str(run.folder)}
    table = display.table(["nats per example", *scores.splits], [[title, *cells] for title, cells in scores.rows])
    parts = [table, *map(display.note, scores.legend)] if scores.rows else []
    return display.block("Run", display.table((), list(facts.items())), curves(run.epochs), *parts)
