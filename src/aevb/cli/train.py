"""The command train."""

import sys
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

from cyclopts import Parameter

from aevb.cli import terminal
from aevb.cli.common import ConfigFile, Count, Device, Flag, ImportanceSamples, Json, Plugins, Settings, TrainingData
from aevb.cli.settings import from_options, from_run
from aevb.cli.sweep import sweep_and_show
from aevb.config.schema import Config
from aevb.errors import BadInput
from aevb.training.environment import process_group, world_size
from aevb.training.policy import without_denormals
from aevb.workflow.devices import choose_device
from aevb.workflow.loggers import open_loggers
from aevb.workflow.train import free_folder, load_source, removed_if_empty, train_and_report

Loggers = Annotated[
    list[Literal["tensorboard", "trackio", "wandb", "mlflow"]],
    Parameter(
        consume_multiple=1,
        help="Also log metrics to tensorboard (RUN/tensorboard), trackio (local), wandb (Weights & Biases) or mlflow "
        "(MLFLOW_TRACKING_URI, default: mlflow.db). Each needs the extra of its name.",
    ),
]


@without_denormals()  # before PyTorch starts threads, which inherit it
def train(
    data: TrainingData = None,
    /,
    *,
    settings: Settings = Config(),  # noqa: B008  (immutable)
    config: ConfigFile = None,
    out: Path | None = None,
    resume: Path | None = None,
    seeds: Count = 1,
    n_importance_samples: ImportanceSamples = None,
    no_report: Flag = False,
    logger: Loggers = [],  # noqa: B006  (never changed)
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> int:
    """Train a model, evaluate it on held-out data, diagnose it and write a report.

    Args:
        out: Run folder to create. Default: runs/NAME-N with the first free N.
        resume: Resume an interrupted run from its last checkpoint, with its own data and options. On the same CPU the
            result is bit-for-bit identical to an uninterrupted run.
        no_report: Skip the diagnosis, the figures and report.html.
        seeds: Number of models to train, with seeds --seed, --seed + 1, ... Small models are trained in parallel at
            little extra cost. Each gets a run folder below the created one, and a table shows means and standard
            deviations.
    """
    refused = {"config": config, "out": out, "data": data, "seeds": seeds > 1}
    chosen = from_run(resume, settings, refused) if resume else from_options(settings, config, data)
    if logger and seeds > 1:
        raise BadInput("--logger supports a single run: omit --logger or --seeds")
    if seeds > 1:
        return _train_seeds(chosen, out, seeds, n_importance_samples, device, json)
    with open_loggers(logger) as group:
        run = train_and_report(
            chosen,
            load_source(chosen),
            out=out,
            resume=resume,
            device=device,
            n_importance_samples=n_importance_samples,
            report=not no_report,
            logger=group,
            progress=terminal.TerminalProgress(),
        )
    if run.interrupted:
        name = quote(str(run.folder))
        print(
            f"interrupted: {run.folder} has the model trained so far; evaluate it with: aevb evaluate {name},"
            f" or resume with: aevb train --resume {name}",
            file=sys.stderr,
        )
        return 130
    terminal.show_run(run.record, json)
    return 0


def _train_seeds(
    config: Config, out: Path | None, seeds: int, n_importance_samples: int | None, device: str, json: bool
) -> int:
    with process_group(choose_device(device)) as own_device:
        if world_size() > 1:
            raise BadInput(f"--seeds {seeds} does not work under torchrun: train one model, or run without torchrun")
        dataset = load_source(config)
        terminal.TerminalProgress().loaded(dataset)
        folder = out or free_folder(dataset.name)
        with removed_if_empty(folder, chosen=bool(out)):
            return sweep_and_show(config, {}, folder, seeds, n_importance_samples, own_device, json)
