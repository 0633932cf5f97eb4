"""Terminal output: progress, then tables, or JSON.

Names from files are shown without markup, and unprintable characters in them as escapes.
"""

import json as json_format
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from shlex import quote
from threading import Event, Thread

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from aevb.config.schema import Config
from aevb.data import Dataset
from aevb.data.tables.summary import TITLES
from aevb.errors import counted, printable
from aevb.evaluation import Score
from aevb.evaluation.anomalies import smallest_rate
from aevb.evaluation.diagnosis import Finding
from aevb.evaluation.progress import watched
from aevb.evaluation.quality import Quality
from aevb.evaluation.quality.summary import introduction, summaries
from aevb.evaluation.scores import titles, with_error
from aevb.runs.aggregate import Row, RunResult
from aevb.runs.export import Exported
from aevb.runs.run_folder import RunFolder
from aevb.runs.summary import description, numbers
from aevb.training.history import Epoch
from aevb.workflow.progress import Hooks
from aevb.workflow.run import AnomalySummary

SPEED_PERIOD = 600.0
"""Seconds over which the speed of a reproduction is averaged: runs differ in length."""
BAR_STEPS = 1_000_000
"""Steps of the progress bar of a reproduction."""
WIDTH = 160
"""Characters of a table that is not printed to a terminal."""


def new_table() -> Table:
    return Table(box=None, pad_edge=False, header_style="")


def _output(width: int | None = None) -> Console:
    """Return the console of results."""
    return Console(highlight=False, markup=False, emoji=False, width=width)


def _errors() -> Console:
    """Return the console of progress."""
    return Console(stderr=True, markup=False, emoji=False)


class TerminalProgress:
    """Displays the progress of a workflow, if standard error is a terminal."""

    def loaded(self, dataset: Dataset) -> None:
        """Show the types of the columns of a table, and notes on the data."""
        if dataset.columns:
            show_columns(dataset)
        show_notes(dataset)

    def planned(self, config: Config) -> None:
        """Show the number of epochs that fit into a budget of time."""
        assert config.train.epochs is not None
        _errors().print(f"{counted(config.train.epochs, 'epoch')} fit into the budget")

    @contextmanager
    def training(self, config: Config, dataset: Dataset) -> Iterator[Hooks]:
        """Show a bar with the remaining time and the validation bound."""
        epochs, steps = config.train.plan(dataset.n_train)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), "left", TimeRemainingColumn())
        with _progress(columns) as progress:
            task = progress.add_task(f"epoch 1/{epochs}", total=epochs * steps)

            def on_epoch(epoch: Epoch) -> None:
                bound = f", validation bound {epoch.valid.bound:.2f}" if epoch.valid else ""
                progress.update(task, description=f"epoch {epoch.number}/{epochs}{bound}")

            yield Hooks(lambda: progress.advance(task), on_epoch)

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show a line during a computation."""
        with status(text):
            yield


def _progress(columns: Sequence[ProgressColumn | str], speed_period: float = 30.0) -> Progress:
    console = _errors()
    return Progress(
        *columns,
        console=console,
        disable=not console.is_terminal,
        transient=True,
        speed_estimate_period=speed_period,
    )


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show a line during a computation, with the number of examples that are done, if standard error is a terminal."""
    console, line = _errors(), Text(printable(text))
    if not console.is_terminal:
        yield
        return
    with (
        console.status(line) as shown,
        watched(lambda done, total: shown.update(line + Text(f", {done:,} of {total:,} examples"))),
    ):
        yield


@contextmanager
def blocks(text: str, count: int) -> Iterator[Callable[[], object]]:
    """Show a bar for the blocks of a file; yield what is to be called after each block."""
    with _progress((text, BarColumn(), MofNCompleteColumn(), "blocks", TimeRemainingColumn(), "left")) as progress:
        task = progress.add_task("", total=count)
        yield lambda: progress.advance(task)


def print_json(content: object) -> None:
    """Print content as JSON."""
    print(json_format.dumps(content, indent=2))


def show_run(run: RunFolder, json: bool) -> None:
    """Print data, model, training and scores of a run."""
    if json:
        outcome = run.outcome.model_dump() if run.outcome else None
        print_json({"run": str(run.folder), "scores": [asdict(score) for score in run.scores], "training": outcome})
        return
    scores, table, console = numbers(run), new_table(), _output()
    table.add_column("nats per example")
    for split in scores.splits:
        table.add_column(printable(split), justify="right")
    for title, cells in scores.rows:
        table.add_row(title, *cells)
    page = ", page in report.html" if (run.folder / "report.html").exists() else ""
    for name, text in (description(run) | {"run": str(run.folder) + page}).items():
        console.print(printable(f"{name:<9} {text}"), soft_wrap=True)
    console.print()
    console.print(table)
    console.print()
    for line in scores.legend:
        console.print(printable(line), soft_wrap=True)


