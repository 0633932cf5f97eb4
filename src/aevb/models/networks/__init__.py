"""Networks: modules from tensors to tensors, without probabilities.

An encoder maps examples ``(B, *event)`` to features ``(B, F)``, from which a posterior makes a distribution. A decoder
maps latent points ``(B, Z)`` to ``(B, *output)``, from which a likelihood makes a distribution. Any `nn.Module` with
these shapes can be used in their place.

    mlp     fully connected layers
    conv    convolutions of stride 2

A network registered with `aevb.models.registry.register.network` makes an encoder and a decoder that fit each other.
"""

from aevb.models.networks.base import ConditionalEncoder as ConditionalEncoder
from aevb.models.networks.base import Network as Network
from aevb.models.networks.conv import conv_decoder as conv_decoder
from aevb.models.networks.conv import conv_encoder as conv_encoder
from aevb.models.networks.dense import mlp_decoder as mlp_decoder
from aevb.models.networks.dense import mlp_encoder as mlp_encoder
from aevb.models.networks.flow import coupling as coupling
from aevb.models.networks.initialization import initialize_output as initialize_output
from aevb.models.networks.initialization import initialize_weights as initialize_weights
from aevb.models.networks.inputs import Embedding as Embedding
from aevb.models.networks.inputs import Standardize as Standardize
from aevb.models.networks.layers import ACTIVATIONS as ACTIVATIONS
