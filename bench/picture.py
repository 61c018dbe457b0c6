"""The pictures: the training table, a panel per number of threads, and an epoch's growth."""

from bench import growth
from bench.contenders import CONTENDERS
from bench.peers import PEERS
from bench.tables import WORK, digits, exponents, threads_label

# Okabe and Ito's colors, which color-blind readers can tell apart; the shapes serve in print.
STYLES = {
    "fastnn": ("#D55E00", "o"),
    "fastnn_shuffled": ("#D55E00", "X"),
    "numpy": ("#0072B2", "s"),
    "sklearn": ("#E69F00", "^"),
    "torch": ("#CC79A7", "D"),
    "jax_step": ("#56B4E9", "v"),
    "jax_scan": ("#009E73", "P"),
}

STYLES_TABULAR = {
    "fast": ("#D55E00", "o"),
    "accurate": ("#D55E00", "X"),
    "mlp": ("#E69F00", "^"),
    "hist": ("#009E73", "P"),
    "lightgbm": ("#0072B2", "v"),
    "catboost": ("#000000", "s"),
    "td": ("#CC79A7", "D"),
    "td_s": ("#CC79A7", "d"),
}
ERRORS = {
    "regression": "RMSE / deviation of the target",
    "classification": "share of rows that are wrong",
}

# A fixed salt and no date: the files change only when the numbers do.
SETTINGS = {"svg.hashsalt": "fastnn", "svg.fonttype": "none", "font.size": 9}


def draw(entries, path) -> None:
    """Write the picture of the float32 training entries that fastnn has a time in."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    entries = [e for e in entries if e["dtype"] == "float32" and "fastnn" in e["peers"]]
    panels = sorted({entry["threads"] for entry in entries})
    works = [name for name in WORK if any(entry["work"] == name for entry in entries)]
    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(
            1,
            len(panels),
            figsize=(10, 1.4 + 0.62 * len(works)),
            sharex=True,
            sharey=True,
            squeeze=False,
        )
        for axis, threads in zip(axes[0], panels, strict=True):
            for entry in entries:
                if entry["threads"] == threads:
                    _row(axis, works.index(entry["work"]), entry["peers"])
            axis.set_title(threads_label(threads))
            axis.set_xlabel("time of an epoch, fastnn = 1 (log scale; right is slower)")
            axis.set_xscale("log")
            ticks = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
            axis.set_xticks(ticks, [f"{tick}x" for tick in ticks])
            axis.minorticks_off()
            axis.grid(axis="x", color="0.9", linewidth=0.6)
            axis.set_axisbelow(True)
            axis.spines[["top", "right", "left"]].set_visible(False)
            axis.tick_params(axis="y", length=0)
            axis.set_ylim(len(works) - 0.5, -0.5)
            labels = [WORK[name].label.replace(", ", "\n", 1) for name in works]
            axis.set_yticks(range(len(works)), labels)
        ratios = [ratio for entry in entries for ratio in _ratios(entry["peers"]).values()]
        axes[0][0].set_xlim(0.75 * min(ratios), 1.3 * max(ratios))
        handles, names = axes[0][0].get_legend_handles_labels()
        unique = dict(zip(names, handles, strict=True))
        order = [peer.name for peer in PEERS.values() if peer.name in unique]
        figure.legend(
            [unique[name] for name in order], order, loc="upper center", ncols=6, frameon=False
        )
        figure.tight_layout(rect=(0, 0, 1, 0.94))
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _ratios(peers) -> dict[str, float]:
    """Return time over fastnn's time for each contender that did the same work."""
    own = peers["fastnn"]["median"]
    return {name: entry["median"] / own for name, entry in peers.items() if entry["agrees"]}


def _row(axis, place, peers) -> None:
    """Draw a work's contenders on one line: fastnn last and largest, with its time above."""
    ratios = _ratios(peers)
    axis.plot([min(ratios.values()), max(ratios.values())], [place] * 2, color="0.75", linewidth=1)
    for name in reversed(PEERS):
        if name in ratios:
            color, marker = STYLES[name]
            axis.plot(
                ratios[name],
                place,
                marker,
                color=color,
                markersize=9 if name == "fastnn" else 7,
                markeredgecolor="white",
                markeredgewidth=0.6,
                linestyle="none",
                label=PEERS[name].name,
            )
    axis.annotate(
        f"{digits(1e3 * peers['fastnn']['median'])} ms",
        (1, place),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        color=STYLES["fastnn"][0],
    )


def draw_growth(entry, path) -> None:
    """Write the picture of a growth entry: time against rows and against parameters."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True)
        for axis, kind in zip(axes, ("rows", "parameters"), strict=True):
            _growth_panel(axis, kind, entry[kind])
        axes[0].set_ylabel(f"time of an epoch, {threads_label(entry['threads'])}")
        ticks = {1e-3: "1 ms", 1e-2: "10 ms", 1e-1: "100 ms", 1: "1 s", 10: "10 s"}
        axes[0].set_yticks(list(ticks), list(ticks.values()))
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="upper center", ncols=5, frameon=False
        )
        figure.tight_layout(rect=(0, 0, 1, 0.93))
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def draw_tabular(summary, path) -> None:
    """Write the picture of tabular means: error against time of a fit, a panel per task."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib import ticker

    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(1, 2, figsize=(10, 4.4))
        for axis, task in zip(axes, ("regression", "classification"), strict=True):
            for name, row in summary.items():
                if task in row:
                    _tabular_point(axis, name, row[f"{task}, s"], row[task])
            axis.set_title(f"{task}: {ERRORS[task]}")
            axis.set_xlabel("seconds of a fit, geometric mean (log scale)")
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
            axis.minorticks_off()
            axis.margins(0.2, 0.1)
            axis.grid(color="0.9", linewidth=0.6)
            axis.set_axisbelow(True)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("error, geometric mean over the sets")
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _tabular_point(axis, name, seconds, error) -> None:
    color, marker = STYLES_TABULAR[name]
    axis.plot(seconds, error, marker, color=color, markersize=8, markeredgecolor="white")
    axis.annotate(
        CONTENDERS[name].name,
        (seconds, error),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        color=color,
    )


def _growth_panel(axis, kind, rows) -> None:
    """Draw each contender's line, and fastnn's exponents between its points."""
    for name, label in growth.NAMES.items():
        points = [(r["size"], r["peers"][name]["median"]) for r in rows if name in r["peers"]]
        if points:
            color, marker = STYLES[name]
            line = ":" if name.endswith("shuffled") else "-"
            axis.plot(*zip(*points, strict=True), line, marker=marker, color=color, label=label)
    sizes = [row["size"] for row in rows]
    times = [row["peers"]["fastnn"]["median"] for row in rows]
    for place, power in enumerate(exponents(rows, "fastnn")):
        middle = [(values[place] * values[place + 1]) ** 0.5 for values in (sizes, times)]
        axis.annotate(
            f"{power:.2f}",
            middle,
            xytext=(6, -12),
            textcoords="offset points",
            color=STYLES["fastnn"][0],
        )
    last = [times[-1] * size / sizes[-1] for size in sizes]
    axis.plot(sizes, last, color="0.7", linewidth=1, zorder=0, label="linear, to the last point")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel(growth.WHAT[kind])
    axis.grid(color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
