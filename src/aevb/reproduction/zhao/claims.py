"""What the report says of each number."""

import math
from itertools import pairwise

from aevb.reproduction.recipe import (
    Above,
    Below,
    Claim,
    Near,
    Quantity,
    Scale,
    epoch,
    least,
    score,
)
from aevb.reproduction.zhao.trials import (
    LATENT,
    NETWORKS,
    REPORTED,
    SETS,
    TOLERANCE,
    VARIANCE,
    bound_trial,
    falling_trial,
    trial_name,
)


def report_loss(trial: str) -> Quantity:
    """The report's quantity on test images."""
    return score(trial, "loss_without_constant") + score(trial, "rate")


def claims() -> list[Claim]:
    """Return the claims in the order of the report."""
    return [*_levels(), *_over_latent(), *_over_variance(), *_autoencoder()]


def _levels() -> list[Claim]:
    claims = []
    for (network, source), (loss, reconstruction, divergence) in REPORTED.items():
        trial, scale = trial_name(network, source, 2), _needs(network)
        label = f"{NETWORKS[network]}, {SETS[source]}, z = 2"
        note = JUMPS if network == "conv" else ""
        claims.append(
            Claim(f"{label}: loss, test images", loss, report_loss(trial), Near(loss, TOLERANCE), scale, note)
        )
        if reconstruction and divergence:
            parts = score(trial, "loss_without_constant") - score(trial, "rate"), 2.0 * score(trial, "rate")
            claims.append(
                Claim(f"{label}: reconstruction", reconstruction, parts[0], Near(reconstruction, TOLERANCE), scale)
            )
            claims.append(
                Claim(f"{label}: KL without its factor 1/2", divergence, parts[1], Near(divergence, 1.0), scale)
            )
        constant = 28 * 28 / 2 * math.log(2 * math.pi * VARIANCE)
        training = epoch(trial, "loss", "train") - constant
        claims.append(Claim(f"{label}: loss, last epoch of training", loss, training, Near(loss, TOLERANCE), scale))
        falling = report_loss(falling_trial(network, source))
        settled = "with a learning rate that falls over the second half, test images"
        claims.append(Claim(f"{label}: loss, {settled}", None, falling, Near(loss, TOLERANCE), scale))
        bound = score(bound_trial(network, source), "loss_without_constant")
        claims.append(Claim(f"{label}: with the true bound, test images", None, bound, Below(loss), scale))
    return claims


JUMPS = (
    "At a constant rate the loss on images that were not learned from jumps by up to 30 from epoch to epoch (training"
    " curves below), and still falls at the last one; a rate that falls is two lines further."
)
FIDELITY = (
    "By eye the report is right about single samples, and so is precision, which falls from z = 3 to 20: 0.955 to 0.941"
    " (MLP) and 0.958 to 0.871 (CNN) on MNIST, 0.880 to 0.869 and 0.892 to 0.673 on Fashion-MNIST. But recall rises far"
    " more (CNN, MNIST: 0.05 to 0.81), and the Fréchet distance counts both."
)


def _needs(network: str) -> Scale:
    """The scale at which a network is trained as long as in the report."""
    return "default" if network == "mlp" else "full"


def _over_latent() -> list[Claim]:
    claims = []
    for network, source in REPORTED:
        of = f"{NETWORKS[network]}, {SETS[source]}"
        names, scale = [trial_name(network, source, latent) for latent in LATENT], _needs(network)
        falls = least(*(report_loss(few) - report_loss(more) for few, more in pairwise(names)))
        claims.append(
            Claim(f"{of}: the loss falls with z = 1, 2, 3, 20: least fall", "falls", falls, Above(0.0), scale)
        )
        worse = score(names[3], "frechet_distance") - score(names[2], "frechet_distance")
        label = f"{of}: samples are worse with z = 20 than with z = 3: difference of Fréchet distances"
        claims.append(Claim(label, "worse", worse, Above(0.0), scale, FIDELITY))
    for source, shown in SETS.items():
        for latent, rule, word in ((1, Above(0.0), "worse"), (2, Above(0.0), "worse"), (20, Below(0.0), "better")):
            gap = report_loss(trial_name("conv", source, latent)) - report_loss(trial_name("mlp", source, latent))
            label = f"{shown}, z = {latent}: CNN {word} than MLP: difference of losses"
            claims.append(Claim(label, word, gap, rule, "full"))
    return claims


def _over_variance() -> list[Claim]:
    small, usual, large = (trial_name("mlp", "mnist", 2, variance) for variance in (1e-4, VARIANCE, 1.0))

    def gap(one: str, name: str) -> Quantity:
        return score(one, name) - score(usual, name)

    return [
        Claim("c = 1e-4: codes far from the origin: mean square of a code", "far", score(small, "code_square"),
              Above(2.0), note="At most 1 where the codes fill the prior."),
        Claim("c = 1e-4: samples less diverse: imbalance of their classes, over that of c = 0.05", "less diverse",
              gap(small, "class_imbalance"), Above(0.0)),
        Claim("c = 1e-4: samples less diverse: recall, over that of c = 0.05", "less diverse",
              gap(small, "sample_recall"), Below(0.0)),
        Claim("c = 1: samples diverse: imbalance of their classes, over that of c = 0.05", "diverse",
              gap(large, "class_imbalance"), Below(0.05), note="Blurred samples are more often taken for some classes"
              " than for others; more diverse than those of c = 1e-4 they are."),
        Claim("c = 1: samples less authentic: Fréchet distance, over that of c = 0.05", "less authentic",
              gap(large, "frechet_distance"), Above(0.0)),
        Claim("c = 1: samples blurred: sharpness, over that of c = 0.05", "blurred", gap(large, "sharpness"),
              Below(0.0)),
    ]  # fmt: skip


def _autoencoder() -> list[Claim]:
    vae = trial_name("mlp", "mnist", 2)

    def gap(name: str) -> Quantity:
        return score("autoencoder", name) - score(vae, name)

    return [
        Claim("Continuous: largest over mean step of decoded walks, AE over VAE", "VAE more continuous",
              gap("largest_step"), Above(0.0)),
        Claim("Meaningful: Fréchet distance of decoded draws from N(0, I), AE over VAE", "VAE more meaningful",
              gap("frechet_distance"), Above(0.0)),
        Claim("Meaningful: a classifier's confidence in them, AE over VAE", "VAE more meaningful",
              gap("sample_confidence"), Below(0.0)),
        Claim("Structured: distance of the classes' centres over their spread, AE over VAE",
              "classes of the AE further apart", gap("class_distance"), Above(0.0)),
        Claim("Structured: mean square of a code, AE over VAE", "AE's range is wide", gap("code_square"), Above(0.0)),
        Claim("Structured: 5-nearest-neighbour accuracy of codes, AE over VAE", None,
              gap("neighbours_accuracy"), Below(0.0), note="Our own reading: a structured space tells classes apart."),
    ]  # fmt: skip
