"""Imputation: missing values from the observed values of the row."""

from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from typing_extensions import Self

from aevb.errors import BadInput
from aevb.estimators.autoencoder import ModelWrapper, VariationalAutoencoder
from aevb.estimators.frames import Rows, fill_missing
from aevb.evaluation.calibration import calibrate_noise
from aevb.evaluation.imputation import impute, typical


class VAEImputer(OneToOneFeatureMixin, TransformerMixin, ModelWrapper):
    """An imputer of missing values, by p(missing | observed).

    After training, the noise of numeric columns is calibrated on the rows that the model held out
    (`aevb.evaluation.calibration`), so that intervals have their nominal coverage. A `VariationalAutoencoder` alone
    keeps the noise that it learned.

    Args:
        estimator: the model of the rows; None for a `VariationalAutoencoder` with its defaults.
        n_imputations: samples of each row from p(missing | observed), of which `transform` takes a typical value.
        n_importance_samples: K, candidates for z from which the samples are chosen.

    Attributes:
        estimator_: fitted, with calibrated noise.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [VariationalAutoencoder, None],
        "n_imputations": [Interval(Integral, 1, None, closed="left")],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator: VariationalAutoencoder | None = None,
        *,
        n_imputations: int = 100,
        n_importance_samples: int = 1000,
    ) -> None:
        self.estimator = estimator
        self.n_imputations = n_imputations
        self.n_importance_samples = n_importance_samples

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
        self.estimator_ = model = self._new_model()
        held_out = model._fit(X)
        for column in model.columns_:
            if column.kind == "constant" and not column.values:
                raise BadInput(f"column {column.name!r} is empty: drop it")
        calibrate_noise(model.model_, held_out, seed=model.seed_)
        return self

    def transform(self, X: Rows) -> Rows:
        """Return X with each missing value replaced by the median of its samples, or by the most frequent category."""
        observed, samples = self._impute(X, self.n_imputations)
        return self._filled(X, torch.where(observed.isnan(), typical(samples, self.estimator_.columns_), observed))

    def sample(self, X: Rows, n_samples: int = 20) -> list[Rows]:
        """Return X `n_samples` times, each time with other samples in place of its missing values.

        Analyze each of them: the differences between the results measure the uncertainty due to missing values.
        """
        _, samples = self._impute(X, n_samples)
        return [self._filled(X, rows) for rows in samples]

    def _impute(self, X: Rows, count: int) -> tuple[Tensor, Tensor]:
        """Return the rows of the model ``(N, D)``, and `count` samples of each ``(count, N, D)``."""
        check_is_fitted(self)
        model = self.estimator_
        examples = model._examples(self._validate(X))
        imputed = impute(
            model.model_, examples, count, n_importance_samples=self.n_importance_samples, seed=model.seed_
        )
        return examples.values, imputed.imputations

    def _filled(self, X: Rows, values: Tensor) -> Rows:
        return fill_missing(X, self.estimator_._to_rows(values))
