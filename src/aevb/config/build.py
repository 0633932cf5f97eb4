"""From a resolved configuration to the model and the objective."""

import math
from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from aevb import memory
from aevb.columns import Column
from aevb.config.pieces import options_class, piece_options
from aevb.config.schema import ModelConfig, ObjectiveConfig
from aevb.errors import BadInput, option
from aevb.models.hierarchy import LatentLayer
from aevb.models.networks import Embedding, Standardize, initialize_weights, mlp_encoder
from aevb.models.networks.dense import MLPOptions
from aevb.models.objectives import ELBO, Objective, Staged, Weight
from aevb.models.options import DataFacts
from aevb.models.posteriors import Diagonal, ScaleOptions
from aevb.models.registry import register
from aevb.models.shapes import size
from aevb.models.vae import VAE
from aevb.threads import sleep_when_waiting


def build(
    model: ModelConfig,
    event: tuple[int, ...],
    columns: Sequence[Column] = (),
    condition_columns: Sequence[Column] = (),
) -> VAE:
    """Return the model of a configuration, with initial weights from PyTorch's global generator.

    Args:
        model: a resolved configuration.
        event: the shape of one example.
        columns: the columns of a table.
        condition_columns: the columns of the condition.

    Raises:
        BadInput: the network does not fit the shape, the library of a flow is not installed, or the model does not fit
            into memory.
    """
    advice = "use smaller widths or fewer latent dimensions"
    memory.require(weight_bytes(model, event, columns, condition_columns), "a model of these widths", advice)
    sleep_when_waiting()
    return _vae(model, event, columns, condition_columns)


def weight_bytes(
    model: ModelConfig,
    event: tuple[int, ...],
    columns: Sequence[Column] = (),
    condition_columns: Sequence[Column] = (),
) -> float:
    """Return a lower bound of the size of a model's weights in bytes, without building it; arguments as in `build`.

    It is 0 where a piece computes with numbers when it is built, as a user's may.
    """
    try:
        with torch.device("meta"):
            vae = _vae(model, event, columns, condition_columns)
    except (RuntimeError, TypeError) as error:
        return math.inf if "verflow" in str(error) else 0.0
    sizes: list[int] = [tensor.numel() * tensor.element_size() for tensor in vae.state_dict().values()]
    return sum(sizes)


def build_objective(
    objective: ObjectiveConfig, posterior: str = "diagonal", data: DataFacts | None = None
) -> Objective:
    """Return the objective of a configuration.

    Args:
        objective: the configuration.
        posterior: the name of the posterior; one without a density makes the model an autoencoder.
        data: the data, on which defaults depend; None for no warm-up by default.

    Raises:
        BadInput: an option has no meaning for this objective, or for an autoencoder.
    """
    if not register.posterior[posterior].has_density:
        for name in objective.model_dump(exclude={"n_samples"}, exclude_defaults=True):
            raise BadInput(f"{_shown(name)} has no meaning for an autoencoder: leave it out")
        return ELBO(objective.n_samples or 1, Weight(0.0))
    kinds = [objective.kind, *([objective.then] if objective.then else [])]
    known = {name for kind in kinds for name in options_class(register.objective[kind]).model_fields}
    for name in objective.options:
        if name not in known:
            raise BadInput(f"{_shown(name)} has no meaning for the objective {' or '.join(kinds)}: leave it out")
    first = _objective(objective.kind, "n_samples", objective, objective.options, data)
    if objective.then is None:
        for name in objective.model_dump(include={"then_from", "then_n_samples"}, exclude_defaults=True):
            raise BadInput(f"{_shown(name)} has no meaning without {option('objective.then')}: leave it out")
        return first
    constant = {**objective.options, "warmup": 0.0, "cycles": 1}
    then = _objective(objective.then, "then_n_samples", objective, constant, data)
    return Staged(first, then, objective.then_from)


def _objective(
    kind: str, samples: str, objective: ObjectiveConfig, values: Mapping[str, Any], data: DataFacts | None
) -> Objective:
    """Return an objective by name.

    Args:
        kind: its name.
        samples: the name of the option with the number of its samples: 1 by default, or the objective's own default.
        objective: the configuration.
        values: options, among them those of the objective.
        data: as in `build_objective`.

    Raises:
        BadInput: the number of samples is set, and the objective has none.
    """
    make, count = register.objective[kind], getattr(objective, samples)
    parameter = signature(make).parameters.get("n_samples")
    if count and not parameter:
        raise BadInput(f"{_shown(samples)} has no meaning for the objective {kind}: leave it out")
    if parameter and parameter.default is Parameter.empty:
        count = count or 1
    options = piece_options(make, values)
    arguments = (options.resolve(data) if data else options).arguments()
    built: Objective = make(**({"n_samples": count} if count else {}), **arguments)
    return built


def _shown(name: str) -> str:
    return option(f"objective.{name.replace('_', '-')}")


def _vae(
    model: ModelConfig, event: tuple[int, ...], columns: Sequence[Column], condition_columns: Sequence[Column]
) -> VAE:
    assert model.activation, "the default depends on the data: resolve the configuration first"
    likelihood_class = register.likelihood[str(model.likelihood)]
    likelihood = likelihood_class.create(event, columns, model.piece_options("likelihood"))
    network = register.network[model.network](model.activation, **model.piece_options("network").arguments())
    inputs = Embedding(columns) if columns else None if likelihood.bounded else Standardize(event)
    encoder_event = inputs.output if inputs else event
    condition = Embedding(condition_columns) if condition_columns else None
    context = size(condition.output) if condition else 0
    encoder, features = network.encoder(encoder_event, context)
    decoder = network.decoder(model.decoder_latent + context, likelihood.output)
    lower_layers = []
    for latent, above in pairwise(model.layers):
        lower_layers.append(_latent_layer(model, features, latent, above))
        features = (model.latent_hidden or ())[-1]
    top = model.layers[-1]
    posterior = _posterior(model, features, top)
    prior = register.prior[model.prior](top, encoder_event, **model.piece_options("prior").arguments())
    vae = VAE(encoder, posterior, prior, decoder, likelihood, lower_layers, condition, inputs, skip=model.skip == "on")
    if model.init == "lecun" or model.init == "small":
        initialize_weights(vae, model.init)
    return vae


def _posterior(model: ModelConfig, features: int, latent: int) -> nn.Module:
    posterior: nn.Module = register.posterior[model.posterior](
        features, latent, **model.piece_options("posterior").arguments()
    )
    return posterior


def _latent_layer(model: ModelConfig, features: int, latent: int, above: int) -> LatentLayer:
    """Return a layer of `latent` dimensions, for features of its height, below a layer of `above` dimensions."""
    assert model.activation
    widths = model.latent_hidden or ()
    network = model.piece_options("network")
    layers = network.model_dump(include={"block", "norm"}) if isinstance(network, MLPOptions) else {}
    up, _ = mlp_encoder((features,), widths, model.activation, **layers)
    down, width = mlp_encoder((above,), widths[::-1], model.activation, **layers)
    options = model.piece_options("posterior")
    scale = options.posterior_scale if isinstance(options, ScaleOptions) else "log-variance"
    conditional = Diagonal(width, latent, scale)
    return LatentLayer(up, down, conditional, _posterior(model, features + width, latent))
