"""Imputation of rows with missing values."""

import numpy as np
import pytest
from torch import Tensor

from aevb import VAEImputer
from aevb.evaluation import imputation
from aevb.evaluation.laplace import candidates
from aevb.evaluation.posterior_samples import Part
from tests.evaluation.test_calibration import few, quick


def test_complete_rows_cost_nothing_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gaps = few()
    gaps[0, 0] = np.nan
    imputer = VAEImputer(quick(), n_importance_samples=20).fit(gaps)
    complete = np.nan_to_num(gaps[:30])
    seen = list[int]()

    def counted(part: Part) -> tuple[Tensor, Tensor]:
        seen.append(len(part.batch))
        return candidates(part)

    monkeypatch.setattr(imputation, "candidates", counted)
    together = np.array(imputer.sample(np.concatenate([complete[:10], gaps, complete[10:]]), 3))
    assert sum(seen) == np.isnan(gaps).any(1).sum()
    assert np.array_equal(together[:, 10:-20], np.array(imputer.sample(gaps, 3)))
    assert np.array_equal(together[0, :10], complete[:10])
    seen.clear()
    assert np.array_equal(imputer.transform(complete), complete)
    assert not seen
