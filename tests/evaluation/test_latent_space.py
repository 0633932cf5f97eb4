"""The measures of latent space against cases whose numbers are known."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import scipy.stats
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.data import Dataset, Examples
from aevb.errors import BadInput
from aevb.evaluation import aggregate_posterior, latent_space
from aevb.evaluation.aggregate_posterior import prior_holes
from aevb.evaluation.latent_space import STEPS, continuity, structure
from aevb.evaluation.sample_quality import class_coverage
from aevb.models.distributions import Normal, Point
from aevb.models.likelihoods import Gaussian
from aevb.models.posteriors import Diagonal, FlowPosterior, Full
from aevb.models.priors import Standard
from aevb.models.registry import register
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from tests.conftest import Exact, some

Rows = Callable[[Tensor], Dataset]
Make = Callable[..., Exact]


class Around(nn.Module):
    """A normal around the features, with one standard deviation."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(std)))

    def forward(self, features: Tensor) -> Normal:
        return Normal(features, self.log_scale)


class Apply(nn.Module):
    """A decoder that is a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, z: Tensor) -> Tensor:
        return self.function(z)


def transparent(decode: Callable[[Tensor], Tensor], latent: int, output: int, std: float = 0.1) -> VAE:
    """A model whose codes are the examples themselves."""
    prior, likelihood = Standard(latent, (latent,)), Gaussian((output,), 1.0)
    return VAE(nn.Identity(), Around(std), prior, Apply(decode), likelihood)


def arc(z: Tensor) -> Tensor:
    return torch.cat([z.cos(), z.sin()], dim=1)


def made(event: tuple[int, ...], kind: Any = "unit", **options: Any) -> VAE:
    """A model whose weights and running moments are away from where they start."""
    dataset = some(kind, event)
    with seeded(0, RNGStream.WEIGHTS):
        model = build(resolve(ModelConfig.model_validate(options), dataset), event)
        for parameter in model.parameters():
            parameter.data.add_(0.3 * torch.randn_like(parameter))
        for _ in range(3):
            model.trace(dataset.train.values)
    return model


# Continuity.


@pytest.mark.parametrize("latent", [1, 2, 4])
def test_a_linear_decoder_is_straight_and_even_and_stretches_by_its_largest_singular_value(
    exact: Make, latent: int
) -> None:
    linear = exact(latent=latent)
    measured = continuity(linear.model, linear.sample(50))
    assert measured.path_ratio.value == pytest.approx(1, abs=1e-5)
    assert measured.path_ratio.stderr == pytest.approx(0, abs=1e-5)
    assert measured.largest_step.value == pytest.approx(1, abs=1e-3)
    assert measured.lipschitz == pytest.approx(2, rel=1e-5)
    assert measured.lipschitz_95 == pytest.approx(2, rel=1e-5)
    assert measured.pairs == 25


def test_half_a_circle_is_longer_than_its_chord_by_half_pi() -> None:
    measured = continuity(transparent(arc, 1, 2), torch.tensor([[0.0], [math.pi]]))
    assert measured.path_ratio.value == pytest.approx(math.pi / 2, rel=1e-3)
    assert measured.path_ratio.stderr is None
    assert measured.largest_step.value == pytest.approx(1, abs=1e-4)
    assert measured.lipschitz == pytest.approx(1, rel=1e-5)


def test_a_path_ratio_is_the_mean_path_over_the_mean_chord() -> None:
    """Of angles a, b uniform over half a circle: E |a - b| / E 2 sin(|a - b| / 2), within 5 of its standard errors:
    false alarm below 1e-6."""
    expected = (math.pi / 3) / (8 / math.pi - 16 / math.pi**2)
    measured = continuity(transparent(arc, 1, 2), math.pi * torch.rand(400, 1)).path_ratio
    assert measured.stderr is not None
    assert 0 < measured.stderr < 0.02
    assert measured.value == pytest.approx(expected, abs=5 * measured.stderr)


@pytest.mark.slow
def test_standard_errors_of_continuity_are_those_of_means() -> None:
    """Over 100 fresh sets, the std of what is measured is the standard error reported, within 40 %: the relative
    error of such a standard deviation is 7 %, so that false alarms are below 1e-6."""
    model = transparent(arc, 1, 2)
    measured = [continuity(model, math.pi * torch.rand(40, 1)).path_ratio for _ in range(100)]
    values, errors = (torch.tensor(numbers) for numbers in zip(*measured, strict=True))
    assert values.std().item() == pytest.approx(errors.mean().item(), rel=0.4)


def test_a_decoder_that_jumps_makes_one_step() -> None:
    """Whether or not some pairs lie on one side of the jump."""
    step = transparent(lambda z: (z > 0).to(z.dtype), 1, 1)
    x = torch.tensor([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]).unsqueeze(1)
    measured = continuity(step, x)
    assert measured.largest_step.value == pytest.approx(STEPS)
    assert measured.path_ratio.value == pytest.approx(1)
    assert measured.lipschitz == 0


@pytest.mark.parametrize("slope", [0.0, 1e-7])
def test_rounding_is_no_path(slope: float) -> None:
    """A decoder that does not move, or by no more than a float can tell, is straight."""
    weight = slope * torch.randn(2, 50)
    measured = continuity(transparent(lambda z: 0.5 + z @ weight, 2, 50), torch.randn(40, 2))
    assert measured.path_ratio.value == pytest.approx(1, abs=1e-6)
    assert measured.largest_step.value == pytest.approx(1, abs=1e-6)


def test_a_way_around_is_infinitely_longer_than_none() -> None:
    measured = continuity(transparent(arc, 1, 2), torch.tensor([[-math.pi], [math.pi]]))
    assert measured.path_ratio == (math.inf, None)


def jacobian(model: VAE, z: Tensor) -> Tensor:
    """∂ E p(x | z) / ∂z, ``(D, Z)``, by central differences in float64."""
    columns = [model.decode(z + e).mean - model.decode(z - e).mean for e in 1e-5 * torch.eye(z.shape[-1]).to(z)]
    return torch.stack([column.flatten() / 2e-5 for column in columns], dim=1)


CASES = [
    *[
        ("real", (6,), {"likelihood": name})
        for name, family in register.likelihood.items()
        if "real" in family.supports
    ],
    *[
        ("binary", (2, 3, 4), {"likelihood": name})
        for name, family in register.likelihood.items()
        if "binary" in family.supports
    ],
    ("counts", (6,), {"likelihood": "poisson"}),
    ("counts", (6,), {"likelihood": "negative-binomial"}),
    *[("unit", event, {"network": "conv", "channels": (4, 5)}) for event in ((1, 8, 8), (3, 7, 5), (1, 1, 1))],
    ("real", (1,), {}),
    *[("real", (6,), {"posterior": posterior}) for posterior in ("full", "flow", "point")],
    ("real", (6,), {"latent": (2, 3), "latent_hidden": (5,)}),
    ("real", (3,), {"latent": (80,)}),
]


@pytest.mark.parametrize(("kind", "event", "options"), CASES)
def test_stretch_against_finite_differences(kind: str, event: tuple[int, ...], options: dict[str, object]) -> None:
    """For every likelihood, network, posterior and shape, and in float64, where differences are exact to 1e-8."""
    model = made(event, kind, **({"hidden": (7,)} if "network" not in options else {}), activation="tanh", **options)
    model, x = model.double(), some(kind, event).test.values[:9].double()  # type: ignore[arg-type]
    measured = continuity(model, x)
    assert not model.training
    with torch.no_grad():
        codes = model.latent_means(x)[-1].split(1)
        stretches = torch.stack([torch.linalg.matrix_norm(jacobian(model, z), 2) for z in codes])
    # Nine examples are four pairs, and the stretch is measured at every code.
    assert measured.pairs == 4
    assert measured.lipschitz == pytest.approx(stretches.quantile(0.5).item(), rel=1e-5, abs=1e-9)
    assert measured.lipschitz_95 == pytest.approx(stretches.quantile(0.95).item(), rel=1e-5, abs=1e-9)
    assert measured.path_ratio.value >= 1
    assert 1 <= measured.largest_step.value <= STEPS


def test_stretch_does_not_depend_on_the_order_of_examples() -> None:
    model, x = transparent(lambda z: z**3, 2, 2), torch.randn(80, 2)
    first, second = continuity(model, x), continuity(model, x[torch.randperm(80)])
    assert first.lipschitz == pytest.approx(second.lipschitz, rel=1e-6)
    assert first.lipschitz_95 == pytest.approx(second.lipschitz_95, rel=1e-6)


def test_few_decodings_are_alive_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes, decode = made((3,), "real", hidden=(7,), latent=(200,)), [0], VAE._decoder_output

    def noted(self: VAE, z: Tensor, context: Tensor | None) -> Tensor:
        sizes.append(z.numel() // z.shape[-1])
        return decode(self, z, context)

    monkeypatch.setattr(VAE, "_decoder_output", noted)
    continuity(model, torch.randn(50, 3))
    assert max(sizes) == STEPS + 1


@pytest.mark.parametrize("x", [torch.zeros(1, 2), torch.zeros(0, 2), torch.tensor([[0.0, 1.0], [math.inf, 0.0]])])
def test_too_few_or_infinite_examples_have_no_continuity(x: Tensor) -> None:
    with pytest.raises(BadInput, match=r"at least two examples|is not finite"):
        continuity(transparent(lambda z: z, 2, 2), x)


# Structure.


def clouds(count: int, distance: float, classes: int = 2) -> tuple[Tensor, Tensor]:
    """Standard normals around points on a line, the classes equally often."""
    labels = torch.arange(count) % classes
    return torch.randn(count, 3) + distance * labels.unsqueeze(1) * torch.eye(3)[0], labels


def test_distant_classes_are_separated() -> None:
    """Centroids 30 apart, std √3. The silhouette is 0.925 with a std of 0.001, and the relative error of
    the distance is 2 % (200 sets)."""
    measured = structure(*clouds(200, 30.0), *clouds(400, 30.0))
    assert measured.neighbors == measured.probe == (1, 0)
    assert 0.88 < measured.silhouette.value < 0.97
    assert measured.class_distance == pytest.approx(30 / math.sqrt(3), rel=0.15)


def test_labels_at_random_are_found_by_chance() -> None:
    """By each method the number found is binomial with a half: 5 standard errors, false alarm below 2e-6. The
    silhouette is about 0.004 (χ² - 1) with one degree of freedom (measured, 200 sets): false alarm below 1e-6."""
    (train_codes, _), (codes, _) = clouds(300, 30.0), clouds(600, 30.0)
    measured = structure(train_codes, torch.randint(2, (300,)), codes, torch.randint(2, (600,)))
    for share in measured.neighbors, measured.probe:
        assert share.value == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(600))
        assert share.stderr == pytest.approx(math.sqrt(share.value * (1 - share.value) / 600))
    assert abs(measured.silhouette.value) < 0.1
    assert measured.class_distance < 0.5


def test_silhouette_and_class_distance_of_four_points() -> None:
    """By hand: the points 0 and 1 of one class, 10 and 11 of another."""
    codes, labels = torch.tensor([[0.0], [1.0], [10.0], [11.0]]), torch.tensor([0, 0, 7, 7])
    measured = structure(codes, labels, codes, labels)
    values = torch.tensor([1 - 1 / 10.5, 1 - 1 / 9.5, 1 - 1 / 9.5, 1 - 1 / 10.5], dtype=torch.float64)
    assert measured.silhouette.value == pytest.approx(values.mean().item())
    assert measured.silhouette.stderr == pytest.approx(values.std().item() / 2)
    assert measured.class_distance == pytest.approx(10 / 0.5)


def test_class_distance_is_over_pairs_of_classes() -> None:
    """Centroids at 0, 3 and 4 of a right angle, and standard deviations 1, 1 and 0."""
    codes = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [3.0, 1.0], [3.0, -1.0], [0.0, 4.0], [0.0, 4.0]])
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    assert structure(codes, labels, codes, labels).class_distance == pytest.approx((3 + 4 + 5) / 3 / (2 / 3))


def test_a_probe_finds_linear_structure_and_neighbors_find_more() -> None:
    """A ring around a blob: a line finds no more than half the ring and all of the blob."""
    angle = 2 * math.pi * torch.rand(600, 1)
    labels = torch.arange(600) % 2
    codes = labels.unsqueeze(1) * 5 * arc(angle) + 0.3 * torch.randn(600, 2)
    measured = structure(codes[:300], labels[:300], codes[300:], labels[300:])
    assert measured.neighbors.value == 1
    assert measured.probe.value < 0.8


def test_the_probe_does_not_see_units() -> None:
    (train_codes, train_labels), (codes, labels) = clouds(200, 2.0), clouds(300, 2.0)
    units = torch.tensor([1e-3, 1.0, 1e3])
    first = structure(train_codes, train_labels, codes, labels)
    second = structure(units * train_codes, train_labels, units * codes, labels)
    assert first.probe == second.probe
    assert first.neighbors != second.neighbors


def test_structure_does_not_depend_on_the_order_of_examples() -> None:
    (train_codes, train_labels), (codes, labels) = clouds(200, 2.0, 4), clouds(300, 2.0, 4)
    first, second = torch.randperm(200), torch.randperm(300)
    one = structure(train_codes, train_labels, codes, labels)
    other = structure(train_codes[first], train_labels[first], codes[second], labels[second])
    for this, that in zip(one[:3], other[:3], strict=True):
        assert this == pytest.approx(that, abs=1e-6)
    assert one.class_distance == pytest.approx(other.class_distance)


def test_a_silhouette_of_many_codes_is_that_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    train, held_out = clouds(50, 3.0), clouds(500, 3.0)
    whole = structure(*train, *held_out)
    monkeypatch.setattr(latent_space, "SILHOUETTES", 100)
    some_of_them = [structure(*train, *held_out, seed=seed) for seed in (1, 1, 2)]
    assert some_of_them[0] == some_of_them[1]
    assert some_of_them[0].silhouette != some_of_them[2].silhouette != whole.silhouette
    assert some_of_them[0][:2] == some_of_them[2][:2] == whole[:2]
    stderr = some_of_them[0].silhouette.stderr
    assert stderr is not None
    assert some_of_them[0].silhouette.value == pytest.approx(whole.silhouette.value, abs=8 * stderr)


def test_codes_that_all_agree_have_no_distance() -> None:
    labels = torch.arange(8) % 2
    measured = structure(torch.ones(8, 2), labels, torch.ones(8, 2), labels)
    assert measured.silhouette.value == measured.class_distance == 0
    assert measured.neighbors.value == measured.probe.value == 0.5


@pytest.mark.parametrize(
    ("codes", "labels", "message"),
    [
        (torch.randn(9, 2), torch.zeros(9, dtype=torch.int64), "1 classes in 9 examples"),
        (torch.randn(9, 2), torch.arange(9), "9 classes in 9 examples"),
        (torch.full((9, 2), math.nan), torch.arange(9) % 2, "the latent mean of .* example 0 is not finite"),
    ],
)
def test_what_has_no_structure_is_refused(codes: Tensor, labels: Tensor, message: str) -> None:
    good, classes = clouds(20, 1.0)
    with pytest.raises(BadInput, match=message):
        structure(good, classes, codes, labels)
    with pytest.raises(BadInput, match=message):
        structure(codes, labels, good, classes)


# Holes.


@pytest.mark.parametrize(("latent", "variance", "examples"), [(1, 0.5, 1000), (2, 0.5, 1000), (6, 0.05, 300)])
def test_without_holes_their_share_is_one_percent(exact: Make, latent: int, variance: float, examples: int) -> None:
    """The posterior is the true one and the data are the model's own, so that q(z) = p(z). Mean over ten fresh sets:
    the std of one share is 0.0045, of the last case 0.006 (measured, 150 sets), so that 1.5 % are more than seven
    standard errors of the mean. With posteriors as narrow as those of the last case, many examples lie alone, and
    their own posterior, were it not left out, would make holes of far more than 2.5 %."""
    shares = []
    for seed in torch.randint(2**31, (10,)).tolist():
        linear = exact(latent + 2, latent, variance)
        shares.append(prior_holes(linear.model, Examples(linear.sample(examples, seed)), seed).share.value)
    assert 0.001 < sum(shares) / 10 < 0.025


def test_a_hole_is_found_and_measured() -> None:
    """Two narrow posteriors at ±2: all of p(z) but what lies within 2.576 std of them is a hole. Within 5
    standard errors of the share: false alarm below 1e-6."""
    x = torch.tensor([-2.0, 2.0]).repeat(250).unsqueeze(1)
    measured = prior_holes(transparent(lambda z: z, 1, 1, std=0.3), Examples(x), seed=int(torch.randint(999, ())))
    prior, reach = scipy.stats.norm, 2.5758 * 0.3
    expected = 1 - 2 * (prior.cdf(2 + reach) - prior.cdf(2 - reach))
    assert measured.share.stderr is not None
    assert measured.share.stderr < 0.03
    assert measured.share.value == pytest.approx(expected, abs=5 * measured.share.stderr)
    threshold = math.log(0.5 / 0.3) + prior.logpdf(2.5758)
    assert measured.threshold == pytest.approx(threshold, abs=1.5)
    assert measured.n_samples == 999


def test_a_collapsed_posterior_leaves_no_hole(exact: Make) -> None:
    """The share of one set is below 4.5 % but for one in 10^6 (a count that is beta-binomial)."""
    assert scipy.stats.betabinom(999, 10, 990).sf(45) < 1e-6
    linear = exact()
    with torch.no_grad():
        for parameter in linear.model.posterior.parameters():
            parameter.zero_()
    assert prior_holes(linear.model, Examples(linear.sample(50)), int(torch.randint(999, ()))).share.value < 0.0455


def test_standard_error_of_a_share_includes_its_threshold(monkeypatch: pytest.MonkeyPatch, exact: Make) -> None:
    """Over 300 fresh sets, the std of the shares is the standard error reported within 22 %, where the error of
    such a standard deviation is 4 %, and a binomial error is too small by 29 %."""
    monkeypatch.setattr(aggregate_posterior, "SAMPLES", 199)
    monkeypatch.setattr(aggregate_posterior, "LOWEST", 20)
    linear = exact()
    start = int(torch.randint(2**30, ()))
    measured = [
        prior_holes(linear.model, Examples(linear.sample(300, seed)), seed).share for seed in range(start, start + 300)
    ]
    values, errors = (torch.tensor(numbers) for numbers in zip(*measured, strict=True))
    assert values.mean().item() == pytest.approx(0.1, abs=0.02)
    assert values.std().item() == pytest.approx(errors.square().mean().sqrt().item(), rel=0.22)


def test_every_family_of_posteriors_finds_the_same(exact: Make) -> None:
    """A full covariance that is diagonal, and a flow that is the identity, draw and judge like the diagonal normal."""
    linear = exact(latent=3)
    x, diagonal = Examples(linear.sample(150)), linear.model.posterior
    assert isinstance(diagonal, Diagonal)
    expected = prior_holes(linear.model, x)
    posteriors: list[Full | FlowPosterior] = [Full(5, 3), FlowPosterior(5, 3)]
    for posterior in posteriors:
        with torch.no_grad():
            for parameter in posterior.parameters():
                parameter.zero_()
            for mine, other in zip(posterior.head.parameters(), diagonal.head.parameters(), strict=True):
                mine[:6] = other
        linear.model.posterior = posterior
        measured = prior_holes(linear.model, x)
        assert measured.threshold == pytest.approx(expected.threshold, abs=1e-4)
        assert measured.share.value == pytest.approx(expected.share.value, abs=2.1 / 999)


def test_the_aggregate_posterior_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors without numbers can be on any device: no operation may mix devices."""
    model = transparent(lambda z: z, 2, 2)
    monkeypatch.setattr(model, "encode", lambda batch: Normal(batch.x, torch.zeros_like(batch.x)))
    with FakeTensorMode(), torch.no_grad():
        z, owner = torch.zeros(5, 2, device="cuda"), torch.zeros(5, dtype=torch.long)
        log_q = aggregate_posterior._log_aggregate(model, Examples(torch.zeros(7, 2)), z, owner)
        assert log_q.device.type == "cpu"
        assert log_q.shape == (5,)


