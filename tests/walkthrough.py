"""The listing and the picture in docs/engine.md; ``python -m tests.walkthrough`` updates both."""

from pathlib import Path

import numpy as np

import fastnn

PAGE = Path(__file__).resolve().parent.parent / "docs" / "engine.md"
PICTURE = PAGE.with_name("engine.svg")
BEGIN, END = "<!-- listing:begin -->\n", "<!-- listing:end -->\n"


def explanation():
    """Explain a batch of 200-64-1, on one thread."""
    network = fastnn.Network(
        [fastnn.Dense(64, "relu"), fastnn.Dense(1)], loss="mae", optimizer="sgd", n_threads=1
    )
    return network.explain(
        np.zeros((20_000, 200), np.float32), np.zeros((20_000, 1), np.float32), batch_size=10
    )


def page():
    """Return the page with the listing as it is now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, f"{PAGE} lacks {BEGIN!r} or {END!r}"
    return f"{before}{BEGIN}```\n{explanation()}\n```\n{END}{after}"


def picture():
    """Return, as SVG, what two threads do in each step of the listing, from top to bottom."""
    colors = {"fetch": "#9ecae1", "loss": "#fdd0a2", "forward": "#a1d99b"}
    colors |= {"backward": "#fc9272", "update": "#bcbddc"}
    parts, y, phase = [], 34, 0

    def text(x, y, words, anchor="start", size=13):
        parts.append(
            f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}">{words}</text>'
        )

    def barrier(y):
        parts.append(f'<path d="M10 {y}H710" stroke="#333" stroke-width="2" />')
        text(710, y + 14, "barrier: each waits for the other", "end", 11)

    text(10, 22, "step")
    text(380, 22, "thread 1", "middle")
    text(600, 22, "thread 2", "middle")
    for step in explanation().steps:
        if step.phase != phase:
            barrier(y + 4)
            y, phase = y + 26, step.phase
        layer = "" if step.purpose.layer is None else f", layer {step.purpose.layer}"
        text(10, y + 15, step.kernel.replace("&", "+"))
        text(148, y + 15, f"{step.purpose.work}{layer}", size=11)
        for thread, x in enumerate((275, 495)):
            if step.threads == "one item" and thread == 1:
                continue  # thread 1 does it alone
            share = {"nothing": "all of it", "one item": "the one item"}.get(step.threads)
            if share is None:
                count, _, unit = step.threads.rpartition(" ")
                half = (10 if count == "batch" else int(count)) // 2
                whose = "" if count == "batch" else " of W" if unit == "rows" else " of b"
                share = f"{unit}{whose} {1 + thread * half} to {half + thread * half}"
            color = colors[step.purpose.work]
            parts.append(f'<rect x="{x}" y="{y}" width="210" height="21" rx="3" fill="{color}" />')
            text(x + 105, y + 15, share, "middle", 12)
        y += 24
    barrier(y + 4)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {y + 26}" width="720" '
        f'height="{y + 26}" font-family="sans-serif">\n<rect width="100%" height="100%" '
        f'fill="white" />\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