def show_findings(run: Path, findings: Sequence[Finding], checks: int, json: bool) -> None:
    """Print the findings of a diagnosis."""
    if json:
        print_json({"run": str(run), "findings": [asdict(finding) for finding in findings]})
        return
    for finding in findings:
        lines = (
            finding.problem,
            f"  evidence  {finding.evidence}",
            f"  cause     {finding.cause}",
            f"  try       {finding.remedy.replace('RUN', quote(str(run)))}",
        )
        print(*map(printable, lines), "", sep="\n")
    if not findings:
        print(f"{run}: {checks} checks, no problems found")


@contextmanager
def run_counter(total: int) -> Iterator[Callable[[RunResult], None]]:
    """Show a bar that counts runs; yields the function to call after each."""
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _progress(columns) as progress:
        task = progress.add_task("runs", total=total)
        yield lambda _: progress.advance(task)


@contextmanager
def reproduction_progress(name: str, runs: int, share: Callable[[], float]) -> Iterator[Callable[[RunResult], None]]:
    """Show a bar that advances within runs, with the remaining time; without a terminal, a line after each run.

    Args:
        name: of the report.
        runs: number of its runs.
        share: function that returns the completed share of all work.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), "left", TimeRemainingColumn())
    completed = 0

    def steps() -> int:
        return round(BAR_STEPS * share())

    with _progress(columns, SPEED_PERIOD) as progress:
        task = progress.add_task(f"{name}, {runs} runs", total=BAR_STEPS, completed=steps())

        def on_run(result: RunResult) -> None:
            nonlocal completed
            completed += 1
            progress.update(task, description=f"{name}, {completed} of {runs} runs")
            if not progress.console.is_terminal:
                values = ", ".join(f"{option} {value}" for option, value in result.values.items())
                outcome = "failed" if result.problem else "done"
                print(f"{name}, {completed} of {runs} runs: {values}, {outcome}", file=sys.stderr)

        with _every(1.0, lambda: progress.update(task, completed=steps())):
            yield on_run


@contextmanager
def _every(seconds: float, action: Callable[[], object]) -> Iterator[None]:
    """Call a function repeatedly in a thread."""
    stop = Event()

    def repeat() -> None:
        while not stop.wait(seconds):
            action()

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wide_output() -> Console:
    """Return the console of wide tables."""
    return _output(None if sys.stdout.isatty() else WIDTH)


def sweep_json(rows: Sequence[Row]) -> str:
    """Return the rows of a sweep as JSON."""
    content = [row._asdict() | {"mean": _finite(row.mean), "std": _finite(row.std)} for row in rows]
    return json_format.dumps(content, indent=2) + "\n"


def _finite(values: Mapping[tuple[str, str], float]) -> dict[str, float | None]:
    return {" ".join(name): value if isfinite(value) else None for name, value in sorted(values.items())}


SWEEP_COLUMNS = {
    ("valid", "bound"): "validation bound",
    ("test", "bound"): "test bound",
    ("test", "log_px"): "log p(x)",
    ("test", "squared_error"): "squared error",
}


def show_sweep(rows: Sequence[Row], folder: Path) -> None:
    """Print the rows of a sweep."""
    table, console = new_table(), wide_output()
    for option in rows[0].values:
        table.add_column(option)
    for title in ("seeds", *SWEEP_COLUMNS.values()):
        table.add_column(title, justify="right")
    for row in rows:
        cells = [_mean_and_std(row.mean[name], row.std[name]) if name in row.mean else "" for name in SWEEP_COLUMNS]
        table.add_row(*map(str, row.values.values()), str(row.seeds), *cells)
    console.print(table)
    console.print()
    for problem in dict.fromkeys(problem for row in rows for problem in row.problems):
        console.print(f"failed: {problem}", soft_wrap=True)
    console.print(
        "mean ± standard deviation over the seeds, nats per example; select by validation, report the test split.",
        soft_wrap=True,
    )
    if any(row.seeds for row in rows):
        console.print(f"runs, sweep.json and sweep.png in {folder}", soft_wrap=True)


def _mean_and_std(mean: float, std: float) -> str:
    return f"{mean:.2f} ± {std:.2f}" if isfinite(std) else f"{mean:.2f}"


def show_anomalies(
    summary: AnomalySummary, file: Path, false_alarm_rate: float, dates: Sequence[str], json: bool
) -> None:
    """Print how many examples are anomalies, the threshold, and a note if columns of dates may be the reason."""
    examples, held_out, anomalies, threshold, outside = summary
    if json:
        content: dict[str, object] = {"file": str(file), "examples": examples, "held_out": held_out, "outside": outside}
        if anomalies is not None:
            content |= {
                "anomalies": anomalies,
                "threshold": threshold,
                "false_alarm_rate": false_alarm_rate,
            }
        print_json(content)
        return
    if anomalies is None:
        lowest = f"{held_out} held-out examples support no rate of false alarms below {smallest_rate(held_out):.2g}"
        reason = f"{lowest}: use --false-alarm-rate" if held_out else "no examples were held out"
        print(f"log p(x) of {examples} examples; no threshold, because {reason}")
    else:
        print(
            f"{anomalies} of {examples} examples are anomalies: log p(x) below {threshold:.4f} nats, at most"
            f" {100 * false_alarm_rate:g} % false alarms, calibrated on {held_out} held-out examples"
        )
        by_chance = examples * false_alarm_rate + 3 * (examples * false_alarm_rate) ** 0.5
        if dates and anomalies - outside > by_chance:
            print(
                f"Dates beyond those of training are improbable by themselves. To ignore {' and '.join(dates)},"
                f" train with {' '.join(f'--data.column-types.{name} none' for name in dates)}"
            )
    if outside:
        have = "has a value" if outside == 1 else "have values"
        print(f"{counted(outside, 'example')} {have} that cannot occur in the training data, see the column reason")
    print(f"wrote {file}")


def show_rate(n_drawn: int, n_accepted: int) -> None:
    """Print the share of samples that satisfied constraints."""
    print(f"{n_accepted} of {n_drawn} samples ({100 * n_accepted / n_drawn:.1f} %) satisfy the constraints")


def show_imputed(file: Path, draws: Path, rows: int, missing: int, json: bool) -> None:
    """Print how many values were imputed."""
    if json:
        print_json({"file": str(file), "draws": str(draws), "rows": rows, "missing": missing})
        return
    print(f"imputed {counted(missing, 'missing value')} in {counted(rows, 'row')}\nwrote {file}\nwrote {draws}")


def show_quality(quality: Quality, file: Path, json: bool) -> None:
    """Print the quality of synthetic rows."""
    if json:
        print_json({"file": str(file), "figure": str(file.with_suffix(".png"))} | quality.as_json())
        return
    console = wide_output()
    console.print(printable(introduction(quality)), soft_wrap=True)
    for summary in summaries(quality):
        table = new_table()
        for position, title in enumerate(summary.header):
            table.add_column(title, justify="right" if position and title != "measure" else "left")
        for cells in summary.rows:
            table.add_row(*map(printable, cells))
        console.print()
        console.print(table)
        console.print(summary.note, soft_wrap=True)
    print(f"\nwrote {file} and {file.with_suffix('.png')}")


def show_exported(files: Sequence[Exported], json: bool) -> None:
    """Print the exported files and their accuracy."""
    if json:
        print_json([{"file": str(file.path), "difference": file.difference} for file in files])
        return
    for file in files:
        print(f"wrote {file.path}: differs from PyTorch by at most {file.difference:.1e}")


def show_baselines(scores: Mapping[str, Sequence[Score]], json: bool) -> None:
    """Print the scores of each baseline."""
    if json:
        print_json({name: [asdict(score) for score in of_model] for name, of_model in scores.items()})
        return
    table = new_table()
    table.add_column("test examples")
    title = titles()
    names = [name for name in title if any(score.name == name for of_model in scores.values() for score in of_model)]
    for name in names:
        table.add_column(title[name], justify="right")
    for model, of_model in scores.items():
        cells = {score.name: with_error(score) for score in of_model}
        table.add_row(model, *(cells.get(name, "") for name in names))
    _output().print(table)


def show_columns(dataset: Dataset) -> None:
    """Print what was found in the columns of a table."""
    table, console = new_table(), _errors()
    for title in TITLES:
        table.add_column(title, justify="right" if title in ("missing", "distinct") else "left")
    for cells in dataset.column_cells:
        table.add_row(*map(printable, cells))
    console.print(table)


def show_notes(dataset: Dataset) -> None:
    """Print notes on the data, such as conversions of images."""
    console = _errors()
    for note in dataset.notes:
        console.print(printable(note), soft_wrap=True)
