"""The page of what was measured on a GPU, in Markdown."""

from collections.abc import Callable, Sequence

from benchmarks.gpu.pieces import NOT_YET, Outcome
from benchmarks.training import PYTHAE
from benchmarks.workloads import WORKLOADS

TITLES = {
    "checks": "Checks",
    **{name: f"Training: {name}, {workload.title}" for name, workload in WORKLOADS.items()},
    "likelihood": "log p(x) with K = 5000",
    "laird": "Laird's report at full scale",
}
"""The parts of the page, in the order in which they are measured."""
NOTES = {
    "checks": "A small model of digits. A loss is compared with that of eager mode with the same noise; differences are"
    " in nats per example below 1 nat, and relative to the loss above.",
    "laird": "Unfinished models resume with the next run of the command.",
}
TRAINING = (
    "Images per second are those of all stacked models. A step is the median of the epochs after the first; of pythae's"
    " trainer, the mean of a whole training. Kernels are the sum of CUDA kernels and copies, by torch.profiler."
)


def page(outcomes: Sequence[Outcome], about: str) -> str:
    """Return the page, on which each part has a section.

    Args:
        outcomes: of all pieces, in their order.
        about: machine and command.
    """
    sections = ["## On a GPU", about, TRAINING]
    for part, title in TITLES.items():
        rows = TABLES.get(part, _rates)([outcome for outcome in outcomes if outcome.part == part])
        sections += [f"### {title}", *([NOTES[part]] if part in NOTES else []), "\n".join(rows)]
    return "\n\n".join(sections) + "\n"


def _checks(outcomes: Sequence[Outcome]) -> list[str]:
    rows = [
        [o.title, "passed" if o.value["passed"] else "**failed**", o.value["text"]]
        if o.value
        else [o.title, _reason(o), ""]
        for o in outcomes
    ]
    return _table(["check", "result", "numbers"], rows)


def _rates(outcomes: Sequence[Outcome]) -> list[str]:
    theirs = next((o.value["rate"] for o in outcomes if o.title == PYTHAE.title and o.value), None)
    head = ["", "images per second", "relative to pythae's trainer", "step, µs", "kernels of a step, µs", "share"]
    return _table(head, [_rate(outcome, theirs) for outcome in outcomes])


def _rate(outcome: Outcome, theirs: float | None) -> list[str]:
    if not (value := outcome.value):
        return [outcome.title, _reason(outcome), "", "", "", ""]
    rate, step, kernels = value["rate"], value["step"], value["kernels"]
    relative = f"{rate / theirs:.1f}" if theirs else ""
    return [outcome.title, f"{rate:,.0f}", relative, f"{1e6 * step:,.0f}", f"{1e6 * kernels:,.0f}",
            f"{kernels / step:.0%}"]  # fmt: skip


def _likelihood(outcomes: Sequence[Outcome]) -> list[str]:
    rows = [
        [o.title, f"{o.value['rate']:,.1f}", f"{o.value['mean']:.2f}"] if o.value else [o.title, _reason(o), ""]
        for o in outcomes
    ]
    floors = [o.value["floor"] for o in outcomes if o.value and "floor" in o.value]
    rows += [["matrix products of the decoder alone", f"{floor:,.1f}", ""] for floor in floors]
    return _table(["", "images per second", "mean over the same images, nats"], rows)


def _laird(outcomes: Sequence[Outcome]) -> list[str]:
    (outcome,) = outcomes
    if not (value := outcome.value):
        return [_reason(outcome)]
    runs = [
        [run["trial"], str(run["seed"]), f"{run['epochs']:,} of {run['planned']:,}", f"{run['seconds']:.0f}"]
        for run in value["runs"]
    ]
    claims = [
        [claim["claim"], str(claim["reported"] or ""), ", ".join(f"{v:.2f}" for v in claim["values"]),
         claim["required"], claim["outcome"]]
        for claim in value["claims"]
    ]  # fmt: skip
    return [
        *_table(["model", "seed", "epochs", "seconds of training"], runs),
        "",
        *_table(["claim", "reported", "ours, by seed", "required", "outcome"], claims),
    ]


TABLES: dict[str, Callable[[Sequence[Outcome]], list[str]]] = {
    "checks": _checks,
    "likelihood": _likelihood,
    "laird": _laird,
}
"""The tables of the parts that are not rates."""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _reason(outcome: Outcome) -> str:
    return outcome.reason or NOT_YET
