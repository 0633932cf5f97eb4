"""What a network sees in images: the features in which samples are compared with data.

Distances between pixels say little about what a picture shows, those between the features of a classifier much more
(Salimans, Goodfellow, Zaremba, Cheung, Radford & Chen 2016; Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter 2017).
Both take a network trained on ImageNet, which has never seen digits, let alone cells. Here it is a small classifier of
the data themselves,

    features(x) = the last hidden layer, (N, F)        p(class|x) = softmax(W features(x) + b), (N, C)

trained on the labelled training part for a fixed number of steps. Its numbers compare models of one data set, and mean
nothing beside those from other features. Neither the validation nor the test part decides anything; the accuracy is
that on the test part. All of it runs on the CPU, so that the features are the same wherever a model was trained.

Training is done once: the classifier is kept on disk, under a name made of the data, the labels and the seed.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import cast

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

_RECIPE = 1  # raised whenever the same data and seed would give other weights
_STEPS, _BATCH, _RATE = 1500, 128, 2e-3
_AT_ONCE = 500  # examples that pass through the network together
_SMALLEST = 16  # height and width from which on images are convolved


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier.

    Attributes:
        network: ``(B, *event)`` to logits ``(B, C)``, in evaluation mode; its last layer is linear in the features.
        accuracy: share of the test examples that it names rightly.
        stderr: standard error of the accuracy.
    """

    network: nn.Sequential
    accuracy: float
    stderr: float

    def features(self, x: Tensor) -> Tensor:
        """What the network sees: the last hidden layer ``(N, F)`` of examples ``(N, *event)``, on the CPU."""
        return _in_parts(self.network[:-1], x)

    def probabilities(self, x: Tensor) -> Tensor:
        """p(class|x), ``(N, C)``, of examples ``(N, *event)``, on the CPU."""
        return _in_parts(self.network, x).softmax(1)


def classifier(dataset: Dataset, *, seed: int = 0, cache: Path | None = None) -> Classifier:
    """The classifier of a data set: from the cache, or else trained, in seconds to a minute, and put there.

    Args:
        dataset: with labels.
        seed: of weights and batches.
        cache: the folder of trained classifiers; the user's cache where None.

    Raises:
        BadInput: the data have no labels, or all the same.
    """
    train, test = _labels(dataset)
    path = (cache or _user_cache()) / f"{_fingerprint(dataset, train, test)}-{seed}-{_RECIPE}.safetensors"
    network = _network(dataset, seed)
    accuracy = _read(network, path)
    if accuracy is None:
        network = _network(dataset, seed)  # a file that does not fit may have left weights in the other
        _train(network, dataset, train, seed)
        accuracy = _accuracy(network, dataset, test)
        _write(network, accuracy, path)
    return Classifier(network.eval(), accuracy, math.sqrt(accuracy * (1 - accuracy) / len(test)))


def _labels(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Those of the training and of the test examples."""
    train, test = dataset.train.labels, dataset.test.labels
    if train is None or test is None or not dataset.classes:
        raise BadInput(f"{dataset.name} has no labels, from which a classifier could learn: compare in another space")
    if len(dataset.classes) == 1:
        raise BadInput(f"{dataset.name} has one class, {dataset.classes[0]!r}: a classifier needs two or more")
    return train, test


# The network.


def _network(dataset: Dataset, seed: int) -> nn.Sequential:
    """Standardisation, hidden layers of which the last has the features, and a linear layer."""
    with seeded(seed, RNGStream.FEATURES, 0):
        hidden, width = _hidden(dataset.shape)
        return nn.Sequential(_scale(dataset), hidden, nn.Linear(width, len(dataset.classes or ())))


def _scale(dataset: Dataset) -> Standardize:
    """One scale for all elements of an event, unless they are columns in units of their own.

    A pixel that is nearly always dark would otherwise shout wherever it is not.
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
    """As many convolutions as leave about 4 x 4 pixels, each with twice the channels of the one before, up to 128."""
    depth = round(math.log2(math.sqrt(event[1] * event[2]) / 4))
    return [min(32 * 2**layer, 128) for layer in range(depth)]


@torch.no_grad()
def _in_parts(network: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([network(part.cpu()) for part in x.split(_AT_ONCE)])


# Training.


@torch.enable_grad()  # wherever it is called from
def _train(network: nn.Module, dataset: Dataset, labels: Tensor, seed: int) -> None:
    """Adam on the cross-entropy, its rate falling linearly to zero."""
    optimizer = torch.optim.Adam(network.parameters(), lr=_RATE, fused=True)
    network.train()
    with seeded(seed, RNGStream.FEATURES, 1):
        for step, index in enumerate(_batches(len(labels))):
            optimizer.param_groups[0]["lr"] = _RATE * (1 - step / _STEPS)
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(dataset.train.batch(index).x), labels[index]).backward()
            optimizer.step()
    network.eval()


def _batches(count: int) -> Iterator[Tensor]:
    """Indices of the examples of each step: permutation after permutation, cut into batches of equal size."""
    size = min(_BATCH, count)
    passes = math.ceil(_STEPS * size / count)
    order = torch.cat([torch.randperm(count) for _ in range(passes)])
    return iter(order[: _STEPS * size].split(size))


def _accuracy(network: nn.Module, dataset: Dataset, labels: Tensor) -> float:
    guesses = [_in_parts(network, batch.x).argmax(1) for batch in dataset.test.batches(_AT_ONCE)]
    return float((torch.cat(guesses) == labels).double().mean())


# The cache.


def _user_cache() -> Path:
    import pooch

    return cast(Path, pooch.os_cache("aevb")) / "classifiers"


def _fingerprint(dataset: Dataset, *labels: Tensor) -> str:
    """32 hexadecimal digits of values, splits and labels."""
    digest = blake2b(dataset.fingerprint.encode(), digest_size=16)
    for part in labels:
        digest.update(part.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _read(network: nn.Module, path: Path) -> float | None:
    """Take the weights from a file and return the accuracy; None where there is no such file or it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            accuracy = float((file.metadata() or {})["accuracy"])
        network.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        return None
    return accuracy


def _write(network: nn.Module, accuracy: float, path: Path) -> None:
    """Put a file in its place, whole or not at all; a cache that cannot be written costs time, not the result."""
    with suppress(BadInput):
        write_bytes(path, save_tensors(network.state_dict(), metadata={"accuracy": repr(accuracy)}))
