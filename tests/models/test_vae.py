"""The pieces joined: shapes, what a model starts from, and what the estimators of the bound agree on."""

import math
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.errors import BadInput
from aevb.models.distributions import Normal
from aevb.models.likelihoods import Bernoulli, Gaussian, Likelihood
from aevb.models.likelihoods.gaussian import DiagonalGaussian, FullGaussian
from aevb.models.likelihoods.located import Located
from aevb.models.networks import conv_decoder, conv_encoder, initialize_output, mlp_decoder, mlp_encoder
from aevb.models.networks.layers import Block
from aevb.models.objectives import ELBO, MonteCarloELBO, Objective
from aevb.models.options import Activation
from aevb.models.posteriors import Diagonal
from aevb.models.priors import Standard
from aevb.models.vae import VAE
from tests.conftest import Exact, some

EVENTS = [(1,), (5,), (1, 8, 8), (3, 7, 5), (1, 28, 28)]


def vae(event: tuple[int, ...], **options: object) -> VAE:
    torch.manual_seed(0)
    return build(resolve(ModelConfig.model_validate(options), some("binary", event)), event)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("hidden", [(), (4,), (7, 3)])
@pytest.mark.parametrize("block", get_args(Block))
@pytest.mark.parametrize("activation", ["elu", "glu"])
def test_mlp_mirrors(event: tuple[int, ...], hidden: tuple[int, ...], block: Block, activation: Activation) -> None:
    encoder, features = mlp_encoder(event, hidden, activation, block=block)
    decoder = mlp_decoder(2, hidden, event, activation, block=block)
    assert encoder(torch.zeros(3, *event)).shape == (3, features)
    assert decoder(torch.zeros(3, 2)).shape == (3, *event)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (8, 8), (28, 28), (27, 30), (5, 64)])
@pytest.mark.parametrize("channels", [(4,), (4, 6, 5)])
@pytest.mark.parametrize("block", get_args(Block))
@pytest.mark.parametrize("activation", ["elu", "glu"])
def test_conv_mirrors_every_size(
    size: tuple[int, int], channels: tuple[int, ...], block: Block, activation: Activation
) -> None:
    event = (3, *size)
    encoder, features = conv_encoder(event, channels, activation, block=block)
    decoder = conv_decoder(2, channels, event, activation, block=block)
    assert encoder.eval()(torch.zeros(1, *event)).shape == (1, features)
    assert decoder.eval()(torch.zeros(1, 2)).shape == (1, *event)


