"""The matrix products and convolutions of a step, forward and backward, and Adam's update alone."""

import torch
from torch import Tensor, nn

from benchmarks.workloads import Workload


@torch.no_grad()
def train(workload: Workload, x: Tensor, epochs: int, device: str) -> None:
    """Run as many steps as there are full batches."""
    layers, inputs = layers_and_inputs(workload, x[: workload.batch].to(device), device)
    outputs = [layer(given) for layer, given in zip(layers, inputs, strict=True)]
    weights = [parameter for layer in layers for parameter in layer.parameters()]
    optimizer = torch.optim.Adam(weights, lr=1e-3, fused=True)
    for weight in weights:
        weight.grad = torch.full_like(weight, 1e-3)
    for _ in range(epochs * (len(x) // workload.batch)):
        for place, (layer, given, output) in enumerate(zip(layers, inputs, outputs, strict=True)):
            layer(given)
            backward(layer, given, output, first=place == 0)
        optimizer.step()


def layers_and_inputs(workload: Workload, x: Tensor, device: str) -> tuple[list[nn.Module], list[Tensor]]:
    """Return the layers with weights, and their inputs."""
    layers, inputs = [], []

    def note(layer: nn.Module, given: tuple[Tensor, ...], _: Tensor) -> None:
        layers.append(layer)
        inputs.append(given[0].contiguous(memory_format=torch.channels_last) if given[0].dim() == 4 else given[0])

    networks = nn.Sequential(workload.encoder(), nn.Unflatten(1, (2, workload.latent))).to(device), workload.decoder()
    hooks = [
        layer.register_forward_hook(note)
        for network in networks
        for layer in network.to(device).modules()
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    ]
    networks[1](networks[0](x)[:, 0])
    for hook in hooks:
        hook.remove()
    return layers, inputs


def backward(layer: nn.Module, given: Tensor, gradient: Tensor, *, first: bool) -> None:
    """Compute the gradients of the weights and, except for the first layer, of the inputs."""
    if isinstance(layer, nn.Linear):
        gradient.T @ given
        if not first:
            gradient @ layer.weight
        return
    transposed = isinstance(layer, nn.ConvTranspose2d)
    torch.ops.aten.convolution_backward(
        gradient, given, layer.weight, None, layer.stride, layer.padding, layer.dilation, transposed,
        layer.output_padding, layer.groups, [not first, True, False],
    )  # fmt: skip
