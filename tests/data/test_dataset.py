"""Examples, data sets and their fingerprints."""

from dataclasses import FrozenInstanceError
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from aevb.data import Examples, load_data
from tests.data.sources import Z, gray_bytes, refused, saved, zipped


def test_a_batch_is_values_times_scale_in_float32() -> None:
    values = torch.tensor([[0, 51], [255, 102], [1, 2]], dtype=torch.uint8)
    examples = Examples(values, torch.tensor([3, 4, 5]), scale=1 / 255)
    batch = examples.batch(torch.tensor([1, 0, 1])).x
    assert batch.dtype == torch.float32
    torch.testing.assert_close(batch, torch.tensor([[1.0, 0.4], [0.0, 0.2], [1.0, 0.4]]))
    torch.testing.assert_close(examples.batch(slice(1, 3)).x, values[1:].float() / 255)
    assert (len(examples), examples.shape) == (3, (2,))
    assert examples.values.dtype == torch.uint8


@pytest.mark.parametrize("white", [255, 16])
def test_scaled_bytes_reach_one_exactly_and_never_pass_it(white: int) -> None:
    values = torch.arange(white + 1, dtype=torch.uint8)[:, None]
    batch = Examples(values, scale=1 / white).all().x
    assert batch.max() == batch[-1, 0] == 1.0
    assert batch.min() == batch[0, 0] == 0.0


def test_resampled_batches_differ_and_have_the_gray_values_as_mean() -> None:
    probabilities = torch.tensor([0.0, 0.2, 0.5, 1.0]).expand(200, 4).contiguous()
    examples = Examples(probabilities, resampled=True)
    draws = torch.stack([examples.all().x for _ in range(100)])
    assert set(draws.flatten().tolist()) == {0.0, 1.0}
    assert all(not torch.equal(first, second) for first, second in pairwise(draws))
    mean, p = draws.flatten(0, 1).mean(0), probabilities[0]
    error = (p * (1 - p) / draws[..., 0].numel()).sqrt()
    assert ((mean - p).abs() <= Z * error).all()


def test_examples_move_with_their_labels_and_keep_the_rest() -> None:
    examples = Examples(torch.zeros(3, 2, dtype=torch.uint8), torch.arange(3), 0.5, True).to("meta")
    assert examples.labels is not None
    assert examples.values.device.type == examples.labels.device.type == "meta"
    assert (examples.scale, examples.resampled) == (0.5, True)
    assert Examples(torch.zeros(3, 2)).to(torch.device("meta")).labels is None


def test_examples_are_frozen_and_checked() -> None:
    examples = Examples(torch.zeros(3, 2))
    with pytest.raises(FrozenInstanceError):
        examples.scale = 2.0  # type: ignore[misc]
    with refused("float16", "float32"):
        Examples(torch.zeros(3, 2, dtype=torch.float16))
    with refused("labels", "(2,)", "(3,)"):
        Examples(torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64))
    with refused("labels", "int32", "int64"):
        Examples(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int32))


def test_the_fingerprint_depends_on_values_shape_and_type(tmp_path: Path) -> None:
    values = gray_bytes(40, 4, 6)
    changed = values.copy()
    changed[:] = np.where(values == 7, 8, values)
    variants = [values, changed, values.reshape(40, 6, 4), values / 255]
    prints = [load_data(saved(tmp_path / f"{n}.npy", variant)).fingerprint for n, variant in enumerate(variants)]
    assert len(set(prints)) == len(prints)
    assert all(len(bytes.fromhex(fingerprint)) == 16 for fingerprint in prints)
    assert load_data(saved(tmp_path / "renamed.npy", values)).fingerprint == prints[0]
    for other in ({"split_seed": 1}, {"validation": 3}, {"binarize": "threshold"}):
        assert load_data(str(tmp_path / "0.npy"), **other).fingerprint != prints[0]


def test_the_fingerprint_depends_on_every_split(tmp_path: Path) -> None:
    x = gray_bytes(30, 4, 4)
    parts = {"x_train": x[:20], "x_test": x[20:]}
    before = load_data(zipped(tmp_path / "x.npz", **parts)).fingerprint
    for name, part in parts.items():
        changed = part.copy()
        changed[3, 2, 1] ^= 1
        assert load_data(zipped(tmp_path / "y.npz", **(parts | {name: changed}))).fingerprint != before
