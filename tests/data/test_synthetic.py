"""Data sets with a known density: points against the density, and the density against independent formulas.

Statistical tests have fixed seeds, so that their results do not change. The probability of a false alarm is
below 1e-6 for each: z tests at 5.3 standard errors, chi-square tests at p = 1e-6.
"""

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass
from functools import cache, partial

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from numpy.typing import NDArray

from aevb.data import Truth, Variant, load_data, truth
from aevb.data.sources import synthetic
from aevb.errors import BadInput
from aevb.models.registry import register

Array = NDArray[np.float64]
Z, P = 5.3, 1e-6

PLANAR = ("gaussian", "gaussian-rotated", "figure-8", "blobs", "mixture")


@dataclass(frozen=True)
class Known:
    """Known facts about a data set."""

    name: str
    variant: Variant | None
    expected: float  # E log p(x), in nats
    gaussian: float  # the same under the best normal
    reach: float  # no mass worth counting lies outside (-reach, reach)²


SETS = (
    Known("gaussian", None, -3.3637, -3.3637, 22),
    Known("gaussian-rotated", None, -3.3637, -3.3637, 22),
    Known("figure-8", "corrected", -0.8848, -1.1329, 2),
    Known("figure-8", "printed", -1.8202, -1.8248, 4.5),
    Known("blobs", None, -2.2839, -2.4748, 5),
    Known("mixture", "corrected", -3.9365, -5.6869, 18),
    Known("mixture", "printed", -3.6581, -4.6195, 18),
)
EACH = pytest.mark.parametrize("known", SETS, ids=lambda known: f"{known.name}-{known.variant}")
CELLS = 36  # along each side of the square
POINTS = 200_000


@cache
def distribution(known: Known) -> Truth:
    return truth(known.name, known.variant)


@cache
def drawn(known: Known) -> tuple[Array, Array]:
    """Return new points and their log p(x)."""
    x, _ = distribution(known).sample(POINTS, np.random.default_rng(12))
    return x, distribution(known).log_prob(x)


