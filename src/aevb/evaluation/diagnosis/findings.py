"""Findings of the diagnosis, and the numbers that its checks use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from aevb import display
from aevb.config.schema import Config, ModelConfig
from aevb.evaluation.diagnosis.outliers import Outlier
from aevb.evaluation.importance_sampling import PerExample
from aevb.evaluation.likelihood import ACTIVE
from aevb.training.history import Epoch

NO_INFORMATION = 0.1
"""Rate in nats below which z carries no information."""


@dataclass(frozen=True)
class Finding:
    """A problem of a model.

    Attributes:
        problem: its name.
        metric: the number that shows it.
        value: the value of the metric.
        threshold: the value at which the problem begins; None if another number decides.
        better: whether lower or higher values of the metric are better.
        evidence: the metric in words, with related numbers.
        cause: the likely cause.
        remedy: what to try: options of another training run, or a command.
    """

    problem: str
    metric: str
    value: float
    threshold: float | None
    better: Literal["lower", "higher"]
    evidence: str
    cause: str
    remedy: str


class Findings(list[Finding]):
    """Problems of a model; a notebook displays them as a table."""

    def __repr__(self) -> str:
        return "\n\n".join(map(_as_text, self)) or _NONE

    def _repr_html_(self) -> str:
        tables = [display.block(finding.problem, display.table((), _facts(finding))) for finding in self]
        return "".join(tables) or display.block("Diagnosis", display.note(_NONE))


_NONE = "No problems found."


def _facts(finding: Finding) -> list[tuple[str, str]]:
    return [("evidence", finding.evidence), ("cause", finding.cause), ("try", finding.remedy)]


def _as_text(finding: Finding) -> str:
    return "\n".join([finding.problem, *(f"  {name:<9} {text}" for name, text in _facts(finding))])


class SimpleModel(NamedTuple):
    """A simpler model of the same data.

    Attributes:
        name: of the model.
        log_px: of the measured examples, in nats, ``(N,)``.
    """

    name: str
    log_px: Tensor


class Measurements(NamedTuple):
    """The numbers that the checks use.

    Attributes:
        config: the configuration as the user gave it.
        model: the resolved configuration of the model.
        epochs: the metrics of each epoch.
        steps: the number of training steps.
        valid: the numbers of some validation examples.
        train_log_px: log p(x) of a few training examples, in nats, ``(N,)``; of an autoencoder, log p(x|z) at the code.
        valid_log_px: likewise of validation examples, ``(M,)``.
        simple: simpler models of the same data, with log p(x) of the same validation examples.
        holes: share of prior samples where the aggregate posterior has almost no mass; 0 for autoencoders.
        dispersion: Σ (x - E x)² / Σ Var x over validation examples, x ~ p(x|z) and z ~ p(z|x); 1 for tables, whose
            columns have no common unit.
        residuals: x - E[x|z] of validation examples, likewise, ``(M, D)``; None for images and tables.
        noise: the variance of a Gaussian likelihood relative to that of the data, for the element where it is smallest;
            None for other likelihoods.
        data_variance: the mean variance of the elements of the data.
        outliers: rows with an isolated value.
    """

    config: Config
    model: ModelConfig
    epochs: Sequence[Epoch]
    steps: int
    valid: PerExample
    train_log_px: Tensor
    valid_log_px: Tensor
    simple: Sequence[SimpleModel]
    holes: float
    dispersion: float
    residuals: Tensor | None
    noise: float | None
    data_variance: float
    outliers: Sequence[Outlier]

    @property
    def is_autoencoder(self) -> bool:
        """Whether the posterior is a point."""
        return self.model.posterior == "point"

    @property
    def has_chosen_latent(self) -> bool:
        """Whether the user chose the number of latent dimensions, of one layer that is in use and is not a code."""
        chosen = self.config.model.latent is not None and len(self.model.layers) == 1
        return chosen and not self.collapsed and not self.is_autoencoder

    @property
    def beta(self) -> float:
        """The weight of the rate in the loss."""
        objective = self.config.objective
        return 1.0 if objective.kind == "beta-tc" else float(objective.options.get("beta", 1.0))

    @property
    def active(self) -> Tensor:
        """Whether each unit is active, ``(Z,)``."""
        return self.valid.mean.var(0) > ACTIVE

    @property
    def collapsed(self) -> bool:
        """Whether z carries no information about x."""
        return not self.is_autoencoder and (self.valid.rate.mean().item() < NO_INFORMATION or not self.active.any())
