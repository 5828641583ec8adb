"""Description of matplotlib figures as the charts of the Daytona Toolbox API.

Every number is finite, the value of a bar is text, dates are numbers with their text in the tick
labels: the SDKs' models accept nothing else.
"""

# ruff: noqa: B905 - the sandbox may have Python 3.8

from __future__ import annotations

import base64
import io
import json
import math
from typing import Any

BOXES = "_toolbox_boxes"


def patch(pyplot: Any, write: Any) -> None:
    """Make ``pyplot.show`` describe every open figure before it shows them."""
    from matplotlib.axes import Axes

    show, bxp = pyplot.show, Axes.bxp

    def noted_bxp(self: Any, bxpstats: Any, *args: Any, **kwargs: Any) -> Any:
        bxpstats = list(bxpstats)
        vertical = kwargs.get("orientation", "vertical") == "vertical"
        vertical = vertical and kwargs.get("vert") is not False
        setattr(self, BOXES, [*getattr(self, BOXES, []), (bxpstats, vertical)])
        return bxp(self, bxpstats, *args, **kwargs)

    def noted_show(*args: Any, **kwargs: Any) -> Any:
        for number in pyplot.get_fignums():
            try:
                chart = describe(pyplot.figure(number))
                data = json.dumps({"type": "chart", "value": chart}, allow_nan=False)
                write(data.encode("utf-8", "replace") + b"\n")
            except Exception:
                pass  # The program must not fail because of a description it didn't request.
        try:
            from matplotlib import get_backend

            if get_backend().lower() not in ("agg", "pdf", "ps", "svg", "cairo", "template"):
                return show(*args, **kwargs)
        finally:
            pyplot.close("all")

    Axes.bxp = noted_bxp  # type: ignore[method-assign]
    pyplot.show = noted_show


def describe(figure: Any) -> Any:
    """Return the chart of a figure."""
    figure.canvas.draw()  # Ticks have no labels until it is drawn.
    used = [ax for ax in figure.axes if ax.has_data() and ax.get_label() != "<colorbar>"]
    if len(used) == 1:
        chart = describe_axes(used[0])
    elif used:
        title = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
        children = [describe_axes(ax) for ax in used]
        chart = {"type": "composite_chart", "title": title, "elements": children}
    else:
        chart = {"type": "unknown", "elements": []}
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    chart["png"] = base64.b64encode(buffer.getvalue()).decode("ascii")
    return without_empty(chart)


def without_empty(chart: Any) -> Any:
    """Return the chart without empty texts and lists, except those the models need."""
    return {
        name: value
        for name, value in chart.items()
        if name in ("type", "elements") or value not in ("", [], None)
    }


def describe_axes(ax: Any) -> Any:
    """Return the chart of one pair of axes."""
    kind, elements, vertical = find_elements(ax)
    chart = {"type": kind, "title": ax.get_title(), "elements": elements}
    x, y = describe_axis(ax.xaxis, "x"), describe_axis(ax.yaxis, "y")
    if not vertical:
        # Horizontal bars and boxes are described as if they were vertical.
        x["x_label"], y["y_label"] = y["y_label"], x["x_label"]
    if kind != "pie":
        chart.update(x)
        chart.update(y)
    return without_empty(chart)


def find_elements(ax: Any) -> Any:
    """Return the type of a chart, its elements, and whether it is vertical."""
    from matplotlib.collections import PathCollection
    from matplotlib.container import BarContainer
    from matplotlib.patches import Wedge

    if boxes := getattr(ax, BOXES, None):
        return "box_and_whisker", list(each_box(boxes, ax)), boxes[0][1]
    if wedges := [patch for patch in ax.patches if isinstance(patch, Wedge)]:
        return "pie", [describe_wedge(wedge) for wedge in wedges], True
    if bars := [each for each in ax.containers if isinstance(each, BarContainer)]:
        vertical = getattr(bars[0], "orientation", "vertical") != "horizontal"
        return "bar", list(each_bar(bars, ax, vertical)), vertical
    if clouds := [each for each in ax.collections if isinstance(each, PathCollection)]:
        return "scatter", [describe_cloud(cloud) for cloud in clouds], True
    if lines := [line for line in ax.lines if not is_guide(line)]:
        return "line", [describe_line(line) for line in lines], True
    return "unknown", [], True


