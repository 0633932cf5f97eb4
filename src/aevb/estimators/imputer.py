"""Imputation: missing values from the observed values of the row."""

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
from aevb.evaluation.imputation import Imputed, expected, impute, typical

EPOCHS, EPOCHS_FOR = 200, 2000
"""Passes of the default model over up to so many rows; beyond, training steps grow with the square root of the rows."""


class VAEImputer(OneToOneFeatureMixin, TransformerMixin, ModelWrapper):
    """An imputer of missing values, by p(missing | observed).

    After training, the noise of numeric columns is calibrated on the rows that the model held out
    (`aevb.evaluation.calibration`), so that intervals have their nominal coverage. A `VariationalAutoencoder` alone
    keeps the noise that it learned.

    A missing number is replaced by its conditional mean, which has the least expected squared error, or by its median.

    Args:
        estimator: the model of the rows; None for `default_estimator`.
        strategy: how `transform` fills in numbers: "mean", or "median", which few extreme values do not move.
        n_imputations: samples of each row from p(missing | observed), which `transform` summarizes.
        n_importance_samples: K, candidates for z from which the samples are chosen.
        random_state: seed of `default_estimator`; another `estimator` has its own.

    Attributes:
        estimator_: fitted, with calibrated noise.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [VariationalAutoencoder, None],
        "strategy": [StrOptions({"mean", "median"})],
        "n_imputations": [Interval(Integral, 1, None, closed="left")],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        estimator: VariationalAutoencoder | None = None,
        *,
        strategy: str = "mean",
        n_imputations: int = 100,
        n_importance_samples: int = 200,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
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
        """Fit a model to rows, in which values may be missing.

        Args:
            X: rows, ``(N, D)``.
            y: ignored.

        Raises:
            BadInput: a column has no values.
        """
        self._validate_params()
        X = self._validate(X, reset=True)
        self.estimator_ = model = self._new_model(_num_samples(X))
        held_out = model._fit(X)
        for column in model.columns_:
            if column.kind == "constant" and not column.values:
                raise BadInput(f"column {column.name!r} is empty: drop it")
        calibrate_noise(model.model_, held_out, seed=model.seed_)
        return self

    def transform(self, X: Rows) -> Rows:
        """Return X with missing numbers replaced by their mean or median, and others by the most frequent category."""
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
        return [self._filled(X, rows) for rows in imputed.imputations]

    def _impute(self, X: Rows, count: int) -> tuple[Tensor, Imputed]:
        """Return the rows of the model ``(N, D)``, and `count` imputations of each."""
        check_is_fitted(self)
        model = self.estimator_
        examples = model._examples(self._validate(X))
        imputed = impute(
            model.model_, examples, count, n_importance_samples=self.n_importance_samples, seed=model.seed_
        )
        return examples.values, imputed

    def _filled(self, X: Rows, values: Tensor) -> Rows:
        return fill_missing(X, self.estimator_._to_rows(values))
