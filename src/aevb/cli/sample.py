"""The commands sample, reconstruct and encode."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import aevb
from aevb.cli import terminal
from aevb.cli.common import (
    Condition,
    Count,
    DataDir,
    Device,
    Flag,
    Given,
    Json,
    Plugins,
    ReadPath,
    Seed,
    Source,
    Where,
    print_array_file,
)
from aevb.cli.tables import require_table_file
from aevb.data.tables.encode import Table
from aevb.data.tables.write import write_table
from aevb.errors import BadInput
from aevb.files import write_atomically
from aevb.training.environment import process_group
from aevb.workflow.blockwise import encode_blocks, large_blocks, latent_columns
from aevb.workflow.devices import choose_device
from aevb.workflow.run import Run, load_run
from aevb.workflow.sampling import Request

ROW = 10
"""Images in a row of reconstructions."""


def sample(
    run: ReadPath,
    /,
    *,
    n_samples: Count = 100,
    noise: Flag = False,
    condition: Condition = {},  # noqa: B006  (never changed)
    given: Given = {},  # noqa: B006
    where: Where = (),
    out: Path | None = None,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Sample from a trained model: decode samples from the prior.

    A conditional model without --condition samples from each class in turn.

    Args:
        n_samples: Number of samples.
        noise: Sample images from p(x|z) instead of writing its mean; always the case for rows.
        out: Picture (.png, images only), array (.npy), or, for a table, .csv, .parquet, .xlsx and others. Default:
            samples.png, samples.npy or samples.csv in the run folder.
    """
    loaded = load_run(run, device)
    with terminal.status(f"sampling {n_samples} examples"):
        samples = loaded.draw_samples(n_samples, Request(condition, given, where, noise, seed))
    conditions = samples.condition
    row = round(n_samples**0.5) or 1
    if conditions is not None and len(conditions) > 1:
        row = ceil(n_samples / len(conditions.unique(dim=0)))
    if where and not json:
        terminal.show_rate(samples.n_drawn, n_samples)
    _write(loaded, out, "samples", samples.x, row, conditions, json)


def reconstruct(
    run: ReadPath,
    data: Source | None = None,
    /,
    *,
    n_examples: Count = 50,
    condition: Condition = {},  # noqa: B006  (never changed)
    out: Path | None = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Reconstruct examples, by default those of the test split: the mean of p(x|z) at the mean of q(z|x).

    A conditional model decodes each example under --condition. Default: the condition of the example.

    Args:
        n_examples: Number of examples, from the first.
        out: Picture (.png, images only; each example above its reconstruction), array (.npy) of examples and
            reconstructions (2, N, ...), or, for a table, .csv, .parquet, .xlsx and others with reconstructions: the
            mean of numbers, the most probable value of other columns. Default: reconstructions.png, .npy or .csv in
            the run folder.
    """
    loaded = load_run(run, device, data_dir=data_dir)
    pairs = loaded.reconstruct(data, max_examples=n_examples, condition=condition or None)
    x = pairs.mean if loaded.record.data.columns else torch.stack([pairs.x, pairs.mean])
    _write(loaded, out, "reconstructions", x, ROW, pairs.condition, json)


def encode(
    run: ReadPath,
    data: Source,
    /,
    *,
    out: Path | None = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Write the latent means of examples, the means of q(z|x), in the order of the examples.

    Images of a folder are in the order of the names of their classes, then of their files.

    Args:
        out: Array (.npy), or table (.csv, .parquet and others) with the columns z1, z2, ... and, for a folder of
            images, file. Default: latent-means.npy in the run folder.
    """
    with process_group(choose_device(device)) as own_device:
        loaded = load_run(run, own_device, data_dir=data_dir)
        path = loaded.output_file(out, "latent-means.npy")
        if path.suffix != ".npy":
            require_table_file(path)
        if blocks := large_blocks(data, path):
            with terminal.blocks(f"encoding {data}", len(blocks)) as on_block:
                shape: Sequence[int] = encode_blocks(loaded, blocks, path, on_block)
        else:
            with terminal.status(f"encoding {data}"):
                means = loaded.encode(data).double().numpy()
                names = loaded.row_names(data) if len(loaded.record.data.shape) == 3 else {}
                write_atomically(path, lambda file: _write_means(file, means, names))
            shape = means.shape
    print_array_file(path, shape, json)


def _write_means(path: Path, means: NDArray[np.float64], names: Table) -> None:
    if path.suffix == ".npy":
        np.save(path, means.astype("float32"))
    else:
        write_table(path, names | {name: column.tolist() for name, column in latent_columns(means).items()})


def _write(run: Run, out: Path | None, name: str, x: Tensor, row: int, condition: Tensor | None, json: bool) -> None:
    """Write examples as a picture, an array or a table."""
    data = run.record.data
    image = len(data.shape) == 3
    path = run.output_file(out, f"{name}.{'png' if image else 'csv' if data.columns else 'npy'}")
    shape: Sequence[int] = x.shape
    if data.columns:
        columns = (*data.columns, *data.condition_columns)
        rows = run.table(x, condition)
        shape = len(x), len(rows)
        write_atomically(require_table_file(path), lambda file: write_table(file, rows, columns, data.text_form))
    elif path.suffix == ".npy":
        write_atomically(path, lambda file: np.save(file, x.numpy()))
    elif path.suffix == ".png" and image:
        write_atomically(path, lambda file: aevb.plots.save_picture(x, row, file))
    else:
        raise BadInput(f"cannot write {name} of {data.name} to --out {path}: expected {'.png or ' * image}.npy")
    print_array_file(path, shape, json)
