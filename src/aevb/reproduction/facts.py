"""The contents of the pages of a reproduced report, independent of their format."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from aevb.evaluation.scores import titles
from aevb.report import wording as report_wording
from aevb.report.settings import differences, versions
from aevb.reproduction import wording
from aevb.reproduction.figures import Drawn, draw
from aevb.reproduction.quantities import Results
from aevb.reproduction.recipe import Recipe, Trial
from aevb.reproduction.verdicts import Scale, Verdict, judge
from aevb.runs.aggregate import SEED, Row, aggregate, result_of
from aevb.runs.run_folder import RunFolder

MEASURED = ("bound", "log_px", "annealing_gain", "rate", "distortion", "squared_error")
"""The columns of the table of trials; a column without test scores is omitted."""


class Table(NamedTuple):
    """Columns and rows of text; the first column is the name of the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Judged(NamedTuple):
    """A row of a table of claims.

    Attributes:
        number: the number of the claim, from 1.
        label, unit, reported, ours, required: cells.
        outcome: holds, fails, undecided or not judged.
        reason: the evidence.
        note: the text below the claim.
    """

    number: int
    label: str
    unit: str
    reported: str
    ours: str
    required: str
    outcome: str
    reason: str
    note: str

    @property
    def mark(self) -> str:
        """The outcome as a symbol."""
        return wording.MARKS[self.outcome]


class Group(NamedTuple):
    """Claims of one origin.

    Attributes:
        title: the title of their table.
        summary: the number of claims that hold, in words.
        claims: the rows.
    """

    title: str
    summary: str
    claims: Sequence[Judged]

    @property
    def table(self) -> Table:
        """The rows as text, without notes."""
        rows = [
            [
                str(row.number),
                row.label,
                row.reported,
                row.ours,
                row.unit,
                row.required,
                f"{row.mark} {row.outcome}: {row.reason}",
            ]
            for row in self.claims
        ]
        return Table(["", "claim", "reported", "ours", "unit", "required", "verdict"], rows)


class Trained(NamedTuple):
    """A trial, summarized over its seeds.

    Attributes:
        name: the name of the trial.
        trial: the trial of the recipe.
        seeds: the number of runs.
        scores: test scores by name, mean ± standard deviation.
        notes: notes of the test scores, by name of the score.
        parameters: the number of parameters of a model.
        seconds: the mean training time of a run.
        epoch_seconds: the mean training time of an epoch.
    """

    name: str
    trial: Trial
    seeds: int
    scores: dict[str, str]
    notes: dict[str, str]
    parameters: int
    seconds: float
    epoch_seconds: float

    @property
    def data(self) -> str:
        """The data set and its binarization."""
        settings = self.trial.config.data
        return settings.source + (f", {settings.binarize}" if settings.binarize != "none" else "")

    @property
    def settings(self) -> list[str]:
        """The settings that differ from the defaults, as `model.latent=2`."""
        return differences(self.trial.config)

    @property
    def others(self) -> dict[str, str]:
        """The scores without a column in the table, by title."""
        return {_title(name): text for name, text in self.scores.items() if name not in MEASURED}

    @property
    def titles_of_notes(self) -> dict[str, str]:
        """The titles of the scores with each note, by note."""
        return {
            note: ", ".join(_title(name) for name in self.notes if self.notes[name] == note)
            for note in dict.fromkeys(self.notes.values())
        }


