"""What an encoder receives: standardized numbers that no single value dominates."""

import numpy as np
import pytest
import torch
from torch import Tensor

from aevb.config.build import build
from aevb.config.initialize import initialize
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig, TrainConfig
from aevb.data import Dataset, Examples
from aevb.models.networks import Standardize
from aevb.models.networks.inputs import LINEAR, compress
from aevb.models.objectives import ELBO
from aevb.training.fit import fit


def standardized(x: Tensor) -> Standardize:
    layer = Standardize(tuple(x.shape[1:]))
    layer.initialize(x)
    return layer


def test_numbers_have_mean_zero_and_standard_deviation_one() -> None:
    x = torch.randn(1000, 3) * torch.tensor([1e-3, 1.0, 1e6]) + torch.tensor([1.0, -5.0, 1e8])
    y = (x - standardized(x).shift) / standardized(x).spread
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(y.std(0), 1, rtol=2e-3)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 0.5, 1 / 3, 1e-20, 123456.7, -1e9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_is_constant_whatever_its_digits(value: float, dtype: torch.dtype) -> None:
    x = torch.full((997, 1), value, dtype=dtype)
    assert standardized(x).spread == 1
    jittered = x.clone()
    jittered[::2] = torch.nextafter(x[::2], torch.full_like(x[::2], 1e30))
    assert value == 0 or standardized(jittered).spread == 1


def test_a_pixel_that_hardly_varies_has_a_tenth_of_the_usual_scale() -> None:
    x = 2 * (torch.rand(500, 1, 4, 4) > 0.5).float() - 1
    x[:, 0, 0, 0] = -1
    x[0, 0, 0, 0] = -0.999
    x[:, 0, 3, 3] = -1
    spread = standardized(x).spread[0]
    assert spread[0, 0] == spread[3, 3] == pytest.approx(0.1 * spread.square().mean().sqrt().item(), rel=0.02)
    assert spread[1, 1] == pytest.approx(1, rel=0.01)


def test_images_without_any_variation() -> None:
    assert (standardized(torch.full((5, 1, 2, 2), 0.3)).spread == 1).all()


def test_compression_is_smooth_monotone_and_odd() -> None:
    y = torch.linspace(-1e4, 1e4, 2_000_001, dtype=torch.float64).requires_grad_()
    out = compress(y)
    (slope,) = torch.autograd.grad(out.sum(), y)
    assert (slope > 0).all()
    assert slope.diff().abs().max() < 0.011  # 1 / (|y| - 4) falls by at most its step of 0.01
    torch.testing.assert_close(out, -out.flip(0))
    near = y.abs() <= LINEAR
    torch.testing.assert_close(out[near], y[near])
    assert compress(torch.tensor(1e6)) < 20
    assert compress(torch.tensor(float("nan"))).isnan()


def test_ink_that_training_did_not_see_does_not_harm_the_bound() -> None:
    """Images in [-1, 1] whose corner is inked in one training image in 400 and in every tenth of validation."""
    torch.manual_seed(0)
    x = 2 * (torch.rand(800, 1, 4, 4) > 0.5).float() - 1
    x[:, 0, 0, 0] = -1
    x[0, 0, 0, 0] = -0.99
    train, valid = Examples(x[:400]), x[400:].clone()
    valid[::10, 0, 0, 0] = 1
    data = Dataset("ink", "real", (1, 4, 4), train, Examples(valid), Examples(valid), "none", None)
    model = build(resolve(ModelConfig.model_validate({"hidden": 16}), data), data.shape)
    initialize(model, data.train)
    bounds = [
        epoch.valid.bound
        for epoch in fit(model, ELBO(), data.train, data.valid, TrainConfig(epochs=20)).epochs
        if epoch.valid
    ]
    assert bounds[-1] > bounds[0] > -40
