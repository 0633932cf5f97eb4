"""Check and measure `aevb` on a GPU in a few minutes: python -m benchmarks.gpu [--minutes 8] [--out FOLDER].

    checks        captured, stacked and compiled steps, bfloat16, resumed runs, and one process of distributed training
    W1, W2, W3    the training table, with the kernels of a step beside its wall-clock time
    likelihood    log p(x) with K = 5000
    laird         Laird's report at full scale, resumed in runs/gpu, in the time that is left

Writes gpu.json and gpu.md to benchmarks/results after each piece, so that an interrupted run keeps what it has. Without
a GPU it measures nothing. pythae is measured where it is installed.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks import peers
from benchmarks.gpu.checks import CHECKS
from benchmarks.gpu.page import page
from benchmarks.gpu.pieces import Budget, Outcome, Piece, Run, run_process, run_within
from benchmarks.gpu.rates import ROWS
from benchmarks.timing import ROOT, machine
from benchmarks.training import PYTHAE
from benchmarks.workloads import WORKLOADS

RESULTS = ROOT / "benchmarks" / "results"
RUNS = ROOT / "runs" / "gpu"
USUAL, COMPILATION, LONG = 15.0, 45.0, 75.0
"""Seconds that pieces are expected to take, most of them to start a process."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all pieces within the budget, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="budget of wall-clock time")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of gpu.json and gpu.md")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("no CUDA device is available: nothing was measured")
        return 0
    budget = Budget(60 * options.minutes)
    about = f"{machine('cuda')}; `python -m benchmarks.gpu --minutes {options.minutes:g}`"
    measure(list(pieces("cuda", peers.existing() or _own_peers())), budget, Record(options.out, about))
    return 0


def pieces(device: str, python: str | None) -> Iterator[Piece]:
    """Yield all pieces in order.

    Args:
        device: cpu or cuda.
        python: path of a Python that has pythae; None if there is none.
    """
    for name in CHECKS:
        seconds = COMPILATION if name == "compiled" else USUAL
        yield Piece("checks", name, ("benchmarks.gpu.checks", name, device), seconds)
    for name, workload in WORKLOADS.items():
        yield Piece(name, PYTHAE.title, ("benchmarks.contestants.profiled", PYTHAE.module, name, device), USUAL, python)
        for title in ["aevb"] if workload.channels else ROWS:  # batch normalization is neither captured nor stacked
            seconds = COMPILATION if ROWS[title].compile == "on" else USUAL
            yield Piece(name, title, ("benchmarks.gpu.rates", title, name, device), seconds)
    likelihood = ("benchmarks.gpu.likelihood", device)
    yield Piece("likelihood", "aevb", likelihood, USUAL)
    yield Piece("likelihood", "pythae's get_nll", (*likelihood, python or ""), USUAL, python and sys.executable)
    yield Piece("laird", "", ("benchmarks.gpu.laird", device, str(RUNS), "full"), LONG, open_ended=True)


@dataclass(frozen=True)
class Record:
    """The files of a measurement.

    Attributes:
        folder: of gpu.json and gpu.md.
        about: machine and command.
    """

    folder: Path
    about: str

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes of all pieces, in their order."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"about": self.about, "pieces": [outcome._asdict() for outcome in outcomes]}
        (self.folder / "gpu.json").write_text(json.dumps(content, indent=1) + "\n")
        (self.folder / "gpu.md").write_text(page(outcomes, self.about))


def measure(planned: Sequence[Piece], budget: Budget, record: Record, run: Run = run_process) -> None:
    """Run the pieces that fit into the budget, and write the files after each."""
    outcomes = [Outcome(piece.part, piece.title) for piece in planned]
    for number, piece in enumerate(planned):
        outcomes[number] = run_within(piece, budget, run)
        record.write(outcomes)
        print(_line(outcomes[number]), flush=True)


def _line(outcome: Outcome) -> str:
    return f"{outcome.part} {outcome.title}: {outcome.value or outcome.reason} ({outcome.seconds:.0f} s)"


def _own_peers() -> str | None:
    """Return the path of this Python if it has pythae."""
    return sys.executable if find_spec("pythae") else None


if __name__ == "__main__":
    sys.exit(main())