@dataclass(frozen=True)
class Report:
    """The contents of the pages.

    Attributes:
        recipe: the recipe.
        folder: the folder of the runs and the pages.
        scale: the scale of the experiments.
        seeds: the seeds of the runs.
        verdicts: the verdicts on the claims.
        by_seed: the value of each claim for each seed; None if it is missing.
        figures: the figures in order.
        trials: the trials in order.
        seconds: the total training time.
        failures: the failures, one line each.
    """

    recipe: Recipe
    folder: Path
    scale: Scale
    seeds: Sequence[int]
    verdicts: Sequence[Verdict]
    by_seed: Sequence[Mapping[int, float | None]]
    figures: Sequence[Drawn]
    trials: Sequence[Trained]
    seconds: float
    failures: Sequence[str]

    @property
    def summary(self) -> str:
        """The number of the report's claims that hold, in words."""
        return self.groups[0].summary

    @property
    def command(self) -> str:
        """The command that reproduces the page."""
        return f"aevb reproduce {self.recipe.name} --scale {self.scale} --seeds {len(self.seeds)}"

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the software."""
        return versions()

    @cached_property
    def groups(self) -> list[Group]:
        """The claims of the report, and our own expectations, if there are any."""
        numbered = list(enumerate(self.verdicts, 1))
        noun = self.recipe.noun
        of = " of the report" if self.recipe.author else ""
        titles = {True: (f"{noun.capitalize()}s{of}", noun), False: ("Our own questions", "expectation")}
        groups = []
        for of_report, (title, name) in titles.items():
            chosen = [pair for pair in numbered if pair[1].claim.of_report == of_report]
            if chosen or of_report:
                summary = wording.summary([verdict for _, verdict in chosen], name)
                groups.append(Group(title, summary, [_judged(*pair) for pair in chosen]))
        return groups

    @property
    def claims(self) -> list[Judged]:
        """The rows of all tables of claims."""
        return [row for group in self.groups for row in group.claims]

    @property
    def key(self) -> Drawn | None:
        """The figure that the page opens with; None without one."""
        return next((drawn for drawn in self.figures if drawn.picture.name == self.recipe.key), None)

    @property
    def other_figures(self) -> list[Drawn]:
        """The figures but the first."""
        return [drawn for drawn in self.figures if drawn is not self.key]

    @property
    def introduction(self) -> list[str]:
        """The paragraphs that the page opens with: at full scale what was learned, then what is reproduced."""
        learned = self.recipe.learned if self.scale == "full" else ""
        return [paragraph for text in (learned, self.recipe.about) for paragraph in text.split("\n\n") if paragraph]

    @property
    def remarks(self) -> dict[str, Sequence[str]]:
        """Errors in the report and differences from it, by title."""
        subject = "report" if self.recipe.author else "published models"
        return {
            "Errors in the report": self.recipe.errata,
            f"Differences from the {subject}": self.recipe.differences,
        }

    @cached_property
    def measured(self) -> Table:
        """The table of trials and their scores."""
        shown = [name for name in MEASURED if any(name in trial.scores for trial in self.trials)]
        samples = ["K"] if "log_px" in shown else []
        columns = ["trial", "data", "parameters", "seeds", *map(_title, shown), *samples, "training", "an epoch"]
        return Table(columns, [_measured(trial, shown) for trial in self.trials])

    @property
    def legend(self) -> list[str]:
        """The legend of the table of trials."""
        lines = [
            "Test scores in nats per example (squared error: not in nats); mean ± standard deviation over the seeds.",
            "Training: mean time of a run, and of an epoch.",
        ]
        if any("log_px" in trial.scores for trial in self.trials):
            lines.append("log p(x) is estimated with K importance samples, a lower bound in expectation.")
        if any(trial.notes for trial in self.trials):
            lines.append("† see the notes of the trial in results.json.")
        return lines


def _measured(trial: Trained, shown: Sequence[str]) -> list[str]:
    """Return a row of the table of trials."""
    samples = str(trial.trial.n_importance_samples) if "log_px" in trial.scores else "–"
    return [
        trial.name,
        trial.data,
        f"{trial.parameters:,}" if trial.seeds else "–",
        str(trial.seeds),
        *(trial.scores.get(name, "–") + " †" * (name in trial.notes) for name in shown),
        *([samples] if "log_px" in shown else []),
        report_wording.duration(trial.seconds),
        report_wording.duration(trial.epoch_seconds),
    ]


def gather(recipe: Recipe, results: Results, scale: Scale, failures: Sequence[str]) -> Report:
    """Judge the claims, plot the figures and summarize the runs of a recipe."""
    runs = {name: [run for run in results.runs(name) if run.scores] for name in recipe.trials}
    return Report(
        recipe=recipe,
        folder=results.folder,
        scale=scale,
        seeds=results.seeds,
        verdicts=judge(recipe.claims, results, scale),
        by_seed=[{seed: claim.ours.value(results, seed) for seed in results.seeds} for claim in recipe.claims],
        figures=[draw(picture, results) for picture in recipe.pictures],
        trials=[_trained(name, trial, runs[name]) for name, trial in recipe.trials.items()],
        seconds=sum(second for group in runs.values() for second in _seconds(group)),
        failures=[failure.replace(f"{results.folder}/", "") for failure in failures],
    )


def _judged(number: int, verdict: Verdict) -> Judged:
    claim = verdict.claim
    return Judged(
        number=number,
        label=claim.label,
        unit=claim.unit,
        reported=wording.reported(claim.reported),
        ours=report_wording.with_spread(verdict.mean, verdict.std),
        required=verdict.required,
        outcome=verdict.outcome,
        reason=wording.reason(verdict),
        note=claim.note,
    )


def _trained(name: str, trial: Trial, runs: Sequence[RunFolder]) -> Trained:
    rows = aggregate([result_of(run, {"trial": name, SEED: run.config.seed}) for run in runs])
    seconds, epochs = _seconds(runs), sum(len(run.epochs) for run in runs)
    return Trained(
        name=name,
        trial=trial,
        seeds=len(runs),
        scores=dict(_test_scores(rows[0], runs[0])) if rows else {},
        notes={score.name: score.note for run in runs for score in run.scores if score.split == "test" and score.note},
        parameters=sum(parameter.numel() for parameter in runs[0].model.parameters()) if runs else 0,
        seconds=fmean(seconds) if seconds else nan,
        epoch_seconds=sum(seconds) / epochs if epochs else nan,
    )


def _test_scores(row: Row, run: RunFolder) -> Iterator[tuple[str, str]]:
    """Yield the test scores in the order of the run."""
    for name in dict.fromkeys(score.name for score in run.scores):
        if ("test", name) in row.mean:
            yield name, report_wording.with_spread(row.mean["test", name], row.std["test", name])


def _seconds(runs: Sequence[RunFolder]) -> list[float]:
    return [run.outcome.seconds for run in runs if run.outcome]


def _title(name: str) -> str:
    return titles().get(name, name.replace("_", " "))
