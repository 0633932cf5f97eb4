"""Search for the options with the highest validation bound, by the tree-structured Parzen estimator of Optuna.

    train.lr=1e-4..1e-2:log    real numbers between two ends, uniform on a logarithmic scale
    model.latent=2..20         whole numbers, since both ends are whole; write 2.0..20 for real ones
    model.prior normal flow    one of several values

Each trial is a sweep of one setting (`aevb.workflow.sweep`), with run folders of the same names. Optuna's journal in
the folder of the search resumes an interrupted search and extends a finished one. The values of a trial depend on the
seed, its number and the trials before it, so that a resumed search has the trials of an uninterrupted one.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch

from aevb.config.schema import Config
from aevb.data.optional import optional_library
from aevb.errors import BadInput, option
from aevb.files import os_errors_as_bad_input
from aevb.runs.aggregate import RunResult, aggregate
from aevb.workflow.sweep import Cell, plan, sweep

JOURNAL = "search.jsonl"
BOUND = ("valid", "bound")
"""The score that a search maximizes, as (split, name)."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(:log)?", re.IGNORECASE)

Over = Mapping[str, Sequence[object]]
"""Values by dotted name of an option, or a single range."""


class Range(NamedTuple):
    """Numbers between two ends.

    Attributes:
        low, high: the ends, which are included.
        log: whether the numbers are uniform on a logarithmic scale.
        whole: whether they are whole.
    """

    low: float
    high: float
    log: bool
    whole: bool

    def rounded(self, value: float) -> float:
        """Return a number of the range with four significant digits, for short names of folders."""
        return int(value) if self.whole else min(max(float(f"{value:.4g}"), self.low), self.high)

    def ends(self) -> tuple[float, float]:
        """Return both ends."""
        return self.rounded(self.low), self.rounded(self.high)


Space = Mapping[str, "Range | Sequence[object]"]


class Trial(Protocol):
    """What is used of a trial of Optuna."""

    number: int
    params: dict[str, float]
    state: object


def search_space(over: Over) -> Space:
    """Return the range of each option, or its values.

    Raises:
        BadInput: a range has no numbers, or stands beside other values.
    """
    return {name: _axis(name, values) for name, values in over.items()}


def has_ranges(over: Over) -> bool:
    """Return whether an option has a range."""
    return any(isinstance(axis, Range) for axis in search_space(over).values())


def require_valid(config: Config, over: Over, folder: Path) -> None:
    """Refuse a search that cannot run, before anything is written.

    Raises:
        BadInput: an option, value or range is invalid, or the extra `search` is not installed.
    """
    optional_library("optuna", "a search", "'aevb[search]'")
    plan(config, {name: _extremes(axis) for name, axis in search_space(over).items()}, 1, folder)


def search(
    config: Config,
    over: Over,
    n_trials: int,
    folder: Path,
    *,
    seeds: int = 1,
    n_importance_samples: int | None = None,
    jobs: int = 1,
    device: torch.device | str = "cpu",
    on_run: Callable[[RunResult], object] | None = None,
) -> list[RunResult]:
    """Train and evaluate the trials that are not finished, and return the results of all.

    Args:
        config: of the options that do not vary, with the first seed.
        over: values by dotted name of an option, or one range such as ``["1e-4..1e-2:log"]``.
        n_trials: number of trials, those of an earlier call included.
        folder: of the search.
        seeds: number of seeds of each trial, whose mean validation bound counts.
        n_importance_samples: K for log p(x); None to choose its estimator.
        jobs: number of parallel processes: as many trials are chosen at once.
        device: on which to train.
        on_run: called after each run, in order.

    Raises:
        BadInput: an option, value or range is invalid, the folder has another search, or the extra `search` is not
            installed.
    """
    require_valid(config, over, folder)
    study = _Study(config, search_space(over), seeds, folder)
    results: dict[Path, RunResult] = {}
    for start in range(0, n_trials, jobs):
        trials = [study.trial(number) for number in range(start, min(start + jobs, n_trials))]
        cells_of = {
            trial.number: plan(config, study.values(trial), seeds, folder, n_importance_samples) for trial in trials
        }
        new = {cell.folder: cell for cells in cells_of.values() for cell in cells if cell.folder not in results}
        results |= _sweep(list(new.values()), jobs, device, on_run)
        for trial in trials:
            study.tell(trial, [results[cell.folder] for cell in cells_of[trial.number]])
    return list(results.values())


