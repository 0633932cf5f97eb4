"""Figures of run records, in one visual style. Nothing is trained: every figure can be redrawn from a run folder."""

from aevb.plots.curves import (
    Levels,
    above,
    bands,
    learning_curves,
    losses,
    progress,
    search,
    stacks,
    strips,
    sweep,
    training,
)
from aevb.plots.images import image_rows, image_sheets, manifold, manifolds, morphing, save_picture, tiles
from aevb.plots.points import Cloud, Ellipse, Labelled, clouds, contours, latent, scatter_latent_means
from aevb.plots.quality import quality
from aevb.plots.run import figures, reconstructions, samples
from aevb.plots.style import COLORS, STYLE, save

__all__ = [
    "COLORS",
    "STYLE",
    "Cloud",
    "Ellipse",
    "Labelled",
    "Levels",
    "above",
    "bands",
    "clouds",
    "contours",
    "figures",
    "image_rows",
    "image_sheets",
    "latent",
    "learning_curves",
    "losses",
    "manifold",
    "manifolds",
    "morphing",
    "progress",
    "quality",
    "reconstructions",
    "samples",
    "save",
    "save_picture",
    "scatter_latent_means",
    "search",
    "stacks",
    "strips",
    "sweep",
    "tiles",
    "training",
]
