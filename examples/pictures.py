"""What the examples share: arguments, and pictures if matplotlib is installed."""

import argparse
from pathlib import Path

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullFormatter
except ImportError:
    pyplot = None

_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.size": 9,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "fastnn",
}


def arguments(text, **options):
    """Return the command line's arguments: where pictures go, and whether to run a quick trial.

    `options` are numbers that the command line may change, with what they are without that.
    """
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("directory", nargs="?", default="docs/pictures", type=Path)
    parser.add_argument("--quick", action="store_true", help="a few epochs, as a trial run")
    for name, number in options.items():
        parser.add_argument(
            f"--{name}", type=type(number), default=number, help="(default: %(default)s)"
        )
    return parser.parse_args()


def panels(columns, rows=1, width=3.6, height=2.9, **settings):
    """Return a figure and the list of its axes, or None twice without matplotlib."""
    if pyplot is None:
        return None, None
    pyplot.rcParams.update(_STYLE)
    size = (width * columns, height * rows)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=size, layout="constrained", squeeze=False, **settings
    )
    return figure, list(axes.flat)


def decimals(axis):
    """Label a logarithmic axis that spans a decade or two with plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 6)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def save(figure, directory, name):
    """Write a figure as SVG; the same numbers give the same bytes."""
    if figure is None:
        return
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    print(f"picture: {path}")
