"""Distances between clouds against closed forms, and tests against their rate of false alarms.

Bounds on random numbers are 5.3 standard errors or more unless a test says otherwise: a false alarm has a probability
of 1e-7 each. Seeds are fixed, so that they pass or fail for good.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from scipy.stats import binom, wasserstein_distance

from aevb.errors import BadInput
from aevb.evaluation import two_samples
from aevb.evaluation.two_samples import (
    Points,
    frechet_distance,
    manifold_overlap,
    maximum_mean_discrepancy,
    nearest_neighbors,
    sliced_wasserstein,
    two_sample_accuracy,
)

Array = NDArray[np.float64]
Z = 5.3
COMPARISONS: list[Callable[[Points, Points], Any]] = [
    frechet_distance,
    lambda x, y: manifold_overlap(x, y, 1),
    two_sample_accuracy,
    lambda x, y: nearest_neighbors(x[::2], x[1::2], y),
    maximum_mean_discrepancy,
    sliced_wasserstein,
]
NAMES = ["frechet", "overlap", "accuracy", "neighbors", "discrepancy", "sliced"]
comparisons = pytest.mark.parametrize("compare", COMPARISONS, ids=NAMES)


def normal(count: int, features: int = 2, *seed: int) -> Array:
    points: Array = np.random.default_rng([count, features, *seed]).normal(size=(count, features))
    return points


def flat(result: Any) -> Array:
    """All numbers of a result."""
    return np.concatenate([np.ravel(part) for part in (result if isinstance(result, tuple) else (result,))])


def with_moments(mean: Array, covariance: Array, seed: int) -> Array:
    """100 points that have exactly this mean and covariance."""
    points = normal(100, len(mean), seed)
    points -= points.mean(0)
    white = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T
    moved: Array = mean + white @ np.linalg.cholesky(covariance).T
    return moved


def covariance(features: int, seed: int) -> Array:
    factor = normal(features, features, seed)
    product: Array = factor @ factor.T + 0.1 * np.eye(features)
    return product


# All of them.


@comparisons
def test_it_is_repeatable_and_leaves_the_global_generators(compare: Callable[[Points, Points], Any]) -> None:
    before, legacy = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    x, y = normal(40), normal(50)
    assert np.array_equal(flat(compare(x, y)), flat(compare(x, y)))
    assert torch.equal(torch.get_rng_state(), before)
    assert str(np.random.get_state()) == legacy  # noqa: NPY002


@comparisons
def test_tensors_and_arrays_are_the_same_to_it(compare: Callable[[Points, Points], Any]) -> None:
    x, y = normal(40).astype(np.float32), normal(50).astype(np.float32)
    tensors = torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)
    assert np.array_equal(flat(compare(x, y)), flat(compare(*tensors)))


@comparisons
@pytest.mark.parametrize(("n", "m", "features"), [(2, 2, 1), (2, 3, 5), (3, 2, 1), (30, 7, 3)])
def test_few_points_and_constant_columns_are_no_trouble(
    compare: Callable[[Points, Points], Any], n: int, m: int, features: int
) -> None:
    x, y = normal(n, features), normal(m, features, 1)
    x[:, 0] = y[:, 0] = 3.0
    result = flat(compare(x, y))
    # Of points that are all equal, no ratio of distances is known.
    assert np.isfinite(result).sum() >= len(result) - (features == 1)


@comparisons
@pytest.mark.parametrize(
    ("x", "y", "fragment"),
    [
        (normal(9, 2), normal(9, 3), r"2\), \(9, 3\)\]: expected \(N, F\)"),
        (normal(9, 2)[:, 0], normal(9, 2)[:, 0], r"\(9,\)\]: expected \(N, F\)"),
        (normal(9, 2)[:, :0], normal(9, 2)[:, :0], r"\(9, 0\)\]: expected \(N, F\)"),
        (normal(9, 2), normal(9, 2)[:0], r"\(0, 2\)\]: expected at least [12] rows"),
        (normal(9, 2), np.full((9, 2), np.inf), "NaN or infinite"),
    ],
)
def test_invalid_points_are_refused(
    compare: Callable[[Points, Points], Any], x: Array, y: Array, fragment: str
) -> None:
    with pytest.raises(BadInput, match=fragment) as caught:
        compare(x, y)
    assert "\n" not in str(caught.value)


@comparisons
def test_moving_and_turning_both_clouds_changes_nothing(compare: Callable[[Points, Points], Any]) -> None:
    """Trees alone see columns: for them both are only moved."""
    x, y = normal(60, 3), 1.2 * normal(80, 3, 1) + 0.3
    turn = np.eye(3) if compare is two_sample_accuracy else np.linalg.qr(normal(3, 3))[0]
    shift = np.array([1.0, -4.0, 16.0])
    tolerance = 0.2 if compare is sliced_wasserstein else 1e-9  # which has directions of its own
    np.testing.assert_allclose(flat(compare(x @ turn + shift, y @ turn + shift)), flat(compare(x, y)), rtol=tolerance)


# Fréchet distance.


def test_frechet_distance_is_that_of_the_moments() -> None:
    means, covariances = (normal(5, 1)[:, 0], np.zeros(5)), (covariance(5, 0), covariance(5, 1))
    x, y = (with_moments(m, c, seed) for seed, (m, c) in enumerate(zip(means, covariances, strict=True)))
    root = np.real(sqrtm(covariances[0] @ covariances[1]))
    expected = np.square(means[0]).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_independent_columns_is_that_of_their_standard_deviations() -> None:
    x = with_moments(np.zeros(3), np.diag([1.0, 4.0, 9.0]), 0)
    y = with_moments(np.array([3.0, 0.0, 4.0]), np.diag([4.0, 4.0, 1.0]), 1)
    assert frechet_distance(x, y) == pytest.approx(25 + 1 + 0 + 4, rel=1e-9)


@pytest.mark.parametrize("features", [2, 50])
def test_a_cloud_is_at_no_frechet_distance_from_itself(features: int) -> None:
    """Also where there are fewer points than dimensions, and in any order."""
    x = normal(30, features)
    assert frechet_distance(x, x[::-1].copy()) < 1e-9


def test_frechet_distance_of_flat_clouds_is_that_within_their_plane() -> None:
    x, y = with_moments(np.zeros(2), covariance(2, 0), 0), with_moments(np.ones(2), covariance(2, 1), 1)
    turn = np.linalg.qr(normal(8, 8))[0][:2]
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(frechet_distance(x, y), rel=1e-9)


# Precision, recall, density, coverage.


def overlap_one_by_one(real: Array, fake: Array, neighbors: int) -> tuple[float, float, float, float]:
    def far(a: Array, b: Array) -> Array:
        return np.array([[np.sqrt(np.square(p - q).sum()) for q in b] for p in a])

    reach_real = np.sort(far(real, real), 1)[:, neighbors]
    reach_fake = np.sort(far(fake, fake), 1)[:, neighbors]
    apart = far(real, fake)
    held = apart <= reach_real[:, None]
    recalled = (apart <= reach_fake).any(1)
    return held.any(0).mean(), recalled.mean(), held.sum() / (neighbors * len(fake)), held.any(1).mean()


@pytest.mark.parametrize(("n", "m", "neighbors"), [(40, 70, 5), (70, 40, 1), (6, 6, 5)])
def test_overlap_is_what_its_definition_says(n: int, m: int, neighbors: int) -> None:
    real, fake = normal(n), 1.5 * normal(m, 2, 1)
    expected = overlap_one_by_one(real, fake, neighbors)
    np.testing.assert_allclose(manifold_overlap(real, fake, neighbors), expected)


def test_overlap_is_whole_where_the_distribution_is_the_same() -> None:
    """Two clouds of 500: over 60 seeds the std were 0.004, 0.004, 0.026 and 0.012, and the means as expected."""
    overlap = manifold_overlap(normal(500), normal(500, 2, 1))
    assert overlap.precision > 0.97
    assert overlap.recall > 0.97
    assert overlap.density == pytest.approx(1, abs=Z * 0.026)
    assert overlap.coverage == pytest.approx(1 - 2**-5, abs=Z * 0.012)


def test_clouds_far_apart_do_not_overlap() -> None:
    assert manifold_overlap(normal(50), normal(60) + 100) == (0, 0, 0, 0)


def test_a_mode_left_out_costs_recall_and_a_mode_made_up_costs_precision() -> None:
    """One of two far modes; standard deviations over 30 seeds below 0.01."""
    one, both = normal(300), np.concatenate([normal(300, 2, 1), normal(300, 2, 2) + 100])
    narrow, wide = manifold_overlap(both, one), manifold_overlap(one, both)
    assert narrow.precision > 0.95
    assert narrow.recall == pytest.approx(0.5, abs=0.05)
    assert narrow.coverage == pytest.approx(0.5, abs=0.07)
    assert wide.precision == pytest.approx(0.5, abs=0.05)
    assert wide.recall > 0.95


def test_a_copy_lies_within_all_balls_that_reach_it() -> None:
    x = normal(60)
    assert manifold_overlap(x, x) == pytest.approx((1, 1, 6 / 5, 1))


def test_points_that_repeat_are_where_they_are() -> None:
    x = np.repeat([[0.1, 0.3], [0.7, 1e6]], 10, axis=0)
    assert manifold_overlap(x, x, 3)[:2] == (1, 1)
    assert manifold_overlap(x, x + 1e-6, 3) == (0, 0, 0, 0)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(70), normal(90)
    overlap, distances = manifold_overlap(x, y), nearest_neighbors(x, y, y + 0.1)
    monkeypatch.setattr(two_samples, "_DISTANCES", 300)
    assert manifold_overlap(x, y) == overlap
    assert torch.equal(nearest_neighbors(x, y, y + 0.1).fake, distances.fake)


def test_more_neighbors_than_points_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 6 rows"):
        manifold_overlap(normal(5), normal(50))


# Two-sample accuracy.


@pytest.mark.slow
def test_accuracy_for_equal_distributions_is_chance() -> None:
    """Over 150 pairs of clouds, of different sizes: the mean accuracy is 1/2, and p-values are small no more often than
    they say."""
    results = [two_sample_accuracy(normal(60, 2, seed), normal(40, 2, seed)) for seed in range(150)]
    accuracies, p_values = (np.array([result[i] for result in results]) for i in (0, 2))
    assert accuracies.mean() == pytest.approx(0.5, abs=Z * 0.5 / np.sqrt(40 * 150))
    for level in (0.02, 0.1, 0.3):
        assert (p_values <= level).sum() <= binom.isf(1e-7, 150, level)
    assert p_values.mean() < 0.8


def test_accuracy_is_the_best_there_is_on_simple_clouds() -> None:
    """Uniform on (0, 1) and on (½, 1½): 3/4; over 30 seeds the mean was 0.7500 and the standard deviation 0.008."""
    x, y = (np.random.default_rng(seed).random((2000, 1)) for seed in (0, 1))
    result = two_sample_accuracy(x, y + 0.5)
    assert result.accuracy == pytest.approx(0.75, abs=Z * 0.008)
    assert result.stderr == pytest.approx(np.sqrt(0.75 * 0.25 / 2000), rel=0.05)
    assert result.p_value < 1e-20


def test_distant_samples_are_classified() -> None:
    result = two_sample_accuracy(normal(100, 5), normal(300, 5) + 100)
    assert (result.accuracy, result.stderr) == (1, 0)
    assert result.p_value < 1e-20


def test_the_larger_cloud_is_no_better_guess() -> None:
    """Judged on 100 of 200 points: 5.3 standard errors are 0.265."""
    assert two_sample_accuracy(normal(100), normal(2000)).accuracy == pytest.approx(0.5, abs=Z * 0.05)


@pytest.mark.parametrize("change", [np.sign, lambda column: 3 * column], ids=["signs", "spread"])
def test_a_single_column_that_differs_is_found(change: Callable[[Array], Array]) -> None:
    x, y = normal(500, 10), normal(500, 10, 1)
    y[:, 3] = change(y[:, 3])
    result = two_sample_accuracy(x, y)
    assert result.accuracy > 0.62
    assert result.p_value < 1e-6


# Nearest neighbors.


def test_distances_are_to_the_nearest_training_example() -> None:
    train, real, fake = np.array([[0.0], [10.0]]), np.array([[1.0], [8.0], [14.0]]), np.array([[10.0], [5.5]])
    near = nearest_neighbors(train, real, fake)
    assert near.real.tolist() == [1, 2, 4]
    assert near.fake.tolist() == [0, 4.5]
    assert near.ratio == pytest.approx(2.25 / 2)
    assert near.copied == 0.5


def test_copies_are_at_no_distance_at_all() -> None:
    train = normal(300, 50) + 1e4
    copies = nearest_neighbors(train, normal(200, 50) + 1e4, train[::7].copy())
    assert copies.fake.max() == 0
    assert copies.ratio == 0
    assert copies.copied == 1


def test_memorized_samples_are_counted() -> None:
    """300 of 1,000 samples are training examples with a little noise; the others, by chance, add 0.007 ± 0.004."""
    train = normal(1000, 4)
    fake = np.concatenate([train[:300] + 1e-4 * normal(300, 4), normal(700, 4, 1)])
    near = nearest_neighbors(train, normal(1000, 4, 2), fake)
    assert near.copied == pytest.approx(0.307, abs=0.03)


def test_fresh_samples_are_as_far_as_held_out_examples() -> None:
    """Over 60 seeds the standard deviations were 0.037 and 0.004, and the means 1.00 and 0.010."""
    near = nearest_neighbors(normal(1000, 2, 0), normal(1000, 2, 1), normal(1000, 2, 2))
    assert near.ratio == pytest.approx(1, abs=Z * 0.037)
    assert near.copied == pytest.approx(0.01, abs=Z * 0.004)


# Maximum mean discrepancy.


def discrepancy_one_by_one(x: Array, y: Array) -> float:
    points = np.concatenate([x, y])
    sigma = np.median([np.linalg.norm(p - q) for i, p in enumerate(points) for q in points[:i]])

    def kernel(p: Array, q: Array) -> float:
        return float(np.exp(-np.square(p - q).sum() / (2 * sigma**2)))

    def within(cloud: Array) -> float:
        return float(np.mean([kernel(p, q) for i, p in enumerate(cloud) for j, q in enumerate(cloud) if i != j]))

    return within(x) + within(y) - 2 * float(np.mean([kernel(p, q) for p in x for q in y]))


def test_discrepancy_is_what_its_definition_says() -> None:
    """11 + 8 points make an odd number of pairs, whose median is one of them."""
    x, y = normal(11, 3), 1.5 * normal(8, 3)
    assert maximum_mean_discrepancy(x, y).value == pytest.approx(discrepancy_one_by_one(x, y), rel=1e-9)


def test_discrepancy_has_no_bias_and_the_right_rate_of_false_alarms() -> None:
    """Over 200 pairs of clouds of different sizes."""
    results = [maximum_mean_discrepancy(normal(15, 2, seed), normal(25, 2, seed), seed=seed) for seed in range(200)]
    values, p_values = (np.array([result[i] for result in results]) for i in (0, 2))
    assert abs(values.mean()) < Z * values.std() / np.sqrt(200)
    assert p_values.mean() == pytest.approx(0.5, abs=Z * np.sqrt(1 / 12 / 200))
    for level in (0.02, 0.1, 0.3, 0.7):
        assert binom.isf(1 - 1e-7, 200, level) <= (p_values <= level + 1e-9).sum() <= binom.isf(1e-7, 200, level)


def test_standard_error_of_the_discrepancy_is_its_standard_deviation() -> None:
    """Over 200 pairs of clouds that differ; the relative error of such a standard deviation is 5 %."""
    results = [maximum_mean_discrepancy(normal(50, 2, seed) + 1, normal(70, 2, seed)) for seed in range(200)]
    values, errors = (np.array([result[i] for result in results]) for i in (0, 1))
    assert errors.mean() == pytest.approx(values.std(), rel=0.3)


def test_discrepancy_grows_with_the_distance() -> None:
    """Each step is more than ten standard errors; the last clouds are so far apart that no kernel joins them."""
    results = [maximum_mean_discrepancy(normal(200), normal(150) + shift) for shift in (0, 1, 3, 1000)]
    for near, far in pairwise(results):
        assert far.value > near.value + 5 * (near.stderr + far.stderr)
    assert all(result.p_value == pytest.approx(1 / 201) for result in results[1:])


def test_points_that_are_all_the_same_are_no_evidence() -> None:
    result = maximum_mean_discrepancy(np.ones((5, 2)), np.ones((7, 2)))
    assert result.value == pytest.approx(0, abs=1e-12)
    assert result.stderr == pytest.approx(0, abs=1e-12)
    assert result.p_value == 1


def test_clouds_of_many_points_are_thinned() -> None:
    x = normal(3000, 3)
    assert maximum_mean_discrepancy(x, normal(1500, 3) + 0.5).p_value == pytest.approx(1 / 201)
    assert maximum_mean_discrepancy(x, normal(1500, 3) + 0.5, seed=0) != maximum_mean_discrepancy(
        x, normal(1500, 3) + 0.5, seed=1
    )


# Sliced Wasserstein distance.


@pytest.mark.parametrize("repeats", [1, 3])
def test_shifted_points_on_a_line_are_that_far(repeats: int) -> None:
    """Exactly, also where one cloud has each point several times."""
    x = normal(20, 1)
    value, stderr = sliced_wasserstein(x, np.repeat(x, repeats, axis=0) + 2.5)
    assert value == pytest.approx(2.5, rel=1e-9)
    assert stderr == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(4, 6), (7, 5), (1, 9), (8, 8)])
def test_distance_on_a_line_is_exact_for_any_numbers_of_points(n: int, m: int) -> None:
    x, y = normal(n, 1), 2 * normal(m, 1, 1)
    repeated = np.sort(np.repeat(x, m)) - np.sort(np.repeat(y, n))
    assert sliced_wasserstein(x, y).value == pytest.approx(np.sqrt(np.square(repeated).mean()), rel=1e-9)
    assert sliced_wasserstein(x, y).value >= wasserstein_distance(x[:, 0], y[:, 0]) - 1e-12


def test_a_shift_is_seen_along_each_direction() -> None:
    """(θᵀδ)² is |δ|²/F on average, and the standard error is the standard deviation over directions."""
    x, shift = normal(10, 5), np.arange(5.0)
    results = [sliced_wasserstein(x, x + shift, seed=seed) for seed in range(100)]
    values, errors = (np.array([result[i] for result in results]) for i in (0, 1))
    # The root of a mean is a little below the mean's root: by stderr²/2 over the value, 0.002 here.
    assert values.mean() == pytest.approx(np.sqrt(30 / 5), abs=0.002 + Z * values.std() / 10)
    assert errors.mean() == pytest.approx(values.std(), rel=0.4)


def test_a_cloud_is_at_no_sliced_distance_from_itself() -> None:
    x = normal(30, 4)
    assert sliced_wasserstein(x, x[::-1].copy()) == pytest.approx((0, 0), abs=1e-12)
