"""The command sweep: many runs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from aevb.cli import settings as command_settings
from aevb.cli import terminal
from aevb.cli.common import ConfigFile, Count, Device, ImportanceSamples, Jobs, Json, Plugins, Settings, TrainingData
from aevb.config.schema import Config
from aevb.errors import BadInput
from aevb.files import write_atomically, write_text
from aevb.runs.aggregate import Row, aggregate
from aevb.training.policy import without_denormals
from aevb.workflow import search as searches
from aevb.workflow import sweep as sweeps
from aevb.workflow.devices import choose_device
from aevb.workflow.options import with_absolute_paths
from aevb.workflow.train import load_source


@without_denormals()  # before PyTorch starts threads, which inherit it
def sweep(
    data: TrainingData = None,
    /,
    *,
    over: list[str],
    settings: Settings = Config(),  # noqa: B008  (immutable)
    config: ConfigFile = None,
    out: Path | None = None,
    search: Count | None = None,
    seeds: Count = 1,
    jobs: Jobs = 1,
    n_importance_samples: ImportanceSamples = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> int:
    """Train every combination of values, each with several seeds, and compare them; or search for the best ones.

    The same command resumes an interrupted sweep or search: finished runs are not repeated.

    Args:
        over: Options with their values, as in --over model.latent 2 5 20 train.lr 1e-3 1e-2. With --search also ranges,
            as in --over model.latent=2..20 train.lr=1e-4..1e-2:log.
        out: Folder of the runs. Default: runs/NAME-sweep, or runs/NAME-search.
        search: Number of trials, whose values Optuna chooses for a high validation bound (extra search).
        seeds: Runs of each combination or trial, with seeds --seed, --seed + 1, ...
    """
    own_device = choose_device(device)
    chosen = command_settings.from_options(settings, config, data)
    axes = command_settings.axes(over)
    folder = out or Path("runs") / f"{load_source(chosen).name}-{'search' if search else 'sweep'}"
    if search:
        return _search_and_show(chosen, axes, search, folder, seeds, n_importance_samples, own_device, json, jobs)
    if searches.has_ranges(axes):
        raise BadInput("--over has a range: add --search N for a search with N trials, or list values")
    return sweep_and_show(chosen, axes, folder, seeds, n_importance_samples, own_device, json, jobs)


def sweep_and_show(
    config: Config,
    axes: Mapping[str, Sequence[str]],
    folder: Path,
    seeds: int,
    n_importance_samples: int | None,
    device: torch.device,
    json: bool,
    jobs: int = 1,
) -> int:
    """Run a sweep, write its table and figure into the folder and print it. Returns the exit status."""
    cells = sweeps.plan(with_absolute_paths(config), axes, seeds, folder, n_importance_samples)
    with terminal.run_counter(len(cells)) as advance:
        results = sweeps.sweep(cells, jobs=jobs, device=device, on_run=advance)
    return _show(aggregate(results), folder, json, searched=False)


def _search_and_show(
    config: Config,
    axes: Mapping[str, Sequence[str]],
    n_trials: int,
    folder: Path,
    seeds: int,
    n_importance_samples: int | None,
    device: torch.device,
    json: bool,
    jobs: int,
) -> int:
    """Run a search and show its settings, those with the highest validation bound first. Returns the exit status."""
    config = with_absolute_paths(config)
    searches.require_valid(config, axes, folder)
    with terminal.run_counter(n_trials * seeds) as advance:
        results = searches.search(
            config,
            axes,
            n_trials,
            folder,
            seeds=seeds,
            n_importance_samples=n_importance_samples,
            jobs=jobs,
            device=device,
            on_run=advance,
        )
    rows = sorted(aggregate(results), key=lambda row: -row.mean.get(searches.BOUND, -math.inf))
    return _show(rows, folder, json, searched=True)


def _show(rows: Sequence[Row], folder: Path, json: bool, *, searched: bool) -> int:
    """Write the table and the figure of a sweep or a search into its folder and print it. Returns the exit status.

    Where all runs failed, those of an earlier sweep are kept.
    """
    from aevb import plots  # which takes a while to import, as matplotlib does

    text, draw = terminal.sweep_json(rows), plots.search if searched else plots.sweep
    failed = not any(row.seeds for row in rows)
    if not failed:
        write_text(folder / "sweep.json", text)
        write_atomically(folder / "sweep.png", lambda path: plots.save(draw(rows), path))
    if json:
        print(text, end="")
    else:
        terminal.show_sweep(rows, folder)
    return 2 if failed else 0
