"""The commands evaluate, diagnose and report."""

from typing import Annotated, Literal

from cyclopts import Parameter

from aevb.cli import terminal
from aevb.cli.common import (
    Count,
    DataDir,
    Device,
    ImportanceSamples,
    Json,
    Plugins,
    ReadPath,
    RunPath,
    Seed,
    print_file,
)
from aevb.evaluation import Scores
from aevb.evaluation.diagnosis import EXPLAINS
from aevb.models.registry import register
from aevb.workflow.run import load_run

Measures = Annotated[
    list[str],
    Parameter(
        consume_multiple=1,
        help="One or more of: "
        + ", ".join(f"{name} ({register.measure.summary(name)})" for name in register.measure)
        + ".",
    ),
]


def evaluate(
    run: ReadPath,
    /,
    *,
    split: Literal["train", "valid", "test"] = "test",
    measure: Measures = ["likelihood"],  # noqa: B006  (never changed)
    n_importance_samples: ImportanceSamples = None,
    max_examples: Count | None = None,
    memory: Count = 1024,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Evaluate a trained model on held-out data.

    The scores are added to scores.json in the run folder.

    Args:
        split: Split of the data.
        max_examples: Number of evenly spaced examples. Default: all; 100 for slow measures.
        memory: Approximate memory limit for tensors, in MiB.
    """
    loaded = load_run(run, device, data_dir=data_dir)
    scores = Scores()
    for name in measure:
        with terminal.status(f"evaluating {name} of {loaded.folder}"):
            scores += loaded.evaluate(
                split,
                measures=[name],
                n_importance_samples=n_importance_samples,
                max_examples=max_examples,
                memory=memory,
                seed=seed,
            )
    loaded.record.scores = scores
    terminal.show_run(loaded.record, json)


def diagnose(
    run: RunPath,
    /,
    *,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Diagnose a trained model: problems, the metrics that show them, their causes and remedies.

    Only training and validation examples are used.
    """
    loaded = load_run(run, device, data_dir=data_dir)
    with terminal.status("evaluating training and validation examples"):
        findings = loaded.diagnose(seed=seed)
    terminal.show_findings(run, findings, len(EXPLAINS), json)


def report(
    run: RunPath,
    /,
    *,
    data_dir: DataDir = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Draw the figures of a run, diagnose it and write report.html."""
    loaded = load_run(run, device, data_dir=data_dir)
    with terminal.status("drawing figures and diagnosing"):
        path = loaded.report()
    print_file(path, json)
