"""The contents of the page of a run: scores, diagnostics, figures and commands."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from aevb.columns import Column, Value, modelled
from aevb.data.condition import all_conditions
from aevb.data.dataset import IN_MEMORY, Dataset
from aevb.data.tables.encode import decode_value
from aevb.data.tables.summary import TITLES
from aevb.data.tables.write import as_text
from aevb.evaluation.diagnosis import EXPLAINS, Finding
from aevb.evaluation.quality.summary import SummaryTable, introduction, summaries
from aevb.evaluation.scores import Score, titles, with_error
from aevb.models.registry import register
from aevb.report import settings
from aevb.runs import summary
from aevb.runs.quality import QUALITY, load_quality
from aevb.runs.run_folder import RunFolder

HEADLINE = ("log_px", "bound", "rate", "distortion")
"""The test scores at the top of the page."""
QUALITY_CAPTION = (
    "Similarity of each column, 1 for equal distributions, and difference of each pair of columns, 0 for equal"
    " associations: of samples, and of training rows in their place."
)
WITHOUT_DATA = ("sample", "impute")
"""The purposes of commands that do not read the data of the run."""
FILES = ("config.json", "scores.json", "quality.json", "metrics.jsonl", "model.safetensors")


class FigureFile(NamedTuple):
    """A figure of the run.

    Attributes:
        title: the heading of the figure.
        caption: the text below it; may be empty.
        file: the path of the image.
        width, height: the size of the image in pixels.
    """

    title: str
    caption: str
    file: Path
    width: int
    height: int


class QualitySection(NamedTuple):
    """The quality of samples of a table.

    Attributes:
        introduction: what is compared.
        tables: the measures.
        figure: the measures of columns and pairs; None without one.
    """

    introduction: str
    tables: list[SummaryTable]
    figure: FigureFile | None


@dataclass(frozen=True)
class RunPage:
    """The contents of the page of a run.

    Attributes:
        run: a run with scores.
        findings: the findings of the diagnosis; None if there is no diagnosis.
        dataset: the data of the run; None if they are not described.
    """

    run: RunFolder
    findings: Sequence[Finding] | None
    dataset: Dataset | None = None
    checks = len(EXPLAINS)
    column_titles = TITLES

    @property
    def title(self) -> str:
        """The name of the run."""
        return self.run.folder.resolve().name

    @property
    def description(self) -> Mapping[str, str]:
        """Data, model and training in words."""
        return summary.description(self.run)

    @property
    def headline(self) -> dict[str, str]:
        """The main test scores by title; a dagger marks a score with a note."""
        title = titles()
        return {
            f"{title[score.name]}, nats": with_error(score) + " †" * bool(score.note) for score in self._main_scores
        }

    @property
    def notes(self) -> list[str]:
        """The notes of the main test scores."""
        return list(dict.fromkeys(score.note for score in self._main_scores if score.note))

    @property
    def _main_scores(self) -> list[Score]:
        scores = {score.name: score for score in self.run.scores if score.split == "test"}
        return [scores[name] for name in HEADLINE if name in scores]

    @property
    def numbers(self) -> summary.Numbers:
        """All scores."""
        return summary.numbers(self.run)

    @property
    def columns(self) -> list[tuple[str, ...]]:
        """The columns of a table with their types and values, as texts below `column_titles`."""
        return self.dataset.column_cells if self.dataset else []

    @property
    def data_notes(self) -> Sequence[str]:
        """What was done to the data, such as how dates were read."""
        return self.dataset.notes if self.dataset else ()

    @property
    def figures(self) -> list[FigureFile]:
        """The figures in the folder of the run."""
        return list(_figures(self.run.folder / "figures"))

    @property
    def quality(self) -> QualitySection | None:
        """The quality of samples; None if it has not been measured."""
        measured = load_quality(self.run.folder)
        if measured is None:
            return None
        file = (self.run.folder / QUALITY).with_suffix(".png")
        figure = _figure_file("Columns and pairs of columns", QUALITY_CAPTION, file) if file.is_file() else None
        return QualitySection(introduction(measured), summaries(measured), figure)

    @property
    def explored(self) -> bool:
        """Whether the folder of the run contains an explorer."""
        return (self.run.folder / "explorer.html").is_file()

    @property
    def commands(self) -> dict[str, str]:
        """Commands that use the run, by purpose; of data in memory, only those that do not read them."""
        folder = shlex.quote(str(self.run.folder))
        config = shlex.quote(str(self.run.folder / "config.json"))
        columns = self.run.data.condition_columns
        condition = "" if all_conditions(columns) is not None else self._condition
        commands = {
            "explore": f"aevb explore {folder}{self._condition}",
            "evaluate": f"aevb evaluate {folder} --n-importance-samples 5000",
            **(_table_commands(folder, condition) if self.run.data.columns else {"sample": f"aevb sample {folder}"}),
            "train": f"aevb train --config {config}",
        }
        in_memory = self.run.config.data.source == IN_MEMORY
        return {purpose: text for purpose, text in commands.items() if not in_memory or purpose in WITHOUT_DATA}

    @property
    def _condition(self) -> str:
        """The options of the most frequent condition of test examples; empty for an unconditional model."""
        columns = modelled(self.run.data.condition_columns)
        if not columns or self.dataset is None or self.dataset.test.condition is None:
            return "".join(_condition_option(column, "VALUE") for column in columns)
        rows, counts = self.dataset.test.condition.unique(dim=0, return_counts=True)
        values = zip(columns, rows[counts.argmax()].numpy(), strict=True)
        return "".join(_condition_option(column, decode_value(column, number)) for column, number in values)

    @property
    def settings(self) -> list[str]:
        """The settings that differ from the defaults."""
        return settings.differences(self.run.config)

    @property
    def config(self) -> str:
        """The configuration as JSON."""
        return settings.whole(self.run.config)

    @property
    def files(self) -> list[str]:
        """The other files in the folder of the run."""
        return [name for name in FILES if (self.run.folder / name).is_file()]

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the software."""
        return settings.versions()