def test_a_hierarchical_model_is_measured_in_its_top_layer() -> None:
    ladder = made((3,), "real", hidden=(7,), latent=(2, 4), latent_hidden=(5,))
    top = VAE(
        nn.Sequential(ladder.encoder, ladder.lower_layers[0].up),
        ladder.posterior,
        ladder.prior,
        ladder.decoder,
        ladder.likelihood,
    )
    x = Examples(torch.randn(60, 3))
    assert prior_holes(ladder, x) == prior_holes(top, x)


@pytest.mark.parametrize("prior", ["normal", "mixture", "vamp", "flow"])
@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
@pytest.mark.parametrize("latent", [1, 3])
def test_every_prior_and_posterior_has_prior_holes(prior: str, posterior: str, latent: int) -> None:
    options = {} if prior in ("normal", "flow") else {"components": 3}
    model = made((2, 3, 4), hidden=(7,), latent=(latent,), prior=prior, posterior=posterior, **options)
    measured = prior_holes(model, Examples(torch.rand(7, 2, 3, 4)))
    assert 0 <= measured.share.value <= 1
    assert math.isfinite(measured.threshold)


def test_blocks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch, exact: Make) -> None:
    """And no block has more numbers than it may."""
    linear = exact()
    x, sizes, log_prob = Examples(linear.sample(230)), [0], Normal.log_prob

    def noted(self: Normal, value: Tensor) -> Tensor:
        sizes.append((value - self.loc).numel())
        return log_prob(self, value)

    monkeypatch.setattr(Normal, "log_prob", noted)
    whole = prior_holes(linear.model, x)
    assert max(sizes) <= aggregate_posterior.BLOCK
    del sizes[1:]
    monkeypatch.setattr(aggregate_posterior, "BLOCK", 2**17)
    small = prior_holes(linear.model, x)
    assert max(sizes) <= 2**17
    assert small.share == whole.share
    assert small.threshold == pytest.approx(whole.threshold, abs=1e-6)


