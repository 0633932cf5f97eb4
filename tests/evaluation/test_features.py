"""A classifier's eye: what it learns, that it is the same again, and what is kept of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from aevb.data import Dataset, Examples, load_data
from aevb.errors import BadInput
from aevb.evaluation import features
from aevb.evaluation.features import Classifier, classifier
from tests.conftest import some


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training of a few steps, where it does not matter what is learned."""
    monkeypatch.setattr(features, "_STEPS", 5)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data("digits")


@pytest.fixture(scope="module")
def eye(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return classifier(digits, cache=tmp_path_factory.mktemp("cache"))


def labelled(dataset: Dataset, label: Callable[[Tensor], Tensor] = lambda x: x.flatten(1)[:, 0] > 0.5) -> Dataset:
    """The same examples in each split, in two classes."""
    part = replace(dataset.train, labels=label(dataset.train.values).long())
    return replace(dataset, train=part, valid=part, test=part, classes=("no", "yes"))


def weights(network: nn.Module) -> Tensor:
    return torch.cat([tensor.flatten().double() for tensor in network.state_dict().values()])


@pytest.mark.slow
def test_digits_are_recognized(digits: Dataset, eye: Classifier) -> None:
    """Measured over six seeds: 0.978 to 0.986, std 0.003, so that 0.95 is nine std away."""
    assert eye.accuracy > 0.95
    assert eye.stderr == pytest.approx((eye.accuracy * (1 - eye.accuracy) / len(digits.test)) ** 0.5)


def test_accuracy_is_that_on_the_test_part(digits: Dataset, eye: Classifier) -> None:
    guesses, labels = eye.probabilities(digits.test.all().x).argmax(1), digits.test.labels
    assert labels is not None
    assert eye.accuracy == pytest.approx((guesses == labels).double().mean().item())


def test_probabilities_are_linear_in_the_features(digits: Dataset, eye: Classifier) -> None:
    x = digits.valid.all().x
    hidden, probabilities = eye.features(x), eye.probabilities(x)
    assert hidden.shape == (len(x), features.FEATURES)
    torch.testing.assert_close(eye.network[-1](hidden).softmax(1), probabilities)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(x)))
    assert not hidden.requires_grad


def test_features_are_alike_within_a_class(digits: Dataset, eye: Classifier) -> None:
    """The mean distance within a class is well below that between classes: 0.44 of it, measured over six seeds."""
    seen, labels = eye.features(digits.test.all().x), digits.test.labels
    assert labels is not None
    distance, same = torch.cdist(seen, seen), labels[:, None] == labels
    assert distance[same].mean() < 0.75 * distance[~same].mean()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 33, 18), (1, 4, 20), (1, 8, 8), (7,)])
def test_an_example_has_the_same_features_in_any_company(shape: tuple[int, ...], tmp_path: Path) -> None:
    eye = classifier(labelled(some("unit", shape)), cache=tmp_path)
    x = some("unit", shape, count=600, seed=1).test.values
    together, alone = eye.features(x), eye.features(x[550:551])
    assert together.shape == (600, features.FEATURES)
    torch.testing.assert_close(together[550:551], alone, atol=1e-5, rtol=1e-4)
    convolved = any(isinstance(layer, nn.Conv2d) for layer in eye.network.modules())
    assert convolved == (len(shape) == 3 and min(shape[1:]) >= 16)


def test_convolutions_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which half of an image is brighter on average: all or nearly all of 200 examples after 100 steps."""
    monkeypatch.setattr(features, "_STEPS", 100)
    dataset = some("unit", (1, 16, 16), count=200)
    bright = labelled(dataset, lambda x: x[..., :8].mean((1, 2, 3)) > x[..., 8:].mean((1, 2, 3)))
    assert classifier(bright, cache=tmp_path).accuracy > 0.9


def test_accuracy_is_that_of_the_network_as_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After three steps the moving averages of batch normalization are far from a batch's own moments."""
    monkeypatch.setattr(features, "_STEPS", 3)
    dataset = labelled(some("unit", (1, 16, 16), count=200))
    eye, labels = classifier(dataset, cache=tmp_path), dataset.test.labels
    assert labels is not None
    guesses = eye.probabilities(dataset.test.values).argmax(1)
    assert eye.accuracy == pytest.approx((guesses == labels).double().mean().item())


