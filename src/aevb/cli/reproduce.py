"""The command reproduce."""

import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from joblib import cpu_count

from aevb import reproduction as recipes
from aevb.cli import terminal
from aevb.cli.common import Count, Device, Jobs, Json, Plugins
from aevb.errors import BadInput
from aevb.reproduction import pages
from aevb.reproduction import run as reproduction
from aevb.reproduction.facts import Report
from aevb.training.policy import without_denormals
from aevb.workflow.devices import choose_device
from aevb.workflow.options import absolute_data_dir


@without_denormals()  # before PyTorch starts threads, which inherit it
def reproduce(
    names: list[str],
    /,
    *,
    scale: Literal["smoke", "default", "full"] = "default",
    seeds: Count | None = None,
    jobs: Jobs | None = None,
    out: Path = Path("runs"),
    data_dir: str | None = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> int:
    """Reproduce published experiments and compare the results with the reported ones.

    The same command resumes an interrupted reproduction: finished runs are not repeated.

    Args:
        names: hu, yong, zhao, guo, laird, or all.
        scale: smoke (seconds), default (minutes on two cores) or full (as in the report).
        seeds: Runs of each experiment. Default: as many as the report needs; one at scale smoke.
        jobs: Number of parallel processes. Default: number of cores, 1 on a GPU.
        out: Folder in which each report has its own folder NAME-SCALE, with runs, figures and report.html.
        data_dir: Folder of the published data sets.
    """
    own_device = choose_device(device)
    processes = jobs or (cpu_count() if own_device.type == "cpu" else 1)
    plans = [reproduction.plan(name, scale, seeds, out, absolute_data_dir(data_dir)) for name in _known(names)]
    cells = [cell for plan in plans for cell in plan.cells]
    reproduction.check_data(cells)
    share = partial(reproduction.share_done, cells)
    try:
        reports = [_reproduce(plan, processes, own_device, share, json) for plan in plans]
    except KeyboardInterrupt:
        print("interrupted: run the same command to resume", file=sys.stderr)
        return 130
    if json:
        terminal.print_json({report.recipe.name: pages.content(report) for report in reports})
    failures = [f"{report.recipe.name}: {failure}" for report in reports for failure in report.failures]
    for failure in failures:
        print(f"aevb: {failure}", file=sys.stderr)
    return 2 if failures else 0


def _known(names: Sequence[str]) -> list[str]:
    """Return the names of the reports, each once."""
    known = (*recipes.NAMES, "all")
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            advice = f"did you mean {close[0]}?" if close else f"expected {', '.join(known)}"
            raise BadInput(f"no report is named {name!r}: {advice}")
    return list(recipes.NAMES if "all" in names else dict.fromkeys(names))


def _reproduce(
    plan: reproduction.Plan, jobs: int, device: torch.device, share: Callable[[], float], json: bool
) -> Report:
    """Run the trials of a report, write its pages and print its claims."""
    with terminal.reproduction_progress(plan.recipe.name, len(plan.cells), share) as on_run:
        failures = reproduction.reproduce(plan.recipe, plan.results, jobs=jobs, device=device, on_run=on_run)
    with terminal.status(f"writing {plan.results.folder / 'report.html'}"):
        report = pages.write(plan.recipe, plan.results, plan.scale, failures)
    if not json:
        _show_report(report)
    return report


def _show_report(report: Report) -> None:
    """Print the claims of a report and the path of its page."""
    console = terminal.wide_output()
    for group in report.groups:
        table, claims = terminal.new_table(), group.table
        for column in claims.columns:
            table.add_column(column, justify="right" if column in ("", "ours") else "left")
        for row in claims.rows:
            table.add_row(*row)
        console.print(group.title, highlight=False)
        console.print(table)
        console.print()
    summaries = "; our own questions: ".join(group.summary for group in report.groups)
    console.print(f"{report.recipe.name}: {summaries}.", soft_wrap=True)
    console.print("ours: mean ± standard deviation over the seeds; verdict: by the 95 % interval of the mean.")
    console.print(f"page: {report.folder / 'report.html'}", soft_wrap=True)