def test_resampled_examples_and_bytes_are_scaled_batches() -> None:
    model = made((1, 4, 4), hidden=(7,))
    gray = torch.randint(256, (120, 1, 4, 4), dtype=torch.uint8)
    resampled = prior_holes(model, Examples(gray, None, 1 / 255, resampled=True), 3)
    assert resampled == prior_holes(model, Examples(gray, None, 1 / 255, resampled=True), 3)
    assert resampled != prior_holes(model, Examples(gray, None, 1 / 255), 3)
    assert prior_holes(model, Examples(gray, None, 1 / 255)).threshold == pytest.approx(
        prior_holes(model, Examples(gray * (1 / 255))).threshold, abs=1e-4
    )


def test_what_has_no_aggregate_posterior_is_refused() -> None:
    model = made((2,), "real", hidden=(), posterior="point")
    assert isinstance(model.encode(torch.zeros(1, 2)), Point)
    with pytest.raises(BadInput, match="the aggregate posterior needs a posterior with a density"):
        prior_holes(model, Examples(torch.randn(9, 2)))
    model = made((2,), "real", hidden=())
    with pytest.raises(BadInput, match="needs at least two examples: got 1"):
        prior_holes(model, Examples(torch.randn(1, 2)))
    with pytest.raises(BadInput, match=r"log q\(z\) at sample 0 is not finite"):
        prior_holes(model, Examples(torch.full((9, 2), math.nan)))


