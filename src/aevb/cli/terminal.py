"""What a person sees in the terminal: progress while something runs, then tables, or JSON for a program.

Names come from files: they are shown as they are, without markup, and what is not printable in them as an escape. Rich
is imported when it is first needed, so that `aevb --help` is quick.
"""

import json as json_format
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from aevb.config.schema import Config
from aevb.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from aevb.data import Dataset
    from aevb.evaluation import Score
    from aevb.reproduction.facts import Report
    from aevb.runs.aggregate import Row, RunResult
    from aevb.runs.export import Exported
    from aevb.runs.run_folder import RunFolder
    from aevb.training.history import Epoch
    from aevb.workflow.diagnosis import Finding

SPEED_PERIOD = 600.0
"""Seconds from which the time left is told: runs differ in length."""
STEPS = 1_000_000
"""Of the bar over a reproduction."""


def _table() -> "Table":
    from rich.table import Table

    return Table(box=None, pad_edge=False, header_style="")


def _paper(width: int | None = None) -> "Console":
    """Where results are printed."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=width)


def _console() -> "Console":
    """Where progress is shown."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False)


@contextmanager
def training_progress(config: Config, dataset: "Dataset") -> Iterator[Any]:
    """A bar with the time left and the validation bound; nothing where no terminal is looking."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    epochs, steps = config.train.plan(len(dataset.train_source))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), "left", TimeRemainingColumn())
    console = _console()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(f"epoch 1/{epochs}", total=epochs * steps)

        def on_epoch(epoch: "Epoch") -> None:
            bound = f", validation bound {epoch.valid.bound:.2f}" if epoch.valid else ""
            progress.update(task, description=f"epoch {epoch.number}/{epochs}{bound}")

        yield lambda: progress.advance(task), on_epoch


@contextmanager
def status(text: str) -> Iterator[None]:
    """A line while something runs; nothing where no terminal is looking."""
    from rich.text import Text

    console = _console()
    if not console.is_terminal:
        yield
        return
    with console.status(Text(printable(text))):
        yield


def show(run: "RunFolder", json: bool) -> None:
    """The page of numbers: what was trained, on what, and what it reached."""
    from aevb.runs.summary import description, numbers

    if json:
        outcome = run.outcome.model_dump() if run.outcome else None
        content = {"run": str(run.folder), "scores": [asdict(score) for score in run.scores], "training": outcome}
        print(json_format.dumps(content, indent=2))
        return
    found, table, console = numbers(run), _table(), _paper()
    table.add_column("nats per example")
    for part in found.parts:
        table.add_column(printable(part), justify="right")
    for title, cells in found.rows:
        table.add_row(title, *cells)
    where = {"run": str(run.folder) + (", page in report.html" if (run.folder / "report.html").exists() else "")}
    for name, text in (description(run) | where).items():
        console.print(printable(f"{name:<9} {text}"), soft_wrap=True)
    console.print()
    console.print(table)
    console.print()
    for line in found.legend:
        console.print(printable(line), soft_wrap=True)


def show_findings(run: Path, findings: list["Finding"], checks: int, json: bool) -> None:
    """What a diagnosis found, in words."""
    if json:
        print(json_format.dumps({"run": str(run), "findings": [asdict(finding) for finding in findings]}, indent=2))
        return
    for finding in findings:
        remedy = finding.remedy.replace("RUN", str(run))
        parts = (
            finding.what,
            f"  evidence  {finding.evidence}",
            f"  cause     {finding.cause}",
            f"  try       {remedy}",
        )
        print(*map(printable, parts), "", sep="\n")
    if not findings:
        print(f"{run} is well: {checks} checks found nothing")


@contextmanager
def counted(total: int) -> Iterator[Any]:
    """A bar over runs; nothing where no terminal is looking."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = _console()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("runs", total=total)
        yield lambda _: progress.advance(task)


