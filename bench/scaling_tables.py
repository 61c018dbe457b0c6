"""What the model of docs/threads.md says, as tables: for the terminal and for the page."""

from bench import scaling
from bench.tables import WORK, digits, markdown


def cells(entry, place) -> list[list[str]]:
    """Return the header and a row per number of threads: the model's terms in milliseconds."""
    names = list(scaling.terms(entry, place, 1))
    table = [["threads", "rows each", *names, "epoch", "speedup", "measured",
              "model / measured", "largest loss"]]  # fmt: skip
    measured = {n: entry[side]["works"][place]["epoch"] for n, side in ((1, "one"), (2, "two"))}
    one = sum(scaling.terms(entry, place, 1).values())
    for n in scaling.COUNTS:
        costs = scaling.terms(entry, place, n)
        total, losses = sum(costs.values()), scaling.losses(entry, place, n)
        times = [digits(1e3 * cost) for cost in (*costs.values(), total)]
        compared = ["-", "-"]
        if n in measured:
            compared = [digits(1e3 * measured[n]), f"{total / measured[n]:.2f}"]
        most = max(losses, key=losses.__getitem__) if n > 1 else "-"
        rows = f"{scaling.ROWS[place].batch / n:.0f}"
        table.append([str(n), rows, *times, f"{one / total:.2f}", *compared, most])
    return table


def line(entry) -> str:
    """Return a sentence on the measured costs that the model is built from."""
    one, two = entry["one"], entry["two"]
    nearest = two["works"][0]["handed"][0]
    lines = two["works"][0]["moved"]["between"] / scaling.COUNTS[1] / 64
    return (
        f"a barrier between two threads takes {1e9 * two['barrier']:.0f} ns; another core's cache "
        f"line takes {1e9 * nearest['read'] / lines:.1f} ns longer to read than one's own and "
        f"{1e9 * nearest['written'] / lines:.1f} ns longer to write; one core reads and writes "
        f"memory at {1e-9 * one['bandwidth']:.0f} GB/s, two at {1e-9 * two['bandwidth']:.0f}"
    )


def block(entry) -> str:
    """Return the generated part of docs/threads.md, in Markdown."""
    parts = [f"Measured {entry['date']} on {entry['cpu']}: {line(entry)}."]
    for place, work in enumerate(scaling.ROWS):
        parts += [f"{WORK[work.name].label}, milliseconds per epoch:"]
        parts += [markdown(cells(entry, place))]
    floor = scaling.memory_floor(entry, len(scaling.ROWS) - 1)
    parts.append(
        "If all cores together had no more memory bandwidth than two have, Adam's state alone "
        f"would take {digits(1e3 * floor)} ms per epoch of the last network, on any number of "
        "threads."
    )
    return "\n\n".join(parts)