class _Study:
    """Optuna's study of a search, in the folder of the search.

    Raises:
        BadInput: the folder has another search, or Optuna is not installed.
    """

    def __init__(self, config: Config, space: Space, seeds: int, folder: Path) -> None:
        self.optuna = optuna = optional_library("optuna", "a search", "'aevb[search]'")
        journal = optional_library("optuna.storages.journal", "a search", "'aevb[search]'")
        self.space, self.seed = space, config.seed
        self.distributions = {name: self._distribution(axis) for name, axis in space.items()}
        with os_errors_as_bad_input(folder / JOURNAL):
            folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(
            storage=optuna.storages.JournalStorage(journal.JournalFileBackend(str(folder / JOURNAL))),
            study_name="search",
            direction="maximize",
            load_if_exists=True,
        )
        self._require_same(config, seeds, folder)

    def trial(self, number: int) -> Trial:
        """Return an existing trial, or choose the values of the next one."""
        trials = self._trials()
        if number < len(trials):
            return trials[number]
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        self.study.sampler = self.optuna.samplers.TPESampler(seed=seed)
        self.study.ask(self.distributions)
        return self._trials()[number]

    def values(self, trial: Trial) -> Over:
        """Return the values of a trial by the name of the option."""
        return {
            name: [axis.rounded(trial.params[name]) if isinstance(axis, Range) else axis[int(trial.params[name])]]
            for name, axis in self.space.items()
        }

    def tell(self, trial: Trial, results: Sequence[RunResult]) -> None:
        """Record the mean validation bound of the runs of a trial; a trial without one counts as worse than all others.

        Optuna ignores failed trials and would choose their values again, but takes pruned ones into account.
        """
        states = self.optuna.trial.TrialState
        if trial.state == states.RUNNING:
            bound = aggregate(results)[0].mean.get(BOUND, -math.inf)
            failed = not math.isfinite(bound)
            self.study.tell(trial.number, None if failed else bound, states.PRUNED if failed else states.COMPLETE)

    def _trials(self) -> list[Trial]:
        """Return the trials with all of their values: an interruption may leave one without."""
        return [trial for trial in self.study.trials if trial.params.keys() == self.space.keys()]

    def _distribution(self, axis: Range | Sequence[object]) -> object:
        """Return Optuna's distribution of an option; for values, of their positions."""
        distributions = self.optuna.distributions
        if not isinstance(axis, Range):
            return distributions.CategoricalDistribution(list(range(len(axis))))
        if axis.whole:
            return distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        return distributions.FloatDistribution(axis.low, axis.high, log=axis.log)

    def _require_same(self, config: Config, seeds: int, folder: Path) -> None:
        """Refuse to resume a search with other options; a new search records them."""
        options = {"config": config.without_data_dir().model_dump_json(), "over": repr(self.space), "seeds": seeds}
        if self.study.user_attrs.get("options", options) != options:
            raise BadInput(f"{folder} has a search with other options: choose another {option('out')}, or remove it")
        self.study.set_user_attr("options", options)


def _sweep(
    cells: Sequence[Cell], jobs: int, device: torch.device | str, on_run: Callable[[RunResult], object] | None
) -> dict[Path, RunResult]:
    """Return the result of each run by its folder: those of a sweep come in groups."""
    results = sweep(cells, jobs=jobs, device=device, on_run=on_run) if cells else []
    folder_of = {tuple(cell.values.items()): cell.folder for cell in cells}
    return {folder_of[tuple(result.values.items())]: result for result in results}


def _extremes(axis: Range | Sequence[object]) -> Sequence[object]:
    return axis.ends() if isinstance(axis, Range) else axis


def _axis(name: str, values: Sequence[object]) -> Range | Sequence[object]:
    """Return the range that stands for an option, or its values."""
    ranges = [match for value in values if (match := _RANGE.fullmatch(str(value)))]
    if not ranges:
        return values
    if len(values) > 1:
        raise BadInput(f"{name} has a range and other values: expected one range LOW..HIGH, or values")
    low, high, log = ranges[0].groups()
    chosen = Range(float(low), float(high), bool(log), not re.search(r"[.e]", low + high, re.IGNORECASE))
    if chosen.low >= chosen.high or (chosen.log and chosen.low <= 0):
        above = ", above 0 for log" * chosen.log
        raise BadInput(f"{name}={values[0]}: expected LOW..HIGH with LOW below HIGH{above}")
    return chosen