def test_conv_is_the_network_of_the_report() -> None:
    """zhao's CNN: 28 - 14 - 7 - 4, a linear layer of 512, output padding 0, 1, 1."""
    event, channels = (1, 28, 28), (32, 64, 32)
    encoder, features = conv_encoder(event, channels, "elu")
    decoder = conv_decoder(2, channels, event, "elu")
    transposed = [layer for layer in decoder if isinstance(layer, nn.ConvTranspose2d)]  # type: ignore[attr-defined]
    assert features == 512
    assert [layer.output_padding for layer in transposed] == [(0, 0), (1, 1), (1, 1)]
    assert [(layer.in_channels, layer.out_channels) for layer in transposed] == [(32, 64), (64, 32), (32, 32)]
    count = sum(p.numel() for p in [*encoder.parameters(), *decoder.parameters()])
    # Weights and biases of its printed layers, batch normalization included, without the last linear of the encoder.
    encoder_count = (9 * 32 + 32) + 64 + (9 * 32 * 64 + 64) + 128 + (9 * 64 * 32 + 32) + 64
    decoder_count = (2 * 512 + 512) + (9 * 32 * 64 + 64) + 128 + (9 * 64 * 32 + 32) + 64 + (9 * 32 * 32 + 32) + 64
    assert count == encoder_count + decoder_count + (9 * 32 + 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_conv_keeps_the_channels_of_a_pixel_side_by_side(channels: int) -> None:
    """The layout is what makes them fast; weights and their gradients keep the usual one, which is what is stored."""
    event, seen = (channels, 12, 12), list[bool]()
    encoder, features = conv_encoder(event, (4, 6), "elu")
    decoder = conv_decoder(features, (4, 6), event, "elu")
    model = nn.Sequential(encoder, decoder)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(
                lambda _layer, _inputs, y: seen.append(y.is_contiguous(memory_format=torch.channels_last))
            )
    model(torch.rand(5, *event)).sum().backward()
    assert seen == [True] * 4
    assert all(p.is_contiguous() and p.grad is not None and p.grad.is_contiguous() for p in model.parameters())


def test_conv_refuses_rows() -> None:
    with pytest.raises(BadInput, match=r"needs images .* network='mlp'"):
        conv_encoder((5,), (4,), "elu")


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize(("samples", "batch"), [(1, 1), (1, 5), (3, 1), (3, 4)])
def test_trace_has_its_shapes(event: tuple[int, ...], network: str, samples: int, batch: int) -> None:
    if network == "conv" and len(event) == 1:
        return
    model = vae(event, network=network, latent=2).eval()
    x = torch.bernoulli(torch.full((batch, *event), 0.5))
    trace = model.trace(x, samples)
    assert trace.z.shape == (samples, batch, 2)
    for values in (trace.log_likelihood, trace.log_prior, trace.log_posterior, trace.log_weight):
        assert values.shape == (samples, batch)
    assert trace.rate.shape == (batch,)
    assert model.reconstruct(x).shape == (batch, *event)
    assert model.sample(batch).shape == (batch, *event)
    assert model.interpolate(x, x.flip(0), 4).shape == (4, batch, *event)


def test_sample_with_draw_gives_values_of_the_support() -> None:
    drawn = vae((5,)).sample(50, draw=True)
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}


def test_interpolation_ends_at_the_reconstructions() -> None:
    model, x = vae((5,)), torch.eye(5)
    path = model.interpolate(x[:2], x[2:4], 3)
    torch.testing.assert_close(path[0], model.reconstruct(x[:2]))
    torch.testing.assert_close(path[-1], model.reconstruct(x[2:4]))


@pytest.mark.parametrize("scale", ["log-variance", "softplus"])
def test_posterior_starts_near_the_prior(scale: Any) -> None:
    q = Diagonal(6, 3, scale)(torch.zeros(4, 6))
    torch.testing.assert_close(q.mean, torch.zeros(4, 3))
    torch.testing.assert_close(q.variance, torch.ones(4, 3))


def test_softplus_posterior_is_that_of_the_report() -> None:
    """Variance = softplus(h) + 1e-8, also where softplus underflows."""
    posterior = Diagonal(1, 1, "softplus")
    with torch.no_grad():
        posterior.head.weight.copy_(torch.tensor([[0.0], [1.0]]))
        posterior.head.bias.zero_()
    h = torch.tensor([[-1000.0], [-3.0], [0.0], [5.0]])
    torch.testing.assert_close(posterior(h).variance, nn.functional.softplus(h) + 1e-8)


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_initialize_sets_the_mean_of_the_data(network: str, likelihood: str) -> None:
    x = torch.rand(200, 1, 8, 8) * torch.linspace(0.2, 0.8, 8)
    options = ModelConfig.model_validate({"network": network, "likelihood": likelihood})
    model = build(resolve(options, some("binary", (1, 8, 8))), (1, 8, 8))
    model.initialize(x)
    bias = list(model.decoder.parameters())[-1]
    mean = x.mean(0).flatten() if network == "mlp" else x.mean(0).logit().mean().sigmoid()
    torch.testing.assert_close(bias.sigmoid(), mean.expand_as(bias), atol=1e-4, rtol=0)
    spread = model.eval().decode(torch.randn(200, 2)).mean.std(0)
    assert spread.max() < 0.1
    if isinstance(model.likelihood, Gaussian):
        assert model.likelihood.variance == pytest.approx((x - x.mean(0)).square().mean().item(), rel=1e-4)