@contextmanager
def reproducing(name: str, runs: int, share: Callable[[], float]) -> Iterator[Any]:
    """A bar that moves within the runs, with the time left; where no terminal is looking, a line as each run ends.

    Args:
        name: of the report.
        runs: how many it has.
        share: which share of everything has been done.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), "left", TimeRemainingColumn())
    console, ended = _console(), 0

    def done() -> int:
        return round(STEPS * share())

    looking: Any = {"console": console, "disable": not console.is_terminal, "transient": True}
    with Progress(*columns, speed_estimate_period=SPEED_PERIOD, **looking) as progress:
        task = progress.add_task(f"{name}, {runs} runs", total=STEPS, completed=done())

        def on_run(outcome: "RunResult") -> None:
            nonlocal ended
            ended += 1
            progress.update(task, description=f"{name}, {ended} of {runs} runs")
            if not console.is_terminal:
                run = ", ".join(f"{field} {value}" for field, value in outcome.values.items())
                how = "failed" if outcome.problem else "done"
                print(f"{name}, {ended} of {runs} runs: {run}, {how}", file=sys.stderr)

        with _every(1.0, lambda: progress.update(task, completed=done())):
            yield on_run


@contextmanager
def _every(seconds: float, do: Callable[[], object]) -> Iterator[None]:
    """Do something again and again, in a thread beside what runs."""
    over = Event()

    def repeat() -> None:
        while not over.wait(seconds):
            do()

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def show_report(report: "Report") -> None:
    """What became of the claims of a report, and where its page is."""
    table, found = _table(), report.claim_table
    for column in found.columns:
        table.add_column(column, justify="right" if column in ("", "ours") else "left")
    for row in found.rows:
        table.add_row(*row)
    console = _paper(None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print()
    console.print(f"{report.recipe.name}: {report.summary}; mean ± deviation over the seeds.", soft_wrap=True)
    console.print(f"page: {report.folder / 'report.html'}", soft_wrap=True)


def show_reports_json(reports: list["Report"]) -> None:
    """The claims of reports and their numbers, by name, for a program."""
    from aevb.reproduction.pages import content

    print(json_format.dumps({report.recipe.name: content(report) for report in reports}, indent=2))


def sweep_json(rows: list["Row"]) -> str:
    """The rows of a sweep for a program."""

    def finite(values: dict[tuple[str, str], float]) -> dict[str, float | None]:
        return {" ".join(name): value if isfinite(value) else None for name, value in sorted(values.items())}

    content = [row._asdict() | {"mean": finite(row.mean), "std": finite(row.std)} for row in rows]
    return json_format.dumps(content, indent=2) + "\n"


def show_sweep(rows: list["Row"], folder: Path) -> None:
    """The rows of a sweep as a table."""
    table = _table()
    columns = {("valid", "bound"): "validation bound", ("test", "bound"): "test bound", ("test", "log_px"): "log p(x)"}
    columns |= {("test", "squared_error"): "squared error"}
    for field in rows[0].values:
        table.add_column(field)
    for title in ("seeds", *columns.values()):
        table.add_column(title, justify="right")
    for row in rows:
        cells = [_mean_and_deviation(row.mean[name], row.std[name]) if name in row.mean else "" for name in columns]
        table.add_row(*map(str, row.values.values()), str(row.seeds), *cells)
    console = _paper(None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print()
    for problem in dict.fromkeys(problem for row in rows for problem in row.problems):
        console.print(f"failed: {problem}", soft_wrap=True)
    console.print("mean ± deviation over the seeds, nats per example; choose by validation, report the test part.")
    console.print(f"runs, sweep.json and sweep.png in {folder}", soft_wrap=True)


def _mean_and_deviation(mean: float, deviation: float) -> str:
    return f"{mean:.2f} ± {deviation:.2f}" if isfinite(deviation) else f"{mean:.2f}"


def show_anomalies(content: dict[str, Any], json: bool) -> None:
    """How many examples were called anomalies, and by what."""
    if json:
        print(json_format.dumps(content, indent=2))
        return
    if content["held_out"]:
        print(
            f"{content['anomalies']} of {content['examples']} examples are anomalies: log p(x) is below"
            f" {content['threshold']:.4g} nats, where at most {100 * content['false_alarms']:g} % of usual examples"
            f" are, by {content['held_out']} held-out ones"
        )
    else:
        print(f"log p(x) of {content['examples']} examples; none were held out that say which values are usual")
    print(f"wrote {content['file']}")


def show_imputed(content: dict[str, Any], json: bool) -> None:
    """What was filled in."""
    if json:
        print(json_format.dumps(content, indent=2))
        return
    print(f"filled {content['gaps']} gaps in {content['rows']} rows\nwrote {content['file']}\nwrote {content['draws']}")


def show_exported(files: list["Exported"], json: bool) -> None:
    """What was exported, and how exactly."""
    if json:
        content = [{"file": str(file.path), "difference": file.difference} for file in files]
        print(json_format.dumps(content, indent=2))
        return
    for file in files:
        print(f"wrote {file.path}: differs from PyTorch by at most {file.difference:.1e}")


def show_baselines(scores: dict[str, list["Score"]], json: bool) -> None:
    """What each baseline reached."""
    from aevb.evaluation.scores import TITLES
    from aevb.runs.summary import with_error

    if json:
        print(json_format.dumps({name: [asdict(score) for score in found] for name, found in scores.items()}, indent=2))
        return
    table = _table()
    table.add_column("test examples")
    names = [name for name in TITLES if any(score.name == name for found in scores.values() for score in found)]
    for name in names:
        table.add_column(TITLES[name], justify="right")
    for model, found in scores.items():
        cells = {score.name: with_error(score) for score in found}
        table.add_row(model, *(cells.get(name, "") for name in names))
    _paper().print(table)


def show_columns(dataset: "Dataset") -> None:
    """What the columns of a table were taken for, and what was done to it."""
    table = _table()
    for title in ("column", "taken for", "values"):
        table.add_column(title)
    for column in sorted((*dataset.columns, *dataset.condition_columns), key=lambda column: column.position):
        values = ", ".join(map(str, column.values[:6])) + (", …" if len(column.values) > 6 else "")
        cells = (column.name, column.kind + ", given" * (column in dataset.condition_columns), values)
        table.add_row(*map(printable, cells))
    console = _console()
    console.print(table)
    for note in dataset.notes:
        console.print(printable(note), soft_wrap=True)