# Meaning.


def test_one_class_only_is_half_as_rich_as_two() -> None:
    one, both = torch.eye(2)[[0, 0, 0]], torch.eye(2)[[0, 1, 0, 1]]
    measured = class_coverage(one, both)
    assert measured.confidence_of_samples == measured.confidence_of_data == (1, 0)
    assert measured.imbalance == pytest.approx(0.5)
    assert measured.entropy_of_samples == (0, 0)
    assert measured.entropy_of_data.value == pytest.approx(math.log(2))


def test_class_coverage_of_known_predictions() -> None:
    samples, data = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.4, 0.5]]), torch.tensor([[0.0, 0.0, 1.0]])
    measured = class_coverage(samples, data)
    assert measured.confidence_of_samples.value == pytest.approx(0.6)
    assert measured.confidence_of_samples.stderr == pytest.approx(0.1)
    assert measured.confidence_of_data == (1, None)
    assert measured.imbalance == pytest.approx(0.7)
    assert measured.entropy_of_samples.value == pytest.approx(scipy.stats.entropy([0.4, 0.3, 0.3]))
    assert measured.entropy_of_data == (0, None)


def test_errors_of_class_coverage_are_calibrated() -> None:
    """Over 1,000 fresh pairs of sets from one population: the std of the entropies is their standard error, and
    the mean imbalance that of chance, within 15 %, where both have an error of 2.3 %."""
    population = torch.distributions.Dirichlet(torch.tensor([3.0, 1.0, 0.5, 0.5]))
    measured = [class_coverage(population.sample((200,)), population.sample((300,))) for _ in range(1000)]
    entropies = torch.tensor([one.entropy_of_samples for one in measured])
    assert entropies[:, 0].std().item() == pytest.approx(entropies[:, 1].mean().item(), rel=0.15)
    imbalances = torch.tensor([(one.imbalance, one.imbalance_by_chance) for one in measured])
    assert imbalances[:, 0].mean().item() == pytest.approx(imbalances[:, 1].mean().item(), rel=0.15)


