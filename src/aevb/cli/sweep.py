"""The command sweep: many runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from aevb.cli import settings as command_settings
from aevb.cli import terminal
from aevb.cli.common import ConfigFile, Count, Device, ImportanceSamples, Jobs, Json, Plugins, Settings, TrainingData
from aevb.config.schema import Config
from aevb.files import write_atomically, write_text
from aevb.runs.aggregate import aggregate
from aevb.training.policy import without_denormals
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
    seeds: Count = 1,
    jobs: Jobs = 1,
    n_importance_samples: ImportanceSamples = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> int:
    """Train every combination of values, each with several seeds, and compare them.

    The same command resumes an interrupted sweep: finished runs are not repeated.

    Args:
        over: Options with their values, as in --over model.latent 2 5 20 train.lr 1e-3 1e-2.
        out: Folder of the runs. Default: runs/NAME-sweep.
        seeds: Runs of each combination, with seeds --seed, --seed + 1, ...
    """
    own_device = choose_device(device)
    chosen = command_settings.from_options(settings, config, data)
    axes = command_settings.axes(over)
    folder = out or Path("runs") / f"{load_source(chosen).name}-sweep"
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
    from aevb import plots  # which takes a while to import, as matplotlib does

    cells = sweeps.plan(with_absolute_paths(config), axes, seeds, folder, n_importance_samples)
    with terminal.run_counter(len(cells)) as advance:
        results = sweeps.sweep(cells, jobs=jobs, device=device, on_run=advance)
    rows = aggregate(results)
    text = terminal.sweep_json(rows)
    write_text(folder / "sweep.json", text)
    write_atomically(folder / "sweep.png", lambda path: plots.save(plots.sweep(rows), path))
    if json:
        print(text, end="")
    else:
        terminal.show_sweep(rows, folder)
    return 2 if all(row.problems and not row.seeds for row in rows) else 0
