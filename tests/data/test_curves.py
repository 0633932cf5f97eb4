"""Rows that are curves, and rows that are not."""

import torch

from aevb.columns import Column
from aevb.data.curves import curve_order

SMOOTH = torch.sin(torch.linspace(0, 6, 30) + torch.arange(20.0).unsqueeze(1))
NOISE = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))


def test_smooth_rows_are_curves() -> None:
    gaps = SMOOTH.masked_fill(torch.rand(SMOOTH.shape, generator=torch.Generator().manual_seed(1)) < 0.1, torch.nan)
    for x in (SMOOTH, SMOOTH + 0.3 * NOISE, gaps):
        assert curve_order(x) == list(range(30))


def test_columns_without_an_order_are_no_curves() -> None:
    units = SMOOTH * torch.logspace(-2, 2, 30)[torch.randperm(30, generator=torch.Generator().manual_seed(0))]
    for x in (NOISE, units, torch.ones(20, 30), SMOOTH[:, :12], (SMOOTH > 0).float(), SMOOTH.view(20, 1, 5, 6)):
        assert curve_order(x) is None


def test_too_many_columns_for_panels_are_curves() -> None:
    assert curve_order(NOISE.repeat(1, 4)) == list(range(120))


def test_numbers_of_a_table_are_in_the_order_of_its_columns() -> None:
    """Rows have real columns first: here, the second half of the table."""
    columns = [Column(name=f"t{j}", kind="positive" if j < 15 else "real", position=j) for j in range(30)]
    order = curve_order(torch.cat([SMOOTH[:, 15:], SMOOTH[:, :15]], 1), columns)
    assert order == [*range(15, 30), *range(15)]
    columns[4] = columns[4].model_copy(update={"kind": "categorical", "values": ("a", "b")})
    assert curve_order(SMOOTH, columns) is None