def test_a_variance_for_each_element_starts_at_that_of_the_data() -> None:
    """A constant element, the third, starts at 1; no variance falls below a millionth of where it starts."""
    x = torch.randn(500, 3) * torch.tensor([1.0, 100.0, 0.0]) + 7
    likelihood = Gaussian((3,), "per-element")
    likelihood.initialize(x)
    expected = torch.cat([x.var(0, correction=0)[:2], torch.ones(1)]).double()
    torch.testing.assert_close(likelihood.variance, expected, rtol=1e-3, atol=0)
    likelihood.log_scale.data.fill_(-100)
    torch.testing.assert_close(likelihood.variance, 1e-6 * expected, rtol=1e-3, atol=0)
    density = likelihood(torch.zeros(3)).log_prob(x.mean(0))
    assert density.item() == pytest.approx(-likelihood.constant, rel=1e-5)


@pytest.mark.parametrize("family", [DiagonalGaussian, FullGaussian])
def test_variances_of_the_network_have_a_floor(family: type[Located]) -> None:
    """Repeated values do not let a density grow without limit: σ is at least a thousandth of that of the data."""
    x = torch.randn(500, 3) * torch.tensor([1.0, 100.0, 0.0]) + 7
    likelihood = family((3,))
    start = likelihood.initialize(x)
    start[3:6] = -100
    stddev = torch.tensor([x[:, 0].std(correction=0), x[:, 1].std(correction=0), 1.0])
    p = likelihood(start)
    torch.testing.assert_close(p.variance.sqrt(), 1e-3 * stddev, rtol=1e-3, atol=0)
    assert p.log_prob(x.mean(0)).item() == pytest.approx(
        -sum(math.log(1e-3 * one * math.sqrt(2 * math.pi)) for one in stddev), rel=1e-3
    )


def test_initialize_keeps_a_fixed_variance_and_finite_logits() -> None:
    fixed, bernoulli, x = Gaussian((3,), 0.05), Bernoulli((3,)), torch.tensor([[0.0, 1.0, 0.5]] * 4)
    fixed.initialize(x)
    assert fixed.variance == pytest.approx(0.05)
    assert bernoulli.initialize(x).isfinite().all()


def test_a_decoder_that_ends_otherwise_is_left_alone() -> None:
    decoder = nn.Sequential(nn.Linear(2, 3, bias=False), nn.Sigmoid())
    before = next(decoder.parameters()).clone()
    initialize_output(decoder, torch.zeros(3))
    initialize_output(nn.Identity(), torch.zeros(3))
    torch.testing.assert_close(next(decoder.parameters()), before)


@pytest.mark.parametrize("variance", [1e-4, 0.05, 1.0])
def test_constant_of_the_gaussian(variance: float) -> None:
    """-log p(x|z) without its constant is the squared error over 2c."""
    likelihood, x, output = Gaussian((1, 4, 4), variance), torch.rand(6, 1, 4, 4), torch.rand(6, 1, 4, 4)
    loss = -likelihood(output).log_prob(x) - likelihood.constant
    torch.testing.assert_close(loss, (x - output).square().sum((1, 2, 3)) / (2 * variance), rtol=1e-3, atol=1e-3)


def test_user_pieces_fit() -> None:
    """Any module can be an encoder, a decoder or a likelihood."""

    class Laplace(Likelihood):
        supports = ("real",)

        def initialize(self, x: Tensor) -> Tensor:
            return x.median(0).values

        def forward(self, output: Tensor) -> torch.distributions.Distribution:
            return torch.distributions.Independent(torch.distributions.Laplace(output, 1.0), len(self.event))

    model = VAE(nn.LazyLinear(8), Diagonal(8, 2), Standard(2, (5,)), nn.Linear(2, 5), Laplace((5,)))
    model.initialize(torch.randn(9, 5))
    ELBO(3)(model.trace(torch.randn(4, 5), 3)).loss.mean().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("objective", [ELBO(), MonteCarloELBO()])
