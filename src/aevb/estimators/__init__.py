"""scikit-learn estimators, which use the same models, training and evaluation as the commands.

    VariationalAutoencoder    transform: mean of q(z|x);  score_samples: log p(x);  sample
    VAEOutlierDetector        predict: -1 where log p(x) is lower than that of nearly all held-out rows
    VAEImputer                transform: missing values replaced by typical values of p(missing | observed)

X is an array, or a pandas or polars data frame, in which values may be missing. Numbers are real, and texts and truth
values are binary or categorical, unless `column_types` says otherwise. Rows that are returned have the columns of X in
their order. A fitted model computes in float64, so that no number depends on the other rows of X. A fitted estimator is
saved as a run folder without any row of X, which the commands read like any other.
"""

from aevb.estimators.autoencoder import VariationalAutoencoder
from aevb.estimators.imputer import VAEImputer
from aevb.estimators.outliers import VAEOutlierDetector

__all__ = ["VAEImputer", "VAEOutlierDetector", "VariationalAutoencoder"]
