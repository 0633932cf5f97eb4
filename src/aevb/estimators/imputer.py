"""Imputation: missing values from the observed values of the row."""

from copy import copy
from dataclasses import replace
from math import ceil
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted
from torch import Tensor
from typing_extensions import Self

from aevb.errors import BadInput
from aevb.estimators.autoencoder import ModelWrapper, VariationalAutoencoder
from aevb.estimators.base import RandomState
from aevb.estimators.frames import Rows, fill_missing
from aevb.evaluation.calibration import calibrate_noise
from aevb.evaluation.imputation import Imputed, expected, impute, pooled, typical
from aevb.runs.run_folder import RunFolder

EPOCHS, EPOCHS_FOR = 200, 2000
"""Passes of the default model over up to so many rows; beyond, training steps grow with the square root of the rows."""


class VAEImputer(OneToOneFeatureMixin, TransformerMixin, ModelWrapper):
    """An imputer of missing values, by p(missing | observed).

    After training, the noise of numeric columns is calibrated on the rows that the model held out
    (`aevb.evaluation.calibration`), so that intervals have their nominal coverage. A `VariationalAutoencoder` alone
    keeps the noise that it learned.

    A missing number is replaced by its conditional mean, which has the least expected squared error, or by its median.
    Several models, trained with other seeds and holding out other rows, have smaller errors, and their samples include
    the uncertainty of the weights, for a multiple of the time.

    Args:
        estimator: the model of the rows; None for `default_estimator`.
        n_models: number of models with equal weights, at most 99.
        strategy: how `transform` fills in numbers: "mean", or "median", which few extreme values do not move.
        n_imputations: samples of each row from p(missing | observed), which `transform` summarizes.
        n_importance_samples: K, candidates for z from which the samples are chosen.
        random_state: seed of `default_estimator`; another `estimator` has its own.

    Attributes:
        estimators_: the fitted models, with calibrated noise.
        estimator_: the first of them.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [VariationalAutoencoder, None],
        "n_models": [Interval(Integral, 1, 99, closed="both")],
        "strategy": [StrOptions({"mean", "median"})],
        "n_imputations": [Interval(Integral, 1, None, closed="left")],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        estimator: VariationalAutoencoder | None = None,
        *,
        n_models: int = 1,
        strategy: str = "mean",
        n_imputations: int = 100,
        n_importance_samples: int = 200,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.n_models = n_models
        self.strategy = strategy
        self.n_imputations = n_imputations
        self.n_importance_samples = n_importance_samples
        self.random_state = random_state

    @staticmethod
    def default_estimator(n_rows: int, random_state: RandomState = None) -> VariationalAutoencoder:
        """Return the unfitted default model for a number of training rows.

        It is trained by the importance-weighted bound: where values are missing, posteriors of z have shapes that the
        encoder cannot match, and the bound of one sample simplifies the decoder until it can. The last weights are
        kept: the bound on held-out rows falls as soon as the noise is over-fitted, which is calibrated, while means
        improve.
        """
        epochs = ceil(EPOCHS * min(1.0, EPOCHS_FOR / n_rows) ** 0.5)
        return VariationalAutoencoder(
            prior="mixture", objective="iwae", n_samples=5, epochs=epochs, keep="last", random_state=random_state
        )

    def fit(self, X: Rows, y: object = None) -> Self:
        """Fit the models to rows, in which values may be missing.

        Args:
            X: rows, ``(N, D)``.
            y: ignored.

        Raises:
            BadInput: a column has no values.
        """
        self._validate_params()
        X = self._validate(X, reset=True)
        self.estimators_: list[VariationalAutoencoder] = []
        for number in range(self.n_models):
            model = self._new_model(_num_samples(X))
            if number:
                model.set_params(random_state=self.estimators_[0].seed_ + number)
            self.estimators_.append(_fitted(model, X))
        self.estimator_ = self.estimators_[0]
        return self

    def transform(self, X: Rows) -> Rows:
        """Return X with missing numbers replaced by their mean or median, and others by the most frequent category.

        Columns that the model excludes stay as they are.
        """
        observed, imputed = self._impute(X, self.n_imputations)
        columns = self.estimator_.columns_
        by_mean = self.strategy == "mean"
        values = expected(imputed, columns) if by_mean else typical(imputed.imputations, columns)
        return self._filled(X, torch.where(observed.isnan(), values, observed))

    def sample(self, X: Rows, n_samples: int = 20) -> list[Rows]:
        """Return X `n_samples` times, each time with other samples in place of its missing values.

        Analyze each of them: the differences between the results measure the uncertainty due to missing values.
        """
        _, imputed = self._impute(X, n_samples)
        return [self._filled(X, rows) for rows in imputed.imputations[:n_samples]]

    def _impute(self, X: Rows, count: int) -> tuple[Tensor, Imputed]:
        """Return the rows of the model ``(N, D)``, and `count` imputations of each, or more for `transform`."""
        check_is_fitted(self)
        examples, each = self.estimator_._examples(self._validate(X)), ceil(count / len(self.estimators_))
        k = self.n_importance_samples
        parts = [impute(m.model_, examples, each, n_importance_samples=k, seed=m.seed_) for m in self.estimators_]
        return examples.values, pooled(parts)

    def _filled(self, X: Rows, values: Tensor) -> Rows:
        return fill_missing(X, self.estimator_._to_rows(values), self.estimator_.columns_)

    def _to_run(self) -> RunFolder:
        return replace(super()._to_run(), pool=[model.model_ for model in self.estimators_[1:]])

    @classmethod
    def _from_run(cls, run: RunFolder) -> Self:
        imputer = super()._from_run(run)
        imputer.estimators_ = [imputer.estimator_]
        for number, vae in enumerate(run.pool, 1):
            model = copy(imputer.estimator_)
            model.model_, model.seed_ = vae.double(), model.seed_ + number
            imputer.estimators_.append(model)
        return imputer


def _fitted(model: VariationalAutoencoder, X: Rows) -> VariationalAutoencoder:
    """Fit a model and calibrate its noise on the rows that it held out; return the model.

    Raises:
        BadInput: a column has no values.
    """
    held_out = model._fit(X)
    for column in model.columns_:
        if column.kind == "constant" and not column.values:
            raise BadInput(f"column {column.name!r} is empty: drop it")
    calibrate_noise(model.model_, held_out, seed=model.seed_)
    scores = [replace(score, note="before the noise was calibrated") for score in model._run.scores]
    model._run = replace(model._run, scores=scores)
    return model
