"""A classifier of images, whose features are the space in which samples are compared with data.

Distances between pixels say little about the content of an image; those between the features of a classifier say more
(Salimans, Goodfellow, Zaremba, Cheung, Radford & Chen 2016; Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter 2017).
Both papers use a network trained on ImageNet, which contains neither digits nor cells. Here it is a small classifier of
the data set itself,

    features(x) = the last hidden layer, (N, F)        p(class|x) = softmax(W features(x) + b), (N, C)

trained on the labeled training split for a fixed number of steps. Its numbers compare models of one data set and cannot
be compared with numbers from other features. Validation and test split have no influence; the accuracy is that on the
test split. The classifier runs on the CPU, so its features do not depend on the device of the model.

A classifier is trained once and cached on disk, under a name derived from the data, the labels and the seed.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from aevb.data.dataset import Dataset
from aevb.errors import BadInput
from aevb.files import write_bytes
from aevb.models.networks import Standardize, conv_encoder, mlp_encoder
from aevb.rng import RNGStream, seeded

FEATURES = 128

_RECIPE = 1  # increased whenever the same data and seed would give other weights
_STEPS, _BATCH, _LEARNING_RATE = 1500, 128, 2e-3
_AT_ONCE = 500  # examples in a forward pass
_SMALLEST = 16  # the smallest height and width for convolutions


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier.

    Attributes:
        network: maps ``(B, *event)`` to logits ``(B, C)``; its last layer is linear in the features.
        accuracy: on the test examples.
        stderr: standard error of the accuracy.
    """

    network: nn.Sequential
    accuracy: float
    stderr: float

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer ``(N, F)`` for examples ``(N, *event)``, on the CPU."""
        return _in_parts(self.network[:-1], x)

    def probabilities(self, x: Tensor) -> Tensor:
        """Return p(class|x), ``(N, C)``, for examples ``(N, *event)``, on the CPU."""
        return _in_parts(self.network, x).softmax(1)


def classifier(dataset: Dataset, *, seed: int = 0, cache: Path | None = None) -> Classifier:
    """Return the classifier of a data set, from the cache or trained (seconds to a minute) and added to the cache.

    Args:
        dataset: with labels.
        seed: seed of weights and batches.
        cache: the folder of trained classifiers; None for the user's cache.

    Raises:
        BadInput: the data have no labels, or only one class.
    """
    train, test = _labels(dataset)
    path = (cache or _user_cache()) / f"{_fingerprint(dataset, train, test)}-{seed}-{_RECIPE}.safetensors"
    network = _network(dataset, seed)
    accuracy = _read(network, path)
    if accuracy is None:
        network = _network(dataset, seed)  # a damaged file may have changed weights of the other
        _train(network, dataset, train, seed)
        accuracy = _accuracy(network, dataset, test)
        _write(network, accuracy, path)
    return Classifier(network.eval(), accuracy, math.sqrt(accuracy * (1 - accuracy) / len(test)))


def _labels(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Return the labels of training and test examples."""
    train, test = dataset.train.labels, dataset.test.labels
    if train is None or test is None or not dataset.classes:
        raise BadInput(f"{dataset.name} has no labels to train a classifier on: compare samples in another space")
    if len(dataset.classes) == 1:
        raise BadInput(f"{dataset.name} has one class, {dataset.classes[0]!r}: a classifier needs two or more")
    return train, test


# The network.


def _network(dataset: Dataset, seed: int) -> nn.Sequential:
    """Return standardization, hidden layers ending in the features, and a linear layer."""
    with seeded(seed, RNGStream.FEATURES, 0):
        hidden, width = _hidden(dataset.shape)
        return nn.Sequential(_scale(dataset), hidden, nn.Linear(width, len(dataset.classes or ())))


def _scale(dataset: Dataset) -> Standardize:
    """Return a standardizing layer with one scale for all elements of an event, or one per column of vectors.

    With one scale per pixel, a pixel that is almost always dark would dominate wherever it is not.
    """
    own = len(dataset.shape) == 1 and dataset.kind in ("real", "counts")
    scale, x = Standardize(dataset.shape if own else ()), dataset.train.batch(slice(10_000)).x
    scale.initialize(x if own else x.flatten())
    return scale


def _hidden(event: tuple[int, ...]) -> tuple[nn.Module, int]:
    if len(event) < 3 or min(event[1:]) < _SMALLEST:
        return mlp_encoder(event, (256, FEATURES), "relu")
    convolutions, width = conv_encoder(event, _channels(event), "relu")
    dense, features = mlp_encoder((width,), (FEATURES,), "relu")
    return nn.Sequential(convolutions, dense), features


def _channels(event: tuple[int, ...]) -> list[int]:
    """Return the channels of convolutions that leave about 4 x 4 pixels; they double per layer, up to 128."""
    depth = round(math.log2(math.sqrt(event[1] * event[2]) / 4))
    return [min(32 * 2**layer, 128) for layer in range(depth)]


@torch.no_grad()
def _in_parts(network: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([network(part.cpu()) for part in x.split(_AT_ONCE)])


# Training.


@torch.enable_grad()  # also within torch.no_grad()
def _train(network: nn.Module, dataset: Dataset, labels: Tensor, seed: int) -> None:
    """Minimize the cross-entropy by Adam, with a learning rate that falls linearly to zero."""
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE, fused=True)
    network.train()
    with seeded(seed, RNGStream.FEATURES, 1):
        for step, index in enumerate(_batches(len(labels))):
            optimizer.param_groups[0]["lr"] = _LEARNING_RATE * (1 - step / _STEPS)
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(dataset.train.batch(index).x), labels[index]).backward()
            optimizer.step()
    network.eval()


def _batches(count: int) -> Iterator[Tensor]:
    """Yield the indices of each step: successive permutations, split into batches of equal size."""
    size = min(_BATCH, count)
    passes = math.ceil(_STEPS * size / count)
    order = torch.cat([torch.randperm(count) for _ in range(passes)])
    return iter(order[: _STEPS * size].split(size))


def _accuracy(network: nn.Module, dataset: Dataset, labels: Tensor) -> float:
    guesses = [_in_parts(network, batch.x).argmax(1) for batch in dataset.test.batches(_AT_ONCE)]
    return float((torch.cat(guesses) == labels).double().mean())


# The cache.


def _user_cache() -> Path:
    from pooch import os_cache  # it imports tqdm, which warns in notebooks

    return Path(os_cache("aevb")) / "classifiers"


def _fingerprint(dataset: Dataset, *labels: Tensor) -> str:
    """Return 32 hexadecimal digits that identify values, splits and labels."""
    digest = blake2b(dataset.fingerprint.encode(), digest_size=16)
    for part in labels:
        digest.update(part.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _read(network: nn.Module, path: Path) -> float | None:
    """Load the weights from a file and return the accuracy; None if the file does not exist or is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            accuracy = float((file.metadata() or {})["accuracy"])
        network.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        return None
    return accuracy


def _write(network: nn.Module, accuracy: float, path: Path) -> None:
    """Write a file atomically; a cache that cannot be written is not an error."""
    with suppress(BadInput):
        write_bytes(path, save_tensors(network.state_dict(), metadata={"accuracy": repr(accuracy)}))
