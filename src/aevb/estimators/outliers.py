"""Outliers: rows that are less probable than nearly all held-out rows.

The default model is that of the preset anomalies (`aevb.config.presets`), after a short training.
"""

import math
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import OutlierMixin
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _num_samples, check_is_fitted
from typing_extensions import Self

from aevb.columns import modelled
from aevb.config.schema import Config, steps_for
from aevb.estimators.autoencoder import ModelWrapper, VariationalAutoencoder
from aevb.estimators.base import RandomState, seed_of
from aevb.estimators.frames import Rows, read_columns
from aevb.evaluation import Score
from aevb.evaluation.anomalies import threshold, threshold_rank
from aevb.evaluation.explanation import surprise
from aevb.runs.records import ReferenceScores
from aevb.runs.run_folder import RunFolder

STEPS, COARSE_STEPS = 1500, 500
"""Training steps of the default models, in the sense of `steps_for`."""
COARSE_STDDEV, COARSE_SAMPLES = 2.0, 20
"""Minimum standard deviation of the default model of rows among which are outliers, and the importance samples that its
broad posteriors need."""


class VAEOutlierDetector(OutlierMixin, ModelWrapper):
    """A detector of rows that are less probable than nearly all held-out rows.

    Args:
        estimator: the model of log p(x); None for `default_estimator`.
        false_alarm_rate: largest fraction of normal rows that are called outliers.
        held_out: fraction of the rows that the model is not trained on, from which the threshold is set.
        outlier_fraction: largest fraction of the rows that may be outliers. If it is not 0, the model is fitted twice,
            the second time without this fraction of least probable rows, and the default model is coarser. Unlike
            `contamination` in scikit-learn, it does not set the threshold.
        random_state: seed of the default model; another model has its own.

    Attributes:
        estimator_: fitted to the other rows.
        offset_: log p(x) below which a row is an outlier, in nats.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [VariationalAutoencoder, None],
        "false_alarm_rate": [Interval(Real, 0, 1, closed="neither")],
        "held_out": [Interval(Real, 0, 1, closed="neither")],
        "outlier_fraction": [Interval(Real, 0, 0.5, closed="both")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        estimator: VariationalAutoencoder | None = None,
        *,
        false_alarm_rate: float = 0.05,
        held_out: float = 0.2,
        outlier_fraction: float = 0.0,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.false_alarm_rate = false_alarm_rate
        self.held_out = held_out
        self.outlier_fraction = outlier_fraction
        self.random_state = random_state

    @staticmethod
    def default_estimator(
        n_rows: int, random_state: RandomState = None, *, with_outliers: bool = False
    ) -> VariationalAutoencoder:
        """Return the unfitted default model for a number of training rows.

        If outliers are among them, it is too coarse to follow a few rows: its standard deviations are at least twice
        those of the columns.
        """
        options = Config(preset="anomalies")
        steps = steps_for(n_rows, COARSE_STEPS if with_outliers else STEPS)
        batch_size = options.train.batch_size
        model = VariationalAutoencoder(
            prior=options.model.prior,
            min_stddev=options.model.options["min_stddev"],
            epochs=math.ceil(steps * batch_size / max(batch_size, n_rows)),
            batch_size=batch_size,
            learning_rate=options.train.lr,
            random_state=random_state,
        )
        if with_outliers:
            model.set_params(min_stddev=COARSE_STDDEV, n_importance_samples=COARSE_SAMPLES)
        return model

    def fit(self, X: Rows, y: object = None) -> Self:
        """Fit a model to most rows, and set the threshold from the other rows.

        Args:
            X: rows, ``(N, D)``.
            y: ignored.

        Raises:
            BadInput: too few rows are held out for the false-alarm rate.
        """
        self._validate_params()
        X = self._validate(X, reset=True)
        count = _num_samples(X)
        n_held_out = round(self.held_out * count)
        threshold_rank(n_held_out, self.false_alarm_rate)  # before the training, which takes longer
        model = self._new_model(count - n_held_out)
        order = np.random.default_rng(seed_of(model.random_state)).permutation(count)
        held_out, train = (np.sort(rows) for rows in np.split(order, [n_held_out]))
        self.estimator_ = self._fitted(model, X, train)
        self._set_reference(self.estimator_.score_samples(_safe_indexing(X, held_out)))
        return self

    def score_samples(self, X: Rows) -> NDArray[np.float64]:
        """Return log p(x) of each row in nats, ``(N,)``; -inf for values that no row could have."""
        check_is_fitted(self)
        outside: dict[int, str] = {}
        log_px = self.estimator_._score(self._validate(X), outside)
        log_px[list(outside)] = -np.inf
        return log_px

    def decision_function(self, X: Rows) -> NDArray[np.float64]:
        """Return log p(x) minus the offset, ``(N,)``: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Rows) -> NDArray[np.int64]:
        """Return -1 for outliers and 1 for other rows, ``(N,)``."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: Rows) -> NDArray[np.float64]:
        """Return how surprising each value is, given the others of its row, in nats ``(N, D)``.

        Higher is more surprising, and infinite for values that no row could have; 0 for constant columns, NaN for
        missing values. See `aevb.evaluation.explanation`.

        Args:
            X: rows, ``(N, D)``.
        """
        check_is_fitted(self)
        X, model = self._validate(X), self.estimator_
        examples, columns = model._examples(X, {}), modelled(model.columns_)
        surprises = surprise(model.model_, examples, seed=model.seed_).numpy()
        raw = {column.name: column for column in read_columns(X)}
        missing = np.stack([raw[column.name].missing for column in columns], 1)
        surprises[np.isnan(surprises) & ~missing] = np.inf
        result = np.zeros((_num_samples(X), self.n_features_in_))
        result[:, [column.position for column in columns]] = surprises
        return result

    def _default_model(self, n_rows: int) -> VariationalAutoencoder:
        return self.default_estimator(n_rows, self.random_state, with_outliers=self.outlier_fraction > 0)

    def _fitted(self, model: VariationalAutoencoder, X: Rows, rows: NDArray[np.int64]) -> VariationalAutoencoder:
        """Return the model, fitted to those of some rows of X that are hardly outliers."""
        model._fit(X, rows)
        if self.outlier_fraction:
            log_px = model.score_samples(_safe_indexing(X, rows))
            model._fit(X, rows[log_px >= np.quantile(log_px, self.outlier_fraction)])
        return model

    def _set_reference(self, log_px: NDArray[np.float64]) -> None:
        """Set the threshold from log p(x) of held-out rows."""
        self._reference = log_px
        self.offset_ = threshold(torch.from_numpy(log_px), self.false_alarm_rate)

    def _to_run(self) -> RunFolder:
        run = super()._to_run()
        assert run.estimator
        log_px, samples, count = self._reference, self.estimator_.n_importance_samples, len(self._reference)
        reference = ReferenceScores(
            log_px=tuple(log_px.tolist()), n_importance_samples=samples, seed=self.estimator_.seed_
        )
        error = float(log_px.std(ddof=1)) / count**0.5 if count > 1 else None
        estimator = "importance sampling, of rows held out for the threshold"
        score = Score("log_px", float(log_px.mean()), error, "test", estimator, samples, "none", None, count)
        return replace(
            run,
            data=run.data.model_copy(update={"test": count}),
            estimator=run.estimator.model_copy(update={"reference": reference}),
            scores=[*run.scores, score],
        )

    @classmethod
    def _from_run(cls, run: RunFolder) -> Self:
        if not run.estimator or not run.estimator.reference:
            raise ValueError("log p(x) of held-out rows is missing")
        detector = super()._from_run(run)
        model = detector.estimator_
        model._run = replace(model._run, scores=[score for score in run.scores if score.split != "test"])
        detector._set_reference(np.array(run.estimator.reference.log_px))
        return detector