def describe_axis(axis: Any, name: Any) -> Any:
    """Return label, ticks and scale of one axis."""
    low, high = sorted(axis.get_view_interval())
    ticks, labels = [], []
    for tick, label in zip(axis.get_ticklocs(), axis.get_ticklabels()):
        if low <= tick <= high and math.isfinite(tick):
            ticks.append(number(tick))
            labels.append(label.get_text())
    return {
        name + "_label": axis.get_label_text(),
        name + "_ticks": ticks,
        name + "_tick_labels": labels,
        name + "_scale": scale(axis, ticks, labels),
    }


def scale(axis: Any, ticks: Any, labels: Any) -> Any:
    """Return the kind of an axis."""
    converter = axis.get_converter() if hasattr(axis, "get_converter") else axis.converter
    if "Date" in type(converter).__name__:
        return "datetime"
    if axis.get_scale() != "linear":
        return axis.get_scale()
    counted = bool(ticks) and ticks == list(range(len(ticks)))
    return "categorical" if counted and not all(map(is_number, labels)) else "linear"


def is_number(text: Any) -> Any:
    """Report whether a tick's label is its number, in any format."""
    try:
        float(text.replace("\u2212", "-"))
    except ValueError:
        return False
    return True


def number(value: Any) -> Any:
    """Return a plain number: an int if it is whole."""
    value = float(value)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def name_of(artist: Any) -> Any:
    """Return the label set by the program; those with a leading underscore are matplotlib's own."""
    label = str(artist.get_label())
    return "" if label.startswith("_") else label


def points(xs: Any, ys: Any) -> Any:
    """Return the pairs that are finite."""
    return [
        [number(x), number(y)]
        for x, y in zip(xs, ys)
        if math.isfinite(float(x)) and math.isfinite(float(y))
    ]


def is_guide(line: Any) -> Any:
    """Report whether a line has two points and is parallel to an axis, as axhline draws it."""
    xs, ys = list(line.get_xdata(orig=False)), list(line.get_ydata(orig=False))
    return len(xs) == 2 and (xs[0] == xs[1] or ys[0] == ys[1])


def describe_line(line: Any) -> Any:
    """Return a line's name and points."""
    found = points(line.get_xdata(orig=False), line.get_ydata(orig=False))
    return {"label": name_of(line), "points": found}


def describe_cloud(cloud: Any) -> Any:
    """Return a scatter's name and points."""
    xs, ys = zip(*cloud.get_offsets().tolist()) if len(cloud.get_offsets()) else ((), ())
    pairs = [(x, y) for x, y in zip(xs, ys) if x is not None and y is not None]
    return {"label": name_of(cloud), "points": points(*zip(*pairs)) if pairs else []}


def describe_wedge(wedge: Any) -> Any:
    """Return a slice of a pie; angles in degrees."""
    angle, radius = abs(wedge.theta2 - wedge.theta1), wedge.r
    return {"label": name_of(wedge), "angle": number(angle), "radius": number(radius)}


def each_bar(containers: Any, ax: Any, vertical: Any) -> Any:
    """Yield every bar, labeled by the tick it belongs to."""
    axis = ax.xaxis if vertical else ax.yaxis
    texts = {
        round(float(tick), 6): label.get_text()
        for tick, label in zip(axis.get_ticklocs(), axis.get_ticklabels())
    }
    for container in containers:
        for bar in container:
            start, width = (
                (bar.get_x(), bar.get_width()) if vertical else (bar.get_y(), bar.get_height())
            )
            value = bar.get_height() if vertical else bar.get_width()
            if not math.isfinite(float(value)):
                continue
            middle = round(float(start + width / 2), 6)
            label = texts.get(middle) or nearest(texts, middle, width / 2) or str(number(middle))
            yield {"label": label, "group": name_of(container), "value": str(number(value))}


def nearest(texts: Any, place: Any, reach: Any) -> Any:
    """Return the label of the tick nearest to a bar of a group."""
    near = [(abs(tick - place), text) for tick, text in texts.items() if text]
    best = min(near, default=(reach + 1, ""))
    return best[1] if best[0] <= abs(reach) * 4 else ""


def each_box(boxes: Any, ax: Any) -> Any:
    """Yield every box, by the statistics it was drawn from."""
    for stats, _ in boxes:
        for index, box in enumerate(stats):
            element = {
                "label": str(box.get("label") or index + 1),
                "min": box["whislo"],
                "first_quartile": box["q1"],
                "median": box["med"],
                "third_quartile": box["q3"],
                "max": box["whishi"],
            }
            finite = {
                key: number(value) if key != "label" else value
                for key, value in element.items()
                if key == "label" or math.isfinite(float(value))
            }
            outliers = [number(v) for v in box.get("fliers", ()) if math.isfinite(float(v))]
            yield {**finite, "outliers": outliers}
