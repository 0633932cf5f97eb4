"""Figures of run records, in one visual style. Nothing is trained: every figure can be redrawn from a run folder.

Each function returns a matplotlib figure. Those that draw a single panel have a parameter `ax`: the axes of another
figure to draw into. They then return that figure.
"""

from aevb.data.image_sheet import tiles
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
from aevb.plots.images import image_rows, image_sheets, manifold, manifolds, morphing, picture, save_picture
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
    "picture",
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
