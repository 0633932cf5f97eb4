"""Train the models of Laird's report for some seconds: python -m benchmarks.gpu.laird DEVICE FOLDER SCALE SECONDS.

The models with the seeds of a trial are stacked; the trials follow one another. Steps are captured and not compiled,
which would take a part of the time at each call. The same command resumes in the same folder. Prints the epochs of each
model and the claims that finished models answer, as JSON.
"""

import json
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from aevb.reproduction.run import Plan, check_data, plan
from aevb.reproduction.verdicts import Scale, judge
from aevb.runs.aggregate import SEED
from aevb.runs.run_folder import RunFolder
from aevb.training import policy
from aevb.workflow.sweep import Cell, sweep

MANY = 10**12
"""More operations and steps than any of these trainings has: they are stacked, and not compiled."""


def main(device: str, folder: str, scale: str, seconds: str) -> None:
    """Train until the time is over and print what there is."""
    logging.disable(logging.WARNING)
    planned = plan("laird", cast(Scale, scale), None, Path(folder), None)
    with (
        patch.multiple(policy, STACK_BELOW_OPERATIONS=MANY, COMPILE_FROM_STEPS=MANY),
        suppress(KeyboardInterrupt),
        _limited(float(seconds)),
    ):
        check_data(planned.cells)
        sweep(planned.cells, device=device)
    print(json.dumps({"runs": [_progress(cell) for cell in planned.cells], "claims": _claims(planned)}))


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Interrupt the block after so many seconds, as Ctrl-C does: a training ends after its step, with a checkpoint."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _progress(cell: Cell) -> dict[str, Any]:
    """Return the name of a model, the epochs that are trained and planned, and their seconds."""
    run = RunFolder.find(cell.folder, cell.config)
    epochs = run.epochs if run else []
    return {
        "trial": cell.values["trial"],
        SEED: cell.values[SEED],
        "epochs": len(epochs),
        "planned": cell.config.train.epochs,
        "seconds": sum(epoch.seconds for epoch in epochs),
    }


def _claims(planned: Plan) -> list[dict[str, Any]]:
    """Return the claims that finished models answer."""
    planned.results.failed.update(_unfinished(planned.cells))
    verdicts = judge(planned.recipe.claims, planned.results, planned.scale)
    return [
        {
            "claim": verdict.claim.label,
            "reported": verdict.claim.reported,
            "values": list(verdict.values),
            "required": verdict.required,
            "outcome": verdict.outcome,
        }
        for verdict in verdicts
        if verdict.values
    ]


def _unfinished(cells: Sequence[Cell]) -> set[Path]:
    runs = {cell.folder: RunFolder.find(cell.folder, cell.config) for cell in cells}
    return {folder for folder, run in runs.items() if run is None or not run.finished}


if __name__ == "__main__":
    main(*sys.argv[1:])
