"""The claims of the recipe."""

from functools import partial

from aevb.reproduction.quantities import Quantity, number, score
from aevb.reproduction.verdicts import Above, Below, Claim, Near
from aevb.reproduction.yong.measures import COMPONENTS, FRECHET
from aevb.reproduction.yong.trials import Length

KINDS = {"pca": "PCA", "linear": "linear autoencoder", "deep": "deep autoencoder", "vae": "VAE"}
"""Models that are compared, by the name of their trial; PCA is not trained."""


def claims(length: Length) -> list[Claim]:
    return [*_page_claims(length), *_identity_claims(), *_mixture_claims(), *_race_claims(length)]


def _page_claims(length: Length) -> list[Claim]:
    angle = score("linear-digits", "subspace_angle", "train")
    claims = [
        Claim(
            "Largest angle between linear autoencoder and principal subspace, digits, 2 latent dimensions",
            "“AE uses neural networks instead of SVD”",
            angle,
            Below(1),
            "smoke",
            unit="degrees",
        )
    ]
    for size in length.sizes:
        error = {kind: score_of(kind, size, "squared_error") for kind in KINDS}
        where = f"{length.source}, {size} latent dimensions"
        claims += [
            *(
                Claim(
                    f"Squared error of the {KINDS[kind]} minus that of PCA, {where}",
                    None,
                    error[kind] - error["pca"],
                    rule,
                    unit="",
                )
                for kind, rule in (("linear", Near(0, 0.5)), ("deep", Below(0)), ("vae", Below(0)))
            ),
            Claim(
                f"Fréchet distance of samples from data, z ~ N(0, I), VAE minus deep autoencoder, {where}",
                "“this data distribution is passed to a decoder network”",
                score_of("vae", size, FRECHET[False]) - score_of("deep", size, FRECHET[False]),
                Below(0),
                unit="",
                note="An autoencoder has no p(z): the distribution of its latent means is unknown.",
            ),
            Claim(
                f"The same, with the autoencoder's z from a normal fitted to its latent means, {where}",
                None,
                score_of("vae", size, FRECHET[False]) - score_of("deep", size, FRECHET[True]),
                Above(0),
                unit="",
                note="By this measure, two moments of the latent means more than compensate for the missing p(z).",
            ),
        ]
    return claims


def score_of(kind: str, size: int, name: str) -> Quantity:
    """Return a score of a compared model; those of PCA are stored with the linear autoencoder."""
    return score(f"linear-{size}", f"pca_{name}") if kind == "pca" else score(f"{kind}-{size}", name)


def _identity_claims() -> list[Claim]:
    young = partial(score, "linear-vae-digits-young", split="train")
    plane = partial(score, "vae-digits", split="train")
    return [
        Claim(
            "Largest |log p(x) - ELBO - KL(q(z|x) || p(z|x))|, linear VAE after 5 epochs, closed forms",
            "log P(x) = ELBO + KL(q(z|x) || P(z|x))",
            young("identity_error"),
            Below(1e-4),
            "smoke",
        ),
        Claim(
            "The same, VAE with 100 hidden units, each term by a different quadrature rule",
            "log P(x) = ELBO + KL(q(z|x) || P(z|x))",
            plane("identity_error"),
            Below(1e-4),
            "smoke",
        ),
        Claim(
            "Median KL(q(z|x) || p(z|x)) of the linear VAE after 5 epochs",
            "“greater than or equal to 0”",
            young("posterior_gap"),
            Above(0.01),
            "smoke",
            note="The divergence in the identity is not zero.",
        ),
        Claim("The same, VAE with 100 hidden units", None, plane("posterior_gap"), Above(0.01), "smoke"),
        Claim(
            "Error of the identity with the printed sign of KL(q(z|x) || p(z))",
            "-KL = -½ Σ (1 + log σ² - μ² - σ²)",
            plane("identity_error_as_printed"),
            Above(1),
            "smoke",
            note="An error in the report: with the printed sign the bound would reward a large KL.",
        ),
    ]


def _mixture_claims() -> list[Claim]:
    digits, line, curve = "linear-vae-digits", "linear-vae-curve", "vae-curve"
    optimum = score(digits, "log_px_ppca", "train")
    return [
        Claim(
            "log p(x) of the linear VAE minus that of probabilistic PCA, digits, training split",
            "“we can always adjust ELBO to be equal to log P(x)”",
            score(digits, "log_px_exact", "train") - optimum,
            Near(0, 1e-3),
        ),
        Claim(
            "Its bound minus log p(x) of probabilistic PCA",
            None,
            score(digits, "bound_exact", "train") - optimum,
            Near(0, 1e-3),
        ),
        Claim(
            "Test log p(x) of the linear VAE minus that of probabilistic PCA, digits",
            None,
            score(digits, "log_px_exact") - score(digits, "log_px_ppca"),
            Near(0, 1e-2),
        ),
        Claim(
            "Test log p(x) of the linear VAE minus that of one normal fitted by EM, figure 8",
            None,
            score(line, "log_px_exact") - mixture_log_px(0),
            Near(0, 1e-2),
            note="With a linear mean, the continuous mixture is a single normal.",
        ),
        Claim(
            f"Test log p(x) of {COMPONENTS[-1]} normals fitted by EM minus that of the linear VAE, figure 8",
            None,
            mixture_log_px(-1) - score(line, "log_px_exact"),
            Above(0.1),
        ),
        Claim(
            "Test log p(x) of a VAE with a one-dimensional z minus that of the truth, figure 8",
            "“our code is replaced by a continuous variable z”",
            score(curve, "log_px") - number("mixtures", "truth"),
            Near(0, 0.05),
            note="The normals of the mixture share one variance; their means lie on the curve of the decoder.",
        ),
    ]


def mixture_log_px(place: int) -> Quantity:
    return Quantity(lambda results, seed: float(results.study("mixtures", seed)["log_px"][place]))


def _race_claims(length: Length) -> list[Claim]:
    few = f"{length.small.examples:,} images"
    return [
        Claim(
            "Speedup: time of Monte Carlo EM / time until AEVB reaches its final test log p(x), all images",
            "“Sampling-based solutions, e.g. Monte Carlo EM, would in general be too slow”",
            number("race-large", "speedup"),
            Above(4),
            unit="",
            note="0 if AEVB does not reach it.",
        ),
        Claim(
            "Final test log p(x) of AEVB minus that of Monte Carlo EM, all images",
            None,
            number("race-large", "gain"),
            Above(0),
        ),
        Claim(
            f"Speedup: time of Monte Carlo EM / time until AEVB reaches its final test log p(x), {few}",
            "K & W, Fig. 3: similar speed",
            number("race-small", "speedup"),
            Below(4),
            unit="",
            note="On few images, a pass over all of them is cheap.",
        ),
        Claim(
            f"Final test log p(x) of AEVB minus that of Monte Carlo EM, {few}",
            "K & W, Fig. 3: -1.6 after 60 million images",
            number("race-small", "gain"),
            Near(0, 5),
        ),
        Claim(
            f"Acceptance rate of Hamiltonian Monte Carlo, {few}",
            "K & W: 0.9",
            number("race-small", "accepted"),
            Near(0.9, 0.03),
            unit="",
        ),
    ]
