"""Weights and training states as safetensors files. Nothing is pickled."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from aevb.errors import BadInput
from aevb.models.vae import VAE
from aevb.runs.format import damaged_as_bad_input
from aevb.training.state import Best, Cooldown, EpochPosition, TrainingState


def pack_weights(model: VAE, epoch: int) -> bytes:
    """Return the content of a file with the weights of a model after an epoch."""
    return _pack(model.state_dict(), epoch=epoch)


def load_weights(model: VAE, path: Path) -> int:
    """Load weights into a model and return the epoch after which they were written.

    Raises:
        BadInput: the file is damaged or belongs to another model.
    """
    with damaged_as_bad_input(path):
        tensors, metadata = _unpack(path)
        model.load_state_dict(tensors)
        for name, tensor in model.state_dict().items():
            if not tensor.isfinite().all():
                raise ValueError(f"{name} has values that are not finite")
        return int(metadata["epoch"])


def require_weights(path: Path, size: float) -> None:
    """Refuse a model whose weights exceed its file, before memory is allocated for them.

    Args:
        path: file of the weights.
        size: bytes of the model's weights.

    Raises:
        BadInput: the file is missing or smaller.
    """
    if not path.is_file():
        raise BadInput(f"{path} is missing or not a regular file: restore it, or train again")
    if (actual := path.stat().st_size) < size:
        raise BadInput(
            f"{path} is damaged or was not written by aevb: it has {actual} bytes, but the model in config.json takes"
            f" {size:.0f}"
        )


def pack_state(state: TrainingState) -> bytes:
    """Return the content of a checkpoint."""
    # The best weights are written only where they differ from the current ones.
    best = {} if state.best.number == state.number and not state.position else state.best.weights
    optimizer = {f"{index}.{name}": tensor for index, of in state.optimizer.items() for name, tensor in of.items()}
    within = {"totals": state.position.totals, "stream": state.position.rng_state} if state.position else {}
    groups = {
        "model": state.weights,
        "averages": state.averages,
        "best": best,
        "optimizer": optimizer,
        "within": within,
    }
    tensors = {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
    step = state.position.step if state.position else 0
    cooldown = asdict(state.cooldown) if state.cooldown else {}
    return _pack(tensors, epoch=state.number, step=step, best=state.best.number, merit=state.best.merit, **cooldown)


def load_state(model: VAE, path: Path) -> TrainingState | None:
    """Return the training state in a checkpoint, with its weights loaded into the model; None without a file.

    Raises:
        BadInput: the file is damaged or belongs to another model.
    """
    if not path.is_file():
        return None
    with damaged_as_bad_input(path):
        tensors, metadata = _unpack(path)
        number, step, best = int(metadata["epoch"]), int(metadata.get("step", 0)), int(metadata["best"])
        weights, averages = _group("model", tensors), _group("averages", tensors)
        optimizer = dict[int, dict[str, Tensor]]()
        for key, tensor in _group("optimizer", tensors).items():
            index, _, name = key.partition(".")
            optimizer.setdefault(int(index), {})[name] = tensor
        within = EpochPosition(step, tensors["within.totals"], tensors["within.stream"]) if step else None
        kept = (averages or weights) if best == number and not within else _group("best", tensors)
        for candidate in (*([kept] if best else []), *([averages] if averages else []), weights):
            model.load_state_dict(candidate)
        chosen = Best(best, float(metadata["merit"]), kept)
        cooldown = Cooldown(int(metadata["start"]), int(metadata["end"])) if "start" in metadata else None
        return TrainingState(number, weights, optimizer, chosen, within, averages, cooldown)


def _group(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{group}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _pack(tensors: Mapping[str, Tensor], **metadata: float) -> bytes:
    """Return the content of a file; tied weights, which share their memory, are in it under each of their names."""
    content, places = dict[str, Tensor](), set[int]()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        content[name] = own.clone() if place in places else own
        places.add(place)
    return save_tensors(content, metadata={name: str(value) for name, value in metadata.items()})


def _unpack(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    content = path.read_bytes()
    tensors = load_tensors(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")], object_pairs_hook=_without_duplicates)
    return tensors, header["__metadata__"]


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object, whose names must differ."""
    if len(content := dict(pairs)) < len(pairs):
        raise ValueError("a name occurs twice")
    return content
