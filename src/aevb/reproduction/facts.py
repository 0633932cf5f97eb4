"""What the pages of a report say, in the order and the words in which they say it; how they look is not known here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from aevb.evaluation.scores import TITLES
from aevb.report import wording as report_wording
from aevb.report.settings import differences, versions, whole
from aevb.reproduction import wording
from aevb.reproduction.figures import Drawn, draw
from aevb.reproduction.recipe import Recipe, Results, Scale, Trial, Verdict, judge
from aevb.runs.aggregate import SEED, Row, aggregate, result_of
from aevb.runs.run_folder import RunFolder

MEASURED = ("bound", "log_px", "rate", "distortion", "squared_error")
"""The columns of the table of trials, where any trial has such a score of its test part."""


class Table(NamedTuple):
    """Columns and rows of text; the first column names the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Judged(NamedTuple):
    """A row of the table of claims.

    Attributes:
        number: of the claim, from 1 on.
        label, reported, ours, asked: cells.
        outcome: in a word.
        reason: for it.
        note: below the claim.
    """

    number: int
    label: str
    reported: str
    ours: str
    asked: str
    outcome: str
    reason: str
    note: str

    @property
    def mark(self) -> str:
        """The outcome as a sign."""
        return wording.MARKS[self.outcome]


class Trained(NamedTuple):
    """A trial, over its seeds.

    Attributes:
        name: of the trial.
        trial: as the recipe has it.
        seeds: how many runs there are.
        scores: of the test part, mean ± deviation, by name.
        doubtful: what scores say against themselves, by name.
        seconds: of training a run, on average.
    """

    name: str
    trial: Trial
    seeds: int
    scores: dict[str, str]
    doubtful: dict[str, str]
    seconds: float

    @property
    def data(self) -> str:
        """What it was trained on, and how that was made binary."""
        settings = self.trial.config.data
        return settings.source + (f", {settings.binarize}" if settings.binarize != "none" else "")

    @property
    def settings(self) -> list[str]:
        """Where its configuration differs from the defaults, as `model.latent=2`."""
        return differences(self.trial.config)

    @property
    def config(self) -> str:
        """The whole configuration, as JSON that --config reads, a section a line."""
        return whole(self.trial.config)

    @property
    def others(self) -> dict[str, str]:
        """The scores that have no column of their own, by title."""
        return {_title(name): text for name, text in self.scores.items() if name not in MEASURED}

    @property
    def doubts(self) -> dict[str, str]:
        """What scores say against themselves, to the titles of these scores."""
        notes = dict.fromkeys(self.doubtful.values())
        return {
            note: ", ".join(_title(name) for name in self.doubtful if self.doubtful[name] == note) for note in notes
        }


@dataclass(frozen=True)
class Report:
    """Everything that there is to say.

    Attributes:
        recipe: what was done.
        folder: of the runs, and of the pages.
        scale: at which it was done.
        seeds: of the runs.
        verdicts: on the claims.
        by_seed: the number of each claim for each seed; None where there is none.
        figures: in order.
        trials: in order.
        seconds: of all training.
        failures: what failed, a line each.
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
        """How many claims hold."""
        return wording.summary(self.verdicts)

    @property
    def command(self) -> str:
        """What makes all this again."""
        return f"aevb reproduce {self.recipe.name} --scale {self.scale} --seeds {len(self.seeds)}"

    @property
    def versions(self) -> dict[str, str]:
        """Of what it was made with."""
        return versions()

    @cached_property
    def claims(self) -> list[Judged]:
        """The table of claims."""
        return [
            Judged(
                number=number,
                label=verdict.claim.label,
                reported=wording.reported(verdict.claim.reported),
                ours=report_wording.with_spread(verdict.mean, verdict.deviation),
                asked=verdict.claim.rule.text,
                outcome=verdict.outcome,
                reason=wording.reason(verdict),
                note=verdict.claim.note,
            )
            for number, verdict in enumerate(self.verdicts, 1)
        ]

    @property
    def claim_table(self) -> Table:
        """The same as text, without the notes."""
        rows = [
            [str(row.number), row.label, row.reported, row.ours, row.asked, f"{row.mark} {row.outcome}, {row.reason}"]
            for row in self.claims
        ]
        return Table(["", "claim", "reported", "ours", "asked for", "verdict"], rows)

    @property
    def remarks(self) -> dict[str, Sequence[str]]:
        """What is known about the report and about us, by title."""
        return {
            "Mistakes in the report": self.recipe.errata,
            "Where our experiments differ": self.recipe.differences,
        }

    @cached_property
    def measured(self) -> Table:
        """What each trial reached."""
        shown = [name for name in MEASURED if any(name in trial.scores for trial in self.trials)]
        draws = ["draws K"] if "log_px" in shown else []
        rows = [
            [
                trial.name,
                trial.data,
                str(trial.seeds),
                *(trial.scores.get(name, "–") + " †" * (name in trial.doubtful) for name in shown),
                *([str(trial.trial.samples) if "log_px" in trial.scores else "–"] if draws else []),
                report_wording.duration(trial.seconds),
            ]
            for trial in self.trials
        ]
        return Table(["trial", "data", "seeds", *map(_title, shown), *draws, "training"], rows)

    @property
    def legend(self) -> list[str]:
        """How to read what was measured."""
        lines = [
            "Of the test part, in nats per example (squared error: not in nats); mean ± deviation over the seeds.",
            "Training: the mean time of a run.",
        ]
        if any("log_px" in trial.scores for trial in self.trials):
            lines.append("log p(x) by importance sampling with K draws, a lower bound in expectation.")
        if any(trial.doubtful for trial in self.trials):
            lines.append("† doubtful by its own account, which stands with the configuration of the trial.")
        return lines


def gather(recipe: Recipe, results: Results, scale: Scale, failures: Sequence[str]) -> Report:
    """Judge the claims, draw the figures and sum up the runs of a recipe."""
    runs = {name: [run for run in results.runs(name) if run.scores] for name in recipe.trials}
    return Report(
        recipe=recipe,
        folder=results.folder,
        scale=scale,
        seeds=results.seeds,
        verdicts=judge(recipe, results, scale),
        by_seed=[{seed: claim.ours.value(results, seed) for seed in results.seeds} for claim in recipe.claims],
        figures=[draw(picture, results) for picture in recipe.pictures],
        trials=[_trained(name, trial, runs[name]) for name, trial in recipe.trials.items()],
        seconds=sum(second for found in runs.values() for second in _seconds(found)),
        failures=[failure.replace(f"{results.folder}/", "") for failure in failures],
    )


def _trained(name: str, trial: Trial, runs: Sequence[RunFolder]) -> Trained:
    rows = aggregate([result_of(run, {"trial": name, SEED: run.config.seed}) for run in runs])
    return Trained(
        name=name,
        trial=trial,
        seeds=len(runs),
        scores=dict(_test_scores(rows[0], runs[0])) if rows else {},
        doubtful={
            score.name: score.note for run in runs for score in run.scores if score.split == "test" and score.note
        },
        seconds=fmean(_seconds(runs)) if runs else nan,
    )


def _test_scores(row: Row, run: RunFolder) -> Iterator[tuple[str, str]]:
    """In the order in which a run has them: the summary has none."""
    for name in dict.fromkeys(score.name for score in run.scores):
        if ("test", name) in row.mean:
            yield name, report_wording.with_spread(row.mean["test", name], row.std["test", name])


def _seconds(runs: Sequence[RunFolder]) -> list[float]:
    return [run.outcome.seconds for run in runs if run.outcome]


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " "))
