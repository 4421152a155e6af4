"""Finds labels of a figure that lie on what it draws."""

from itertools import combinations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.path import Path
from matplotlib.text import Text


def overlaps(figure):
    """List the labels and legends that lie on a curve, a marker, an area or one another.

    A label may touch its own arrow.
    """
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    found = []
    for axes in figure.axes:
        boxes = {
            text.get_text(): Text.get_window_extent(text, renderer)
            for text in axes.texts
            if text.get_text()
        }
        if axes.get_legend():
            boxes["legend"] = axes.get_legend().get_window_extent(renderer)
        found += [name for name, box in boxes.items() if any(_lies_on(box, axes))]
        found += [f"{a} and {b}" for a, b in combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]
    return found


def _lies_on(box, axes):
    for line in axes.lines:
        path = line.get_transform().transform_path(line.get_path())
        if line.get_linestyle() != "None" and len(path.vertices) > 1:
            yield path.intersects_bbox(box, filled=False)
        if line.get_marker() != "None":
            half = line.get_markersize() * axes.figure.dpi / 144
            yield _holds(box.padded(half), path.vertices)
    for collection in axes.collections:
        if isinstance(collection, PathCollection):  # of markers at offsets
            points = collection.get_offset_transform().transform(collection.get_offsets())
            yield _holds(box, points)
        else:
            for path in collection.get_paths():
                drawn = collection.get_transform().transform_path(path)
                yield drawn.intersects_bbox(box, filled=bool(len(collection.get_facecolor())))
    for patch in axes.patches:
        path = patch.get_transform().transform_path(patch.get_path())
        yield Path(path.vertices, path.codes).intersects_bbox(box)


def _holds(box, points):
    return bool(np.any(np.all((points >= box.min) & (points <= box.max), axis=1)))
