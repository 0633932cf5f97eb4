"""Weights of a VAE in plain PyTorch, copied or kept, give the same distributions, the same bound and true scores.

`docs/foreign-weights.md` shows the same to a user.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as PlainBernoulli
from torch.distributions import Distribution, Independent
from torch.distributions import Normal as PlainNormal
from torch.nn import functional as F

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.data import Dataset, Examples, Kind
from aevb.evaluation import evaluate
from aevb.models.distributions import Normal
from aevb.models.likelihoods import Bernoulli, Gaussian, Likelihood
from aevb.models.objectives import ELBO
from aevb.models.posteriors import Posterior, Scale
from aevb.models.priors import Standard
from aevb.models.vae import VAE
from tests.conftest import some

WIDTH, LATENT, PIXELS = 16, 2, 12
EVENT = (1, 3, 4)
GRAY, REAL = 0.05, 0.3
"""Variances of the Gaussian decoders of gray and of real values."""
Decode = Callable[[Tensor], Distribution]


class Convention(NamedTuple):
    """What the second head of the other code computes, and how it is copied.

    Attributes:
        std: maps the head's output to σ.
        factor: by which the rows of the head are multiplied.
        scale: the parametrization here; None where there is none.
    """

    std: Callable[[Tensor], Tensor]
    factor: float
    scale: Scale | None


CONVENTIONS = {
    "log-variance": Convention(lambda s: (s / 2).exp(), 1.0, "log-variance"),
    "log-std": Convention(torch.exp, 2.0, "log-variance"),
    "softplus-variance": Convention(lambda s: F.softplus(s).sqrt(), 1.0, "softplus"),
    "softplus-std": Convention(F.softplus, 1.0, None),
}
COPIED = [name for name, convention in CONVENTIONS.items() if convention.scale]


class PlainVAE(nn.Module):
    """A VAE that uses nothing of this package; `decode` maps the decoder's output to p(x | z)."""

    def __init__(self, convention: Convention, decode: Decode) -> None:
        super().__init__()
        self.std, self.decode = convention.std, decode
        self.encoder = nn.Sequential(nn.Linear(PIXELS, WIDTH), nn.Tanh())
        self.mean, self.raw = nn.Linear(WIDTH, LATENT), nn.Linear(WIDTH, LATENT)
        self.decoder = nn.Sequential(nn.Linear(LATENT, WIDTH), nn.Tanh(), nn.Linear(WIDTH, PIXELS))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ and σ of flat examples, each ``(B, Z)``."""
        features = self.encoder(x)
        return self.mean(features), self.std(self.raw(features))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x | z) of flat examples, ``(...)``."""
        return torch.as_tensor(Independent(self.decode(self.decoder(z)), 1).log_prob(x))

    def rate(self, x: Tensor) -> Tensor:
        """Return KL(q || p) of flat examples, ``(B,)``."""
        mean, std = self.encode(x)
        return (0.5 * (mean.square() + std.square() - 1) - std.log()).sum(1)

    def log_px(self, x: Tensor, cells: int = 160, limit: float = 6.0) -> Tensor:
        """Return log p(x) of flat examples, ``(B,)``, by the midpoint rule on a square of z."""
        step = 2 * limit / cells
        axis = torch.linspace(step / 2 - limit, limit - step / 2, cells)
        z = torch.cartesian_prod(axis, axis).unsqueeze(1)
        log_prior = -0.5 * z.square().sum(-1) - math.log(2 * math.pi)
        return (self.log_likelihood(x, z) + log_prior).logsumexp(0) + 2 * math.log(step)


def bernoulli(output: Tensor) -> Distribution:
    return PlainBernoulli(logits=output)


def gaussian(variance: float, link: Callable[[Tensor], Tensor] = torch.sigmoid) -> Decode:
    return lambda output: PlainNormal(link(output), variance**0.5)


def trained(convention: Convention, decode: Decode, x: Tensor) -> PlainVAE:
    """Return a VAE after a few steps on flat examples."""
    torch.manual_seed(0)
    plain = PlainVAE(convention, decode)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-2)
    for _ in range(80):
        mean, std = plain.encode(x)
        loss = plain.rate(x) - plain.log_likelihood(x, mean + std * torch.randn_like(mean))
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    return plain.requires_grad_(False)