def test_columns_may_have_units_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_STEPS", 200)
    dataset = some("real", (2,), count=200)
    values = dataset.train.values * torch.tensor([1e-4, 1e4]) + torch.tensor([3e-4, 7e4])
    part = Examples(values)
    rows = labelled(replace(dataset, train=part), lambda x: x[:, 0] > 3e-4)
    assert classifier(rows, cache=tmp_path).accuracy > 0.95


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 8, 8), (9,)])
@pytest.mark.usefixtures("short")
def test_gray_values_share_one_scale(shape: tuple[int, ...], tmp_path: Path) -> None:
    """A pixel that is dark in all examples but one is not magnified."""
    dataset = some("unit", shape)
    dataset.train.values.flatten(1)[1:, 0] = 0
    eye = classifier(labelled(dataset, lambda x: x.flatten(1)[:, 1] > 0.5), cache=tmp_path)
    dark = torch.zeros(1, *shape)
    lit = dark.clone()
    lit.flatten(1)[0, 0] = 1
    scale = eye.network[0]
    assert (scale(lit) - scale(dark)).abs().max() < 5


@pytest.mark.usefixtures("short")
def test_only_the_training_part_decides(stripes: Dataset, tmp_path: Path) -> None:
    assert stripes.test.labels is not None
    valid = replace(stripes.valid, values=stripes.valid.values.flip(0))
    test = replace(stripes.test, labels=1 - stripes.test.labels)
    one = classifier(stripes, cache=tmp_path)
    other = classifier(replace(stripes, valid=valid, test=test), cache=tmp_path)
    assert torch.equal(weights(one.network), weights(other.network))
    assert other.accuracy == pytest.approx(1 - one.accuracy)


@pytest.mark.usefixtures("short")
def test_it_is_a_function_of_the_seed_and_leaves_the_global_generator(stripes: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    networks = [
        weights(classifier(stripes, seed=seed, cache=tmp_path / folder).network)
        for seed, folder in ((1, "a"), (1, "a"), (1, "b"), (2, "a"))
    ]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(networks[0], networks[1])
    assert torch.equal(networks[0], networks[2])
    assert not torch.equal(networks[0], networks[3])


@pytest.mark.usefixtures("short")
def test_training_is_done_where_gradients_are_off(stripes: Dataset, tmp_path: Path) -> None:
    with torch.no_grad():
        one = classifier(stripes, cache=tmp_path / "a")
    assert torch.equal(weights(one.network), weights(classifier(stripes, cache=tmp_path / "b").network))


@pytest.mark.usefixtures("short")
def test_it_is_trained_once(stripes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = classifier(stripes, cache=tmp_path)
    monkeypatch.setattr(features, "_train", lambda *_: pytest.fail("trained again"))
    again = classifier(stripes, cache=tmp_path)
    assert torch.equal(weights(first.network), weights(again.network))
    assert (first.accuracy, first.stderr) == (again.accuracy, again.stderr)
    assert not again.network.training


@pytest.mark.usefixtures("short")
def test_it_is_cached_for_the_user(stripes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / name)
    classifier(stripes)
    assert len(list((tmp_path / "aevb" / "classifiers").iterdir())) == 1


@pytest.mark.usefixtures("short")
def test_other_labels_values_or_seeds_are_trained_anew(stripes: Dataset, tmp_path: Path) -> None:
    labels = stripes.train.labels
    assert labels is not None
    classifier(stripes, cache=tmp_path)
    classifier(stripes, seed=1, cache=tmp_path)
    classifier(replace(stripes, train=replace(stripes.train, labels=1 - labels)), cache=tmp_path)
    classifier(replace(stripes, train=replace(stripes.train, scale=1.0)), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def of_another_network(path: Path) -> None:
    tensors = load_file(path)
    last = max(tensors)
    save_file({**tensors, last: torch.zeros(3, 3)}, path, {"accuracy": "1.0"})


def half_overwritten(path: Path) -> None:
    tensors = {name: torch.zeros_like(tensor) for name, tensor in load_file(path).items()}
    tensors.popitem()
    save_file(tensors, path, {"accuracy": "1.0"})


def without_accuracy(path: Path) -> None:
    save_file(load_file(path), path)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("damage", [empty, truncated, of_another_network, half_overwritten, without_accuracy])
def test_a_damaged_file_is_made_again(stripes: Dataset, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    first = classifier(stripes, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    damage(path)
    assert torch.equal(weights(classifier(stripes, cache=tmp_path).network), weights(first.network))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == content


@pytest.mark.usefixtures("short")
def test_a_cache_that_cannot_be_written_is_done_without(stripes: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert classifier(stripes, cache=tmp_path / "file" / "cache").accuracy >= 0


def test_data_without_labels_are_refused(stripes: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cells has no labels"):
        classifier(some("unit", (3,)), cache=tmp_path)
    one = Examples(stripes.train.values, torch.zeros(len(stripes.train), dtype=torch.int64))
    with pytest.raises(BadInput, match="stripes has one class, 'stripe'"):
        classifier(replace(stripes, train=one, test=one, classes=("stripe",)), cache=tmp_path)
    assert not list(tmp_path.iterdir())
