"""Resolution of a configuration: the defaults that depend on the data, and checks that the pieces fit."""

from typing import Any

from aevb.config.schema import IMAGE_LATENT, ROW_LATENT, ModelConfig
from aevb.data import Dataset
from aevb.errors import BadInput, option
from aevb.models.options import Activation
from aevb.models.registry import register

KINDS = {
    "binary": "zeros and ones",
    "unit": "gray values",
    "counts": "counts",
    "real": "real values",
    "columns": "the columns of a table",
}
LATENT_HIDDEN = (100, 100)


def resolve(model: ModelConfig, dataset: Dataset) -> ModelConfig:
    """Return a configuration with the defaults that depend on the data filled in.

    Args:
        model: the configuration of the user.
        dataset: the data that the model will explain.

    Raises:
        BadInput: the likelihood does not support such data, or an option has no meaning for the chosen pieces.
    """
    model = model.model_copy(update={"likelihood": model.likelihood or default_likelihood(dataset.kind)})
    _check_likelihood(model, dataset)
    autoencoder = not register.posterior[model.posterior].has_density
    if autoencoder and model.prior != ModelConfig.model_fields["prior"].default:
        raise BadInput(f"{option('model.prior', model.prior)} has no meaning for an autoencoder: leave it out")
    options: dict[str, Any] = {}
    for field in model.PIECES:
        chosen = model.piece_options(field)
        options |= (chosen.for_autoencoder() if autoencoder else chosen).resolve(dataset).model_dump()
    for name, value in model.options.items():
        if name not in options:
            raise _meaningless(name, value)
    latent = model.latent or (default_latent(dataset.shape),)
    if model.latent_hidden and len(latent) == 1:
        raise _meaningless("latent_hidden", model.latent_hidden)
    if model.skip == "on" and len(latent) == 1:
        raise _meaningless("skip", model.skip)
    hidden = (model.latent_hidden or LATENT_HIDDEN) if len(latent) > 1 else None
    activation = model.activation or default_activation(model.network, dataset.shape)
    changes = {**options, "activation": activation, "latent": latent, "latent_hidden": hidden}
    return model.model_copy(update=changes)


def default_activation(network: str, shape: tuple[int, ...]) -> Activation:
    """Return the default activation for examples of a shape: gated for images if layers are fully connected."""
    return "glu" if network == "mlp" and len(shape) > 1 else "relu"


def default_latent(shape: tuple[int, ...]) -> int:
    """Return the default number of latent dimensions for examples of a shape: images or rows."""
    return min(ROW_LATENT, *shape) if len(shape) == 1 else IMAGE_LATENT


def default_likelihood(kind: str) -> str:
    """Return the name of the likelihood that declares itself the default for a kind of data."""
    return next(name for name, likelihood in register.likelihood.items() if kind in likelihood.default_for)


def _check_likelihood(model: ModelConfig, dataset: Dataset) -> None:
    """Raise `BadInput` if the likelihood does not support the data."""
    likelihood = register.likelihood[str(model.likelihood)]
    if dataset.kind not in likelihood.supports:
        raise BadInput(_advice(dataset, str(model.likelihood)))
    continuous = likelihood.accepts_probabilities or "unit" in likelihood.supports
    if dataset.binarize == "treat-as-probabilities" and not continuous:
        accepting = [name for name, piece in register.likelihood.items() if piece.accepts_probabilities]
        raise BadInput(
            f"{dataset.name} has gray values, which the likelihood {' or '.join(accepting)} takes as probabilities, not"
            f" {model.likelihood}: use {option('data.binarize', 'threshold')} or resampled"
        )


def _advice(dataset: Dataset, likelihood: str) -> str:
    supported = " or ".join(KINDS[kind] for kind in register.likelihood[likelihood].supports)
    fitting = ", ".join(name for name, piece in register.likelihood.items() if dataset.kind in piece.supports)
    binarize = f"add {option('data.binarize', 'threshold')}, resampled or treat-as-probabilities, or "
    use = option("model.likelihood")
    return (
        f"{dataset.name} has {KINDS[dataset.kind]}, and the likelihood {likelihood} explains {supported}: "
        f"{binarize * (dataset.kind == 'unit')}use {use} {fitting}"
    )


def _meaningless(name: str, value: object) -> BadInput:
    shown = option(f"model.{name.replace('_', '-')}", value)
    return BadInput(f"{shown} has no meaning for this model: leave it out")