def test_class_coverage_does_not_depend_on_order() -> None:
    samples, data = torch.rand(50, 4).softmax(1), torch.rand(70, 4).softmax(1)
    again = class_coverage(samples.flip(0).roll(1, 1), data[torch.randperm(70)].roll(1, 1))
    for this, that in zip(class_coverage(samples, data), again, strict=True):
        assert this == pytest.approx(that)


@pytest.mark.parametrize("row", [[1.5, -0.5], [2.0, 3.0], [math.nan, 1.0], [0.0, 0.0]])
def test_what_is_no_probability_is_refused(row: list[float]) -> None:
    good = torch.full((3, 2), 0.5)
    bad = good.clone()
    bad[1] = torch.tensor(row)
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(BadInput, match=r"row 1 holds .*: expected probabilities that sum to 1"):
            class_coverage(*pair)


# Randomness.


def test_measures_are_repeatable_and_leave_the_global_generator(exact: Make) -> None:
    linear = exact(error=0.3)
    x, labelled = linear.sample(60), clouds(60, 3.0)
    bent = transparent(lambda z: z**3, 2, 2)
    measures: list[Callable[[int], object]] = [
        lambda seed: continuity(bent, x[:, :2], seed),
        lambda seed: prior_holes(linear.model, Examples(x), seed),
        lambda seed: structure(*labelled, *labelled, seed),
    ]
    for measure in measures:
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        first = measure(1)
        torch.testing.assert_close(torch.rand(3), expected)
        assert first == measure(1)
    assert all(measure(1) != measure(2) for measure in measures[:2])


def test_measures_leave_no_gradients(exact: Make) -> None:
    linear = exact()
    x = linear.sample(20)
    continuity(linear.model, x)
    prior_holes(linear.model, Examples(x))
    assert all(parameter.grad is None for parameter in linear.model.parameters())