def _condition_option(column: Column, value: Value | None) -> str:
    """Return an option of the shell with a space before it; no value is an empty text."""
    return " " + shlex.quote(f"--condition.{column.name}={'' if value is None else as_text(value)}")


def _table_commands(folder: str, condition: str) -> dict[str, str]:
    """Return commands for the model of a table, by purpose; `condition` is the option that samples need."""
    return {
        "sample": f"aevb sample {folder}{condition} --n-samples 1000 --out samples.csv",
        "quality": f"aevb quality {folder}",
        "impute": f"aevb impute {folder} gaps.csv --out imputed.csv",
        "score": f"aevb score {folder} new.csv --out scores.csv",
    }


def gather(run: RunFolder, findings: Sequence[Finding] | None, dataset: Dataset | None = None) -> RunPage:
    """Return the contents of the page, with the folder of the run in the suggested commands.

    Args:
        run: a run with scores.
        findings: the findings of the diagnosis; None if there is no diagnosis.
        dataset: the data of the run, whose columns and notes are shown; None without them.
    """
    folder = shlex.quote(str(run.folder))
    named = findings and [replace(finding, remedy=finding.remedy.replace("RUN", folder)) for finding in findings]
    return RunPage(run, named, dataset)


def _figures(folder: Path) -> Iterator[FigureFile]:
    """Yield the registered figures in their order, then all others, such as those of plugins that are not loaded."""
    names = register.plot.names()
    others = sorted(file.stem for file in folder.glob("*.png") if file.stem not in names)
    for name in (*names, *others):
        file, facts = folder / f"{name}.png", register.plot.facts(name) if name in names else {}
        if file.is_file():
            title = facts.get("title", name.replace("-", " ").replace("_", " ").capitalize())
            yield _figure_file(title, facts.get("caption", ""), file)


def _figure_file(title: str, caption: str, file: Path) -> FigureFile:
    with Image.open(file) as image:
        return FigureFile(title, caption, file, *image.size)