def data(kind: Kind, count: int = 80) -> Dataset:
    """Correlated images of a kind; a pixel of each real image is far beyond the others."""
    generator = torch.Generator().manual_seed(0)
    z, weight = torch.randn(count, 2, generator=generator), torch.randn(2, PIXELS, generator=generator)
    x = 2 * z @ weight
    if kind == "real":
        x[:, 0] *= 5
    else:
        x = x.sigmoid().round() if kind == "binary" else x.sigmoid()
    part = Examples(x.view(count, *EVENT))
    return replace(some("binary", EVENT), kind=kind, train=part, valid=part, test=part[:20])


def copied(plain: PlainVAE, convention: Convention, dataset: Dataset, **options: object) -> VAE:
    """Return a model of the same architecture with the weights of a plain one."""
    options |= {"hidden": (WIDTH,), "activation": "tanh", "latent": LATENT, "posterior_scale": convention.scale}
    model = build(resolve(ModelConfig.model_validate(options), dataset), EVENT)
    model.load_state_dict(model.state_dict() | renamed(plain.state_dict(), convention.factor))
    return model.eval()


def renamed(weights: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
    """Return the weights of a plain VAE by their names here."""
    names = {"encoder.1": "encoder.0", "decoder.0": "decoder.0", "decoder.2": "decoder.2"}
    kinds = ("weight", "bias")
    same = {f"{ours}.{kind}": weights[f"{theirs}.{kind}"] for ours, theirs in names.items() for kind in kinds}
    heads = {kind: [weights[f"mean.{kind}"], factor * weights[f"raw.{kind}"]] for kind in kinds}
    return same | {f"posterior.head.{kind}": torch.cat(rows) for kind, rows in heads.items()}


class Heads(Posterior):
    """The heads of a plain VAE, whatever their convention."""

    def __init__(self, plain: PlainVAE) -> None:
        super().__init__(WIDTH, LATENT)
        self.mean, self.raw, self.std = plain.mean, plain.raw, plain.std

    def forward(self, features: Tensor) -> Normal:
        return Normal(self.mean(features), self.std(self.raw(features)).log())


def kept(plain: PlainVAE, likelihood: Likelihood) -> VAE:
    """Return the networks of a plain VAE, joined."""
    encoder = nn.Sequential(nn.Flatten(), plain.encoder)
    decoder = nn.Sequential(plain.decoder, nn.Unflatten(1, EVENT))
    return VAE(encoder, Heads(plain), Standard(LATENT, EVENT), decoder, likelihood).eval()


def differences(model: VAE, plain: PlainVAE, x: Tensor) -> dict[str, float]:
    """Return the largest relative or absolute difference of each quantity, for the same samples of z."""
    trace, flat = model.trace(x, 3), x.flatten(1)
    mean, std = plain.encode(flat)
    q = trace.layers[0].q
    pairs = {
        "mean": (q.mean, mean),
        "std": (q.stddev, std),
        "output": (model.decoder_output(trace.z).flatten(2), plain.decoder(trace.z)),
        "mean of p(x|z)": (model.decode(trace.z).mean.flatten(2), plain.decode(plain.decoder(trace.z)).mean),
        "log p(x|z)": (trace.log_likelihood, plain.log_likelihood(flat, trace.z)),
        "rate": (trace.rate, plain.rate(flat)),
        "bound": (ELBO()(trace).bound, plain.log_likelihood(flat, trace.z).mean(0) - plain.rate(flat)),
    }
    return {
        name: ((ours - theirs).abs() / theirs.abs().clamp_min(1)).max().item() for name, (ours, theirs) in pairs.items()
    }


def require_true_scores(model: VAE, plain: PlainVAE, dataset: Dataset) -> None:
    """Compare the scores with the formulas in plain PyTorch, log p(x) with a grid over z."""
    scores = {score.name: score.value for score in evaluate(model, dataset, "test")}
    x = dataset.test.all().x.flatten(1)
    assert all(math.isfinite(value) for value in scores.values())
    assert scores["rate"] == pytest.approx(plain.rate(x).mean().item(), rel=1e-5)
    assert scores["log_px"] == pytest.approx(plain.log_px(x).mean().item(), abs=2e-3)
    assert scores["log_px"] > scores["bound"]
    mean, std = plain.encode(x)
    likely = plain.log_likelihood(x, mean + std * torch.randn(2000, *mean.shape))
    noise = likely.std(0).mean().item() / (100 * len(x)) ** 0.5  # of the bound, which has 100 samples per example
    assert scores["bound"] == pytest.approx((likely.mean() - plain.rate(x).mean()).item(), abs=4 * noise)


@pytest.mark.parametrize("name", COPIED)
def test_copied_weights_give_the_same_model_of_binary_values(name: str) -> None:
    convention, dataset = CONVENTIONS[name], data("binary")
    x = dataset.train.all().x
    plain = trained(convention, bernoulli, x.flatten(1))
    model = copied(plain, convention, dataset)
    assert max(differences(model, plain, x).values()) < 1e-5
    require_true_scores(model, plain, dataset)


@pytest.mark.parametrize(("name", "link"), [("sigmoid", torch.sigmoid), ("identity", nn.Identity())])
def test_copied_weights_give_the_same_model_of_gray_values(name: str, link: Callable[[Tensor], Tensor]) -> None:
    convention, dataset = CONVENTIONS["log-variance"], data("unit")
    x = dataset.train.all().x
    plain = trained(convention, gaussian(GRAY, link), x.flatten(1))
    model = copied(plain, convention, dataset, likelihood="gaussian", variance=GRAY, mean_link=name)
    assert max(differences(model, plain, x).values()) < 1e-5
    require_true_scores(model, plain, dataset)


def test_a_learned_variance_is_copied() -> None:
    convention, dataset = CONVENTIONS["log-variance"], data("unit")
    x = dataset.train.all().x
    plain = trained(convention, gaussian(GRAY), x.flatten(1))
    model = copied(plain, convention, dataset, likelihood="gaussian", variance="learned")
    assert differences(model, plain, x)["log p(x|z)"] > 1e-2
    model.load_state_dict(model.state_dict() | {"likelihood.log_scale": torch.tensor(0.5 * math.log(GRAY))})
    assert max(differences(model, plain, x).values()) < 1e-5


@pytest.mark.parametrize("name", ["log-std", "softplus-std"])
@pytest.mark.parametrize(
    ("kind", "decode", "likelihood"),
    [("binary", bernoulli, Bernoulli(EVENT)), ("real", gaussian(REAL, nn.Identity()), Gaussian(EVENT, variance=REAL))],
)
def test_kept_networks_give_the_same_model(name: str, kind: Kind, decode: Decode, likelihood: Likelihood) -> None:
    dataset = data(kind)
    x = dataset.train.all().x
    plain = trained(CONVENTIONS[name], decode, x.flatten(1))
    model = kept(plain, likelihood)
    assert max(differences(model, plain, x).values()) < 1e-5
    require_true_scores(model, plain, dataset)


@pytest.mark.parametrize(
    ("trained_as", "copied_as"),
    [("log-std", "log-variance"), ("softplus-variance", "log-variance"), ("softplus-std", "log-std")],
)
def test_a_wrong_convention_would_be_noticed(trained_as: str, copied_as: str) -> None:
    dataset = data("binary")
    x = dataset.train.all().x
    plain = trained(CONVENTIONS[trained_as], bernoulli, x.flatten(1))
    found = differences(copied(plain, CONVENTIONS[copied_as], dataset), plain, x)
    assert found["mean"] < 1e-5
    assert min(found["std"], found["rate"], found["bound"]) > 1e-2


def test_real_values_beyond_five_are_why_networks_are_kept() -> None:
    """`build` compresses the inputs of real values; the networks of other code do not."""
    convention, dataset = CONVENTIONS["log-variance"], data("real")
    x = dataset.train.all().x
    plain = trained(convention, gaussian(REAL, nn.Identity()), x.flatten(1))
    model = copied(plain, convention, dataset, likelihood="gaussian", variance=REAL)
    assert differences(model, plain, x)["mean"] > 1e-2


def test_a_missing_weight_is_refused() -> None:
    dataset = data("binary")
    plain = PlainVAE(CONVENTIONS["log-variance"], bernoulli)
    model = copied(plain, CONVENTIONS["log-variance"], dataset)
    weights = renamed(plain.state_dict(), 1.0)
    del weights["posterior.head.bias"]
    with pytest.raises(RuntimeError, match=r"posterior\.head\.bias"):
        model.load_state_dict(weights)