def test_bound_is_log_px_where_the_posterior_is_true(exact: Callable[..., Exact], objective: Objective) -> None:
    """log p(x) = ELBO + KL(q || p(z|x)), and the divergence is zero: Monte Carlo has no variance left here."""
    linear = exact()
    x = linear.sample(6)
    trace = linear.model.trace(x, 2000)
    torch.testing.assert_close(trace.log_weight.double(), linear.log_px(x).expand(2000, 6), atol=1e-4, rtol=0)
    if isinstance(objective, MonteCarloELBO):
        torch.testing.assert_close(objective(trace).bound.double(), linear.log_px(x), atol=1e-4, rtol=0)


def test_both_estimators_agree_in_expectation_and_with_the_formula(exact: Callable[..., Exact]) -> None:
    """With the posterior mean off by d, KL(q || p(z|x)) = ½ Σ d² / σ². Within 5 standard errors of 40,000 draws, for 6
    examples and 2 estimators: false alarm below 1e-5 for any seed."""
    linear = exact(error=0.4)
    x = linear.sample(6)
    with torch.no_grad():
        q, trace = linear.model.encode(x), linear.model.trace(x, 40_000)
    assert isinstance(q, Normal)
    gap = (0.5 * 0.4**2 / q.variance).sum(1)
    expected = linear.log_px(x) - gap
    for objective, draws in ((ELBO(), trace.log_likelihood - trace.rate), (MonteCarloELBO(), trace.log_weight)):
        error = draws.std(0) / math.sqrt(len(draws))
        assert ((objective(trace).bound - expected).abs() < 5 * error).all()
        torch.testing.assert_close(objective(trace).bound, draws.mean(0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("objective", [ELBO(2), MonteCarloELBO(2)])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("scale", ["log-variance", "softplus"])
def test_gradients_of_the_loss_against_finite_differences(objective: Objective, likelihood: str, scale: str) -> None:
    model = vae((3,), hidden=(4,), activation="tanh", likelihood=likelihood, posterior_scale=scale).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    x = torch.bernoulli(torch.full((5, 3), 0.5)).double()
    names = [name for name, _ in model.named_parameters()]

    def loss(*values: Tensor) -> Tensor:
        torch.manual_seed(0)
        traced = torch.func.functional_call(
            Traced(model), {f"model.{n}": v for n, v in zip(names, values, strict=True)}, x
        )
        return objective(traced).loss

    assert torch.autograd.gradcheck(loss, tuple(p.detach().requires_grad_() for p in model.parameters()))


class Traced(nn.Module):
    """A model whose forward pass is its trace with two draws."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> object:
        return self.model.trace(x, 2)


def test_terms_add_up() -> None:
    trace = vae((5,)).trace(torch.ones(4, 5), 3)
    for objective in (ELBO(3), MonteCarloELBO(3)):
        terms = objective(trace)
        assert all(term.shape == (4,) for term in terms)
        torch.testing.assert_close(terms.bound, -(terms.rate + terms.distortion))
        torch.testing.assert_close(terms.loss, -terms.bound)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((2, 1, 4, 4), dtype=np.float32), "x is a numpy.ndarray: expected a tensor"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), "x is torch.uint8: expected floating-point numbers"),
        (torch.zeros(1, 4, 4), r"expected \(B, 1, 4, 4\); pass x\[None\] for one example"),
    ],
)
@pytest.mark.parametrize("method", ["encode", "reconstruct", "latent_means"])
def test_other_inputs_get_a_sentence(x: Any, said: str, method: str) -> None:
    model = build(resolve(ModelConfig(), some("unit", (1, 4, 4))), (1, 4, 4))
    with pytest.raises(BadInput, match=said):
        getattr(model, method)(x)
    with pytest.raises(BadInput, match=r"z is a numpy\.ndarray"):
        model.decode(np.zeros((2, 2)))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"z is torch\.float64 and the model torch\.float32"):
        model.decode(torch.zeros(2, 2, dtype=torch.float64))
