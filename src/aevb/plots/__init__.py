"""Run records to figures, in one visual style. Nothing is trained here: a figure can be drawn again from the folder."""

from aevb.plots.curves import Levels, bands, learning_curves, losses, progress, stacks, strips, sweep, training
from aevb.plots.images import image_rows, image_sheets, manifold, manifolds, morphing, save_picture, tiles
from aevb.plots.points import Cloud, Ellipse, clouds, clouds_of_codes, contours, latent
from aevb.plots.run import figures, reconstructions, samples
from aevb.plots.style import COLOURS, STYLE, save

__all__ = [
    "COLOURS",
    "STYLE",
    "Cloud",
    "Ellipse",
    "Levels",
    "bands",
    "clouds",
    "clouds_of_codes",
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
    "reconstructions",
    "samples",
    "save",
    "save_picture",
    "stacks",
    "strips",
    "sweep",
    "tiles",
    "training",
]