@cache
def cells(known: Known) -> tuple[Array, Array]:
    """Return the integrals of p and of p log p over each cell, ``(CELLS, CELLS)``, by 6 x 6 Gauss-Legendre nodes."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    edges = np.linspace(-known.reach, known.reach, CELLS + 1)
    half = known.reach / CELLS
    along = ((edges[:-1] + half)[:, None] + half * nodes).reshape(-1)
    grid = np.stack(np.meshgrid(along, along, indexing="ij"), -1)
    logs = distribution(known).log_prob(grid.reshape(-1, 2)).reshape(CELLS, 6, CELLS, 6)
    area = np.multiply.outer(half * weights, half * weights)
    p = np.exp(logs)
    return np.einsum("iajb,ab->ij", p, area), np.einsum("iajb,ab->ij", p * logs, area)


def chi_square(known: Known, x: Array) -> float:
    """Return the p-value of the chi-square test that points follow the density."""
    edges = np.linspace(-known.reach, known.reach, CELLS + 1)
    counts, expected = np.histogram2d(x[:, 0], x[:, 1], bins=(edges, edges))[0], len(x) * cells(known)[0]
    kept = expected >= 20
    counts = np.append(counts[kept], len(x) - counts[kept].sum())
    expected = np.append(expected[kept], len(x) - expected[kept].sum())
    return float(scipy.stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))


# The density.


@EACH
def test_densities_integrate_to_one_and_have_the_stated_entropy(known: Known) -> None:
    mass, information = cells(known)
    assert mass.sum() == pytest.approx(1, abs=1e-6)
    assert information.sum() == pytest.approx(known.expected, abs=6e-5)
    assert f"{known.expected:.4f}   {known.gaussian:.4f}" in str(synthetic.__doc__)


@EACH
def test_the_expected_log_density_agrees_with_fresh_points(known: Known) -> None:
    _, logs = drawn(known)
    assert abs(logs.mean() - known.expected) <= Z * logs.std() / math.sqrt(POINTS)


@EACH
def test_points_follow_the_density(known: Known) -> None:
    assert chi_square(known, drawn(known)[0]) > P


@EACH
def test_the_chi_square_test_detects_a_small_error(known: Known) -> None:
    assert chi_square(known, drawn(known)[0] * 1.03) < P


@EACH
def test_the_best_gaussian_has_the_moments_of_the_points(known: Known) -> None:
    x, _ = drawn(known)
    mean, covariance = distribution(known).moments()
    products = (x - mean)[:, :, None] * (x - mean)[:, None, :]
    assert (abs(x.mean(0) - mean) <= Z * x.std(0) / math.sqrt(POINTS)).all()
    assert (abs(products.mean(0) - covariance) <= Z * products.std(0) / math.sqrt(POINTS)).all()
    best = distribution(known).best_gaussian()
    assert best == pytest.approx(known.gaussian, abs=6e-5)
    logs = scipy.stats.multivariate_normal(mean, covariance).logpdf(x)
    assert abs(logs.mean() - best) <= Z * logs.std() / math.sqrt(POINTS)


def test_gaussian_and_mixture_are_those_of_scipy() -> None:
    far = np.random.default_rng(3).uniform(-15, 15, (500, 2))
    normal, root = scipy.stats.multivariate_normal, 3 * math.sqrt(3)

    def turned(degrees: float, first: float, second: float) -> Array:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        mixed = (first - second) * cos * sin
        return np.array([[first * cos**2 + second * sin**2, mixed], [mixed, first * sin**2 + second * cos**2]])

    plain, rotated = (turned(degrees, 9 + 0.2, 1 / 9 + 0.2) for degrees in (0, 60))
    np.testing.assert_allclose(truth("gaussian").log_prob(far), normal(cov=plain).logpdf(far), rtol=1e-10)
    np.testing.assert_allclose(truth("gaussian-rotated").log_prob(far), normal(cov=rotated).logpdf(far), rtol=1e-10)
    for variant, right in (("corrected", root), ("printed", -root)):
        parts = (
            normal((0, root), turned(0, 3, 1 / 3)).pdf(far),
            normal((-root, -root / 2), turned(120, 3, 1 / 3)).pdf(far),
            normal((right, -root / 2), turned(60, 3, 1 / 3)).pdf(far),
        )
        logs = truth("mixture", variant).log_prob(far)
        np.testing.assert_allclose(logs, np.log(np.mean(parts, 0)), rtol=1e-9)


def eight(z: float) -> tuple[float, float]:
    u = math.pi * (0.6 + 1.8 * float(scipy.stats.norm.cdf(z)))
    cos, sin = math.cos(u), math.sin(u)
    return math.sqrt(2) / 2 * cos / (sin**2 + 1), math.sqrt(2) * cos * sin / (sin**2 + 1)


def three_blobs(z: float) -> tuple[float, float]:
    u = 2 * math.pi / (1 + math.exp(-math.pi * z / 2))
    t = 2 * math.tanh(10 * u - 20 * math.floor(u / 2) - 10) + 4 * math.floor(u / 2) + 2
    return math.cos(t), math.sin(t)


@pytest.mark.parametrize(
    ("name", "variant", "curve", "variance"),
    [
        ("figure-8", "corrected", eight, 0.02),
        ("figure-8", "printed", eight, 0.2),
        ("blobs", None, three_blobs, 0.2),
    ],
)
def test_curves_are_those_of_the_report(
    name: str, variant: Variant | None, curve: Callable[[float], tuple[float, float]], variance: float
) -> None:
    """Against the trapezoid rule over z, in steps of 0.001: near the curve, in its middle and far from it."""
    z = np.linspace(-8.5, 8.5, 17_001)
    centres = np.array([curve(value) for value in z])
    log_weights = scipy.stats.norm.logpdf(z) + math.log(0.001)
    source = truth(name, variant)
    x = np.concatenate([source.sample(30, np.random.default_rng(5))[0], [[0, 0], [4, 4], [-6, 0], [0, 6], [-4, 4]]])
    kernels = -((x[:, None] - centres) ** 2).sum(-1) / (2 * variance) - math.log(2 * math.pi * variance)
    expected = scipy.special.logsumexp(kernels + log_weights, axis=1)
    np.testing.assert_allclose(source.log_prob(x), expected, rtol=0, atol=1e-6)


def test_blobs_are_labeled_by_their_plateau() -> None:
    source = truth("blobs")
    x, labels = source.sample(POINTS, np.random.default_rng(8))
    assert labels is not None
    assert source.classes == ("t = 0", "t = 4", "t = 8", "t = 12")
    steps = [2 / math.pi * math.log(u / (2 * math.pi - u)) for u in (1, 3, 5)]  # z where one plateau gives way
    shares = np.diff(scipy.stats.norm.cdf([-math.inf, *steps, math.inf]))
    assert (abs(np.bincount(labels) / POINTS - shares) <= Z * np.sqrt(shares * (1 - shares) / POINTS)).all()
    for label in range(4):
        mean = x[labels == label].mean(0)
        assert mean @ [math.cos(4 * label), math.sin(4 * label)] == pytest.approx(np.hypot(*mean), rel=0.01)
        assert np.hypot(*mean) > 0.9


@pytest.mark.parametrize("variant", ["corrected", "printed"])
def test_the_mixture_is_labeled_by_its_component(variant: Variant) -> None:
    source = truth("mixture", variant)
    x, labels = source.sample(POINTS, np.random.default_rng(8))
    assert labels is not None
    assert source.classes == ("i = 1", "i = 2", "i = 3")
    assert (abs(np.bincount(labels) / POINTS - 1 / 3) <= Z * math.sqrt(2 / 9 / POINTS)).all()
    for label in range(3):
        part = x[labels == label]
        error = part.std(0) / math.sqrt(len(part))
        assert (abs(part.mean(0) - source.means[label]) <= Z * error).all()
        np.testing.assert_allclose(np.cov(part.T), source.covariances[label], atol=0.1)


def test_the_density_needs_little_memory_and_any_number_of_points() -> None:
    source = truth("blobs")
    x = source.sample(20_000, np.random.default_rng(0))[0]
    tracemalloc.start()
    logs = source.log_prob(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    assert logs.dtype == np.float64
    assert logs.shape == (20_000,)
    assert source.log_prob(np.empty((0, 2))).shape == (0,)
    np.testing.assert_allclose(source.log_prob(x[1500:1501]), logs[1500:1501], rtol=1e-12)
    np.testing.assert_allclose(source.log_prob(torch.from_numpy(x[:5])), logs[:5], rtol=1e-12)


def test_a_truth_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        truth("blobs").weights = np.ones(1)  # type: ignore[misc]


# The data sets.


@EACH
def test_sizes_kinds_and_names(known: Known) -> None:
    dataset = load_data(known.name, variant=known.variant)
    count = 20_000 if known.name.startswith("gaussian") else 40_000
    assert [len(part) for part in (dataset.train, dataset.valid, dataset.test)] == [
        count * 9 // 10,
        count // 10,
        count // 2,
    ]
    assert (dataset.kind, dataset.shape, dataset.train.values.dtype) == ("real", (2,), torch.float32)
    assert dataset.name == known.name + "-printed" * (known.variant == "printed")
    assert dataset.classes == distribution(known).classes
    for part in (dataset.train, dataset.valid, dataset.test):
        assert (part.labels is None) == (dataset.classes is None)
        assert part.labels is None or part.labels.bincount().shape == (len(dataset.classes or ()),)


@EACH
def test_every_split_has_the_density(known: Known) -> None:
    dataset = load_data(known.name, variant=known.variant, validation=0.5)
    for part in (dataset.train, dataset.valid, dataset.test):
        assert chi_square(known, part.values.double().numpy()) > P


@EACH
def test_splits_are_disjoint(known: Known) -> None:
    dataset = load_data(known.name, variant=known.variant)
    points = torch.cat([part.values for part in (dataset.train, dataset.valid, dataset.test)])
    # Two of 60,000 points may round to the same numbers; a shared example would make thousands do so.
    assert len(points.unique(dim=0)) >= len(points) - 3


def test_the_default_variant_is_the_corrected_one() -> None:
    for name in ("figure-8", "mixture"):
        default, corrected, printed = (
            load_data(name, variant=variant).fingerprint for variant in (None, "corrected", "printed")
        )
        assert default == corrected != printed
        assert truth(name).best_gaussian() == truth(name, "corrected").best_gaussian()


@EACH
def test_points_are_a_function_of_name_variant_and_seed_alone(known: Known) -> None:
    first = load_data(known.name, variant=known.variant, split_seed=3)
    torch.manual_seed(4)
    np.random.seed(4)  # noqa: NPY002
    second = load_data(known.name, variant=known.variant, split_seed=3)
    for one, other in zip(
        (first.train, first.valid, first.test), (second.train, second.valid, second.test), strict=True
    ):
        assert torch.equal(one.values, other.values)
        assert one.labels is other.labels is None or torch.equal(one.labels, other.labels)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PLANAR)
def test_global_random_states_are_unchanged(name: str) -> None:
    before, legacy = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    load_data(name)
    assert torch.equal(torch.get_rng_state(), before)
    assert str(np.random.get_state()) == legacy  # noqa: NPY002


def test_seeds_data_sets_and_variants_have_different_points() -> None:
    loaded = [load_data(known.name, variant=known.variant, split_seed=seed) for known in SETS for seed in (0, 2**40)]
    assert len({dataset.fingerprint for dataset in loaded}) == len(loaded)
    # Not the same noise through another map either: the two forms of the mixture share their first component.
    corrected, printed = (load_data("mixture", variant=variant).test.values for variant in ("corrected", "printed"))
    assert len(torch.cat([corrected, printed]).unique(dim=0)) >= len(corrected) + len(printed) - 3


def test_validation_can_be_chosen_and_test_cannot() -> None:
    assert len(load_data("blobs", validation=123).valid) == 123
    assert len(load_data("blobs", validation=0.2).train) == 32_000
    with pytest.raises(BadInput, match="own test split of 10000 examples: omit test="):
        load_data("gaussian", test=0.1)


# What cannot be used.


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("variant", ["printed", "corrected", "other"])
@pytest.mark.parametrize("name", ["gaussian", "gaussian-rotated", "blobs", "digits", "mnist"])
def test_a_variant_applies_to_two_data_sets_only(name: str, variant: Variant) -> None:
    message = refusal(lambda: load_data(name, variant=variant))
    assert message == f"variant={variant!r} applies to figure-8 and mixture, which {name!r} is not: omit it"
    if name in PLANAR:
        assert refusal(lambda: truth(name, variant)) == message


def test_a_variant_does_not_apply_to_files(tmp_path: object) -> None:
    np.save(f"{tmp_path}/points.npy", np.random.default_rng(0).standard_normal((20, 2)))
    for source in (f"{tmp_path}/points.npy", str(tmp_path)):
        assert repr(source) in refusal(partial(load_data, source, variant="corrected"))
    assert "no data set is named 'figure8'" in refusal(lambda: load_data("figure8", variant="corrected"))


@pytest.mark.parametrize("name", ["figure-8", "mixture"])
@pytest.mark.parametrize("variant", ["", "Printed", "mend"])
def test_an_unknown_variant_is_refused(name: str, variant: Variant) -> None:
    message = f"variant={variant!r} of {name} is unknown: expected printed or corrected"
    assert refusal(lambda: load_data(name, variant=variant)) == message
    assert refusal(lambda: truth(name, variant)) == message


@pytest.mark.parametrize("name", ["digits", "figure8", ""])
def test_other_data_sets_have_no_known_density(name: str) -> None:
    message = refusal(lambda: truth(name))
    assert repr(name) in message
    assert all(known in message for known in PLANAR)


@pytest.mark.parametrize("shape", [(2,), (3, 3), (4, 2, 2), ()])
def test_points_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    assert str(shape) in refusal(lambda: truth("mixture").log_prob(np.zeros(shape)))


def test_options_that_do_not_apply_are_refused() -> None:
    assert "split_seed=-1" in refusal(lambda: load_data("blobs", split_seed=-1))
    assert "image_size=8" in refusal(lambda: load_data("blobs", image_size=8))
    assert "requires values in [0, 1]" in refusal(lambda: load_data("blobs", binarize="threshold"))


def test_the_names_are_registered() -> None:
    assert set(PLANAR) < set(register.dataset)
