"""The claims of the report."""

import math
from collections.abc import Iterator
from itertools import pairwise

from aevb.reproduction.quantities import Quantity, epoch, least, score
from aevb.reproduction.verdicts import Above, Below, Claim, Near, Scale
from aevb.reproduction.zhao.trials import (
    ERRORS,
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
    """Return the loss of the report on test images."""
    return score(trial, "loss_without_constant") + score(trial, "rate")


def claims() -> list[Claim]:
    """Return the claims of the report in its order, then our own questions."""
    return [*_levels(), *_over_latent(), *_over_variance(), *_autoencoder(), *_of_the_bound(), *_of_the_samples()]


def _levels() -> list[Claim]:
    claims = []
    for (network, source), (loss, reconstruction, divergence) in REPORTED.items():
        trial, scale = trial_name(network, source, 2), _needs(network)
        label, (error, batch_error) = _models(network, source, 2), ERRORS[source]
        constant = 28 * 28 / 2 * math.log(2 * math.pi * VARIANCE)
        training = epoch(trial, "loss", "train") - constant
        claims += [
            Claim(f"{label}: loss, test images", loss, report_loss(trial), Near(loss, TOLERANCE, error), scale),
            Claim(f"{label}: loss, last epoch of training", loss, training, Near(loss, TOLERANCE, batch_error), scale),
        ]
        if reconstruction and divergence:
            rate, near = score(trial, "rate"), Near(reconstruction, TOLERANCE, error)
            squares = score(trial, "loss_without_constant") - rate
            claims += [
                Claim(f"{label}: reconstruction", reconstruction, squares, near, scale),
                Claim(f"{label}: KL without its factor 1/2", divergence, 2.0 * rate, Near(divergence, 1.0), scale),
            ]
    return claims


def _of_the_bound() -> Iterator[Claim]:
    """Yield our questions: the true bound, and a learning rate that decays."""
    for (network, source), (loss, *_) in REPORTED.items():
        label, scale = _models(network, source, 2), _needs(network)
        bound = score(bound_trial(network, source), "loss_without_constant")
        yield Claim(f"{label}: loss without constant, trained with the true bound, test images", None, bound,
                    Below(loss), scale)  # fmt: skip
        yield Claim(f"{label}: loss, with a learning rate that decays over the second half, test images", None,
                    report_loss(falling_trial(network, source)), Below(loss), scale)  # fmt: skip


def _of_the_samples() -> Iterator[Claim]:
    """Yield our questions: what else changes from 3 to 20 latent dimensions."""
    for network, source in REPORTED:
        few, many = (trial_name(network, source, latent) for latent in LATENT[-2:])
        label, scale = f"{NETWORKS[network]}, {SETS[source]}", _needs(network)
        for name, shown, rule in (
            ("sample_recall", "recall", Above(0.0)),
            ("frechet_distance", "Fréchet distance", Below(0.0)),
        ):
            yield Claim(f"{label}: {shown} of samples with 20 minus that with 3 latent dimensions", None,
                        score(many, name) - score(few, name), rule, scale, unit="")  # fmt: skip


def _models(network: str, source: str, latent: int) -> str:
    return f"{NETWORKS[network]}, {SETS[source]}, {latent} latent dimension{'s' * (latent > 1)}"


def _needs(network: str) -> Scale:
    """Return the scale at which a network is trained for as many epochs as in the report."""
    return "default" if network == "mlp" else "full"


def _over_latent() -> list[Claim]:
    claims = []
    for network, source in REPORTED:
        of = f"{NETWORKS[network]}, {SETS[source]}"
        names, scale = [trial_name(network, source, latent) for latent in LATENT], _needs(network)
        falls = least(*(report_loss(few) - report_loss(more) for few, more in pairwise(names)))
        worse = score(names[3], "sample_precision") - score(names[2], "sample_precision")
        claims += [
            Claim(f"{of}: the loss decreases with 1, 2, 3 and 20 latent dimensions: smallest decrease", "falls", falls,
                  Above(0.0), scale),
            Claim(f"{of}: single samples are worse with 20 than with 3 latent dimensions: difference of precisions",
                  "worse", worse, Below(0.0), scale, unit=""),
        ]  # fmt: skip
    for source, shown in SETS.items():
        for latent, rule, word in ((1, Above(0.0), "worse"), (2, Above(0.0), "worse"), (20, Below(0.0), "better")):
            gap = report_loss(trial_name("conv", source, latent)) - report_loss(trial_name("mlp", source, latent))
            label = f"{shown}, {latent} latent dimension{'s' * (latent > 1)}: CNN {word} than MLP: difference of losses"
            claims.append(Claim(label, word, gap, rule, "full"))
    return claims


def _over_variance() -> list[Claim]:
    small, usual, large = (trial_name("mlp", "mnist", 2, variance) for variance in (1e-4, VARIANCE, 1.0))

    def gap(one: str, other: str, name: str) -> Quantity:
        return score(one, name) - score(other, name)

    return [
        Claim("c = 1e-4: latent means far from the origin: their mean square", "far", score(small, "code_square"),
              Above(2.0), note="At most 1 if q(z) matches the prior.", unit=""),
        Claim("c = 1e-4: samples less diverse: class imbalance minus that of c = 0.05", "less diverse",
              gap(small, usual, "class_imbalance"), Above(0.0), unit=""),
        Claim("c = 1e-4: samples less diverse: recall minus that of c = 0.05", "less diverse",
              gap(small, usual, "sample_recall"), Below(0.0), unit=""),
        Claim("c = 1: samples more diverse than with c = 1e-4: difference of class imbalances", "diverse",
              gap(large, small, "class_imbalance"), Below(0.0), unit=""),
        Claim("c = 1: samples less authentic: precision minus that of c = 0.05", "less authentic",
              gap(large, usual, "sample_precision"), Below(0.0), unit=""),
        Claim("c = 1: samples less authentic: Fréchet distance minus that of c = 0.05", "less authentic",
              gap(large, usual, "frechet_distance"), Above(0.0), unit=""),
        Claim("c = 1: samples blurred: sharpness minus that of c = 0.05", None, gap(large, usual, "sharpness"),
              Below(0.0), unit=""),
    ]  # fmt: skip


def _autoencoder() -> list[Claim]:
    vae = trial_name("mlp", "mnist", 2)

    def gap(name: str) -> Quantity:
        return score("autoencoder", name) - score(vae, name)

    return [
        Claim("Continuous: largest / mean step of decoded interpolations, AE minus VAE", "VAE more continuous",
              gap("largest_step"), Above(0.0), unit=""),
        Claim("Meaningful: Fréchet distance of decoded samples from N(0, I), AE minus VAE", "VAE more meaningful",
              gap("frechet_distance"), Above(0.0), unit=""),
        Claim("Meaningful: confidence of a classifier on these samples, AE minus VAE", "VAE more meaningful",
              gap("sample_confidence"), Below(0.0), unit=""),
        Claim("Structured: distance of class means / spread within classes, AE minus VAE",
              "classes of the AE further apart", gap("class_distance"), Above(0.0), unit=""),
        Claim("Structured: mean square of the latent means, AE minus VAE", "AE's range is wide", gap("code_square"),
              Above(0.0), unit=""),
        Claim("A structured space separates classes: 5-nearest-neighbor accuracy of latent means, AE minus VAE", None,
              gap("neighbors_accuracy"), Below(0.0), unit=""),
    ]  # fmt: skip
