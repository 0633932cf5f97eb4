"""Imputation of rows with missing values."""

import numpy as np
import pytest
import torch
from torch import Tensor

from aevb import VAEImputer
from aevb.columns import Column, ColumnKind, modelled
from aevb.evaluation import imputation
from aevb.evaluation.imputation import typical
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


def test_the_median_of_an_even_number_lies_between_the_middle_two() -> None:
    """Their mean, rounded for whole numbers: the lower one would be too low in each cell."""
    kinds: tuple[ColumnKind, ...] = ("real", "count", "binary")
    columns = [
        Column(name=kind, kind=kind, position=place, values=("a", "b") if kind == "binary" else ())
        for place, kind in enumerate(kinds)
    ]
    columns.append(Column(name="year", kind="real", position=3, whole=True))
    in_order = ["real", "year", "count", "binary"]
    assert [column.name for column in modelled(columns)] == in_order
    samples = torch.tensor([[4.0, 8.0, 1.0, 1.0], [1.0, 1.0, 4.0, 1.0], [9.0, 5.0, 3.0, 1.0], [3.0, 4.0, 2.0, 0.0]])
    assert typical(samples.unsqueeze(1), columns).tolist() == [[3.5, 4.0, 2.0, 1.0]]
    assert typical(samples[:3].unsqueeze(1), columns).tolist() == [[4.0, 5.0, 3.0, 1.0]]
    many = typical(torch.randn(2, 10_000, 4, generator=torch.Generator().manual_seed(0)).abs(), columns)
    assert abs(many[:, 0].mean().item() - (2 / torch.pi) ** 0.5) < 0.02
