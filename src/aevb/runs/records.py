"""What a run folder records beside weights and metrics: its data, how training ended, and its estimator."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from aevb.columns import Column, TextForm
from aevb.data import Kind
from aevb.data.dataset import Dataset
from aevb.evaluation import Score

Ending = Literal["finished", "early", "interrupted", "non-finite", "failed"]


class DataCard(BaseModel):
    """The data of a run: enough to rebuild the model and to recognize the same data again.

    Attributes:
        name, kind, shape, classes, fingerprint, columns, condition_columns, byte_scale, white, text_form: those of
            the data set.
        train, valid, test: numbers of examples.
        identifiers: columns of a table that name its rows and are not modeled.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    shape: tuple[int, ...]
    train: int
    valid: int
    test: int
    classes: tuple[str, ...] | None
    fingerprint: str
    columns: tuple[Column, ...] = ()
    condition_columns: tuple[Column, ...] = ()
    byte_scale: float | None = None
    white: float = 1.0
    identifiers: tuple[str, ...] = ()
    text_form: TextForm | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> "DataCard":
        """Return the card of a data set."""
        return cls(
            name=dataset.name,
            kind=dataset.kind,
            shape=dataset.shape,
            train=dataset.n_train,
            valid=len(dataset.valid),
            test=len(dataset.test),
            classes=dataset.classes,
            fingerprint=dataset.fingerprint,
            columns=dataset.columns,
            condition_columns=dataset.condition_columns,
            byte_scale=dataset.byte_scale,
            white=dataset.white,
            identifiers=tuple(summary.name for summary in dataset.summaries if summary.is_identifier),
            text_form=dataset.text_form,
        )


class Outcome(BaseModel):
    """How training ended.

    Attributes:
        ended: "finished", "early" (the validation loss stopped improving), "interrupted", "non-finite" or "failed".
        kept: epoch of the weights that were kept.
        epochs: number of epochs.
        seconds: of training.
    """

    model_config = ConfigDict(frozen=True)

    ended: Ending
    kept: int
    epochs: int
    seconds: float


class ReferenceScores(BaseModel):
    """log p(x) of held-out examples, which anomaly scores are compared with.

    Attributes:
        log_px: of each example, in nats.
        n_importance_samples: K; None if it was chosen for each example.
        seed: of the importance samples.
    """

    model_config = ConfigDict(frozen=True)

    log_px: tuple[float, ...]
    n_importance_samples: Annotated[int, Field(ge=1)] | None
    seed: int


class EstimatorRecord(BaseModel):
    """A fitted scikit-learn estimator, without its model.

    Attributes:
        name: of its class.
        parameters: its own, without the one that is a `VariationalAutoencoder`.
        model: parameters of the `VariationalAutoencoder`.
        frame: type of the data that it was fitted to.
        names: column names of a data frame.
        features: number of columns.
        reference: log p(x) of rows held out for the threshold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    parameters: dict[str, JsonValue]
    model: dict[str, JsonValue]
    frame: Literal["array", "pandas", "polars"]
    names: tuple[int | str, ...]
    features: int
    reference: ReferenceScores | None = None


class ScoreFile(BaseModel):
    """Content of scores.json.

    Attributes:
        scores: held-out metrics.
        training: how training ended; None before its end.
    """

    scores: list[Score]
    training: Outcome | None
