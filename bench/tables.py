"""What the results look like: plain text for the terminal, Markdown for the README."""

import math

from bench import cluster, growth, hierarchical, many
from bench.peers import PEERS
from bench.prediction import PREDICTORS
from bench.workloads import WORKS

WORK = {work.name: work for work in WORKS}
LARGE = 4e7
"""Multiplications in a product that is large enough to gain from every thread."""
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def digits(value: float) -> str:
    """Return a number with three digits, or with all digits before the point if there are more."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def milliseconds(entry, per_second=1e3) -> str:
    """Return a contender's time, or the mark that replaces it."""
    if entry is None:
        return "-"
    return digits(per_second * entry["median"]) if entry["agrees"] else "differs"


def microseconds(entry) -> str:
    """Return the same in microseconds."""
    return milliseconds(entry, 1e6)


def speedup(peers) -> str:
    """Return how many times longer the fastest other contender takes."""
    others = [e["median"] for name, e in peers.items() if name != "fastnn" and e["agrees"]]
    if "fastnn" not in peers or not others:
        return "-"
    return f"{min(others) / peers['fastnn']['median']:.2f}"


def training_cells(entries) -> list[list[str]]:
    """Return the header and a row of cells for each training entry."""
    names = [name for name in PEERS if any(name in entry["peers"] for entry in entries)]
    cells = [["work", "threads", *(PEERS[name].name for name in names), "next / fastnn"]]
    for entry in entries:
        label = WORK[entry["work"]].label
        if entry["dtype"] != "float32":
            label += f", {entry['dtype']}"
        times = [milliseconds(entry["peers"].get(name)) for name in names]
        cells.append([label, str(entry["threads"]), *times, speedup(entry["peers"])])
    return cells


def training_section(arguments) -> str:
    """Return the section that stores training with this dtype and build; the README shows one."""
    parts = ["training"]
    parts += [arguments.dtype] if arguments.dtype != "float32" else []
    parts += [arguments.build] if arguments.build != "host" else []
    return "_".join(parts)


def leads_line(name, entries) -> str:
    """Return a sentence on fastnn's lead over the next contender in another dtype or build."""
    leads = [speedup(entry["peers"]) for entry in entries]
    known = sorted(float(lead) for lead in leads if lead != "-")
    return (
        f"In {name.removeprefix('training_').replace('_', ', ').replace('avx2', 'an AVX2 build')}, "
        f"the fastest other contender takes {known[0]:.2f} to {known[-1]:.2f} times as long as "
        f"fastnn ({len(known)} of the rows above)."
    )


def training_line(entry=None) -> str:
    """Return a line of the terminal's table, or its heading, in at most 100 columns."""
    heads = [peer.name.replace("scikit-learn", "sklearn") for peer in PEERS.values()]
    heads += ["next", "GF/s"]
    cells = ["", *heads]
    if entry:
        work, peers = WORK[entry["work"]], entry["peers"]
        own = peers.get("fastnn")
        speed = digits(1e-9 * work.flops / own["median"]) if own else "-"
        times = [milliseconds(peers.get(name)) for name in PEERS]
        cells = [work.label.replace("batch ", "b"), *times, speedup(peers), speed]
    widths = [max(6, len(head)) + 1 for head in heads]
    numbers = (f"{cell:>{width}}" for cell, width in zip(cells[1:], widths, strict=True))
    return f"{cells[0]:<38}" + "".join(numbers)


def extras_cells(entry) -> list[list[str]]:
    """Return the header and a row of cells for each work with an extra."""
    cells = [["work", "extra", "fastnn", "JAX scan", "next / fastnn"]]
    for row in entry["rows"]:
        times = [milliseconds(row["peers"][name]) for name in ("fastnn", "jax_scan")]
        cells.append([WORK[row["work"]].label, row["extra"], *times, speedup(row["peers"])])
    return cells


def prediction_cells(entries) -> list[list[str]]:
    """Return the header and a row of cells for each number of rows: microseconds."""
    rows = [(entry, row) for entry in entries for row in entry["rows"]]
    names = [name for name in PREDICTORS if any(name in row["peers"] for _, row in rows)]
    heads = [PREDICTORS[name].name for name in names]
    cells = [["rows, microseconds", "threads", *heads, "next / fastnn"]]
    for entry, row in rows:
        times = [microseconds(row["peers"].get(name)) for name in names]
        cells.append([f"{row['rows']:,}", str(entry["threads"]), *times, speedup(row["peers"])])
    return cells


def matmul_cells(entry) -> list[list[str]]:
    """Return the header and a row for each shape: microseconds and ratios of the products."""
    cells = [["shape", *(f"{p} {what}" for p in ("nn", "tn", "nt") for what in ("us", "ratio"))]]
    rows: dict[str, list[str]] = {}
    for row in entry["rows"]:
        shape = "x".join(map(str, row["shape"]))
        shape = "call overhead" if shape == "1x1x1" else shape
        ours, ratio = row["fastnn"]["median"], row["numpy"]["median"] / row["fastnn"]["median"]
        rows.setdefault(shape, [shape]).extend([digits(1e6 * ours), f"{ratio:.2f}"])
    return cells + list(rows.values())


def matmul_ratios(entry) -> list[float]:
    """Return NumPy's time over fastnn's for each product of each shape."""
    return [
        row["numpy"]["median"] / row["fastnn"]["median"]
        for row in entry["rows"]
        if list(row["shape"]) != [1, 1, 1]
    ]


def matmul_scaling(one, many) -> list[float]:
    """Return how many times faster `many` threads are than one, for each large product."""
    return [
        before["fastnn"]["median"] / after["fastnn"]["median"]
        for before, after in zip(one["rows"], many["rows"], strict=True)
        if math.prod(before["shape"]) >= LARGE
    ]


def geometric_mean(values) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


ENOUGH = 0.8
"""The share of a copy's speed that a kernel should reach."""


def of_copy(row) -> float:
    """Return a kernel's speed in moving memory as a share of a copy's."""
    return row["copy"]["median"] / row["fastnn"]["median"]


def nanoseconds(row) -> float:
    """Return a kernel's time per element."""
    return 1e9 * row["fastnn"]["median"] / row["elements"]


def kernel_cells(entry) -> list[list[str]]:
    """Return the header and a row for each kernel and level.

    The columns are times, the ratio to NumPy, the speed as a share of a copy's, and the speed as a
    share of what limits the kernel: a copy, or its own arithmetic (its speed in L1) if slower.
    """
    cells = [
        ["kernel", "level", "elements", "fastnn us", "NumPy us", "ratio", "ns/element", "of copy",
         "of copy or L1"]
    ]  # fmt: skip
    arithmetic = {row["kernel"]: nanoseconds(row) for row in entry["rows"] if row["level"] == "L1"}
    for row in entry["rows"]:
        ours = row["fastnn"]["median"]
        theirs = row["reference"]["median"] if "reference" in row else None
        twin = [digits(1e6 * theirs), f"{theirs / ours:.1f}"] if theirs else ["-", "-"]
        speeds = [of_copy(row), max(of_copy(row), arithmetic[row["kernel"]] / nanoseconds(row))]
        cells.append(
            [row["kernel"], row["level"], f"{row['elements']:,}", digits(1e6 * ours), *twin]
            + [f"{nanoseconds(row):.3f}", *(f"{speed:.0%}" for speed in speeds)]
        )
    return cells


def kernel_summary(entry) -> str:
    """Return a line per cache level: how many kernels reach the speed they should."""
    lines = []
    for level in dict.fromkeys(row["level"] for row in entry["rows"]):
        shares = [of_copy(row) for row in entry["rows"] if row["level"] == level]
        reached = sum(share >= ENOUGH for share in shares)
        lines.append(f"{level}: {reached} of {len(shares)} at {ENOUGH:.0%} of a copy or more")
    return "\n".join(lines)


def startup_cells(entry) -> list[list[str]]:
    """Return the header and a row for each network: seconds."""
    cells = [["start", "import s", "warm s", "cold s"]]
    for row in entry["rows"]:
        times = [f"{row[what]['median']:.2f}" for what in ("import", "warm", "cold")]
        cells.append([WORK[row["work"]].label, *times])
    return cells


def threads_label(count) -> str:
    return f"{count} thread" + ("s" if count != 1 else "")


def many_label(entry) -> str:
    """Return what the section trains, and on how many threads."""
    return f"{many.NETWORKS} of {many.WORK.label}, {threads_label(entry['threads'])}"


def many_cells(entries) -> list[list[str]]:
    """Return the header and a row for each number of threads: seconds per epoch of all networks."""
    names = [name for name in many.NAMES if any(name in entry["peers"] for entry in entries)]
    cells = [["threads", *(many.NAMES[name] for name in names), "next / fastnn"]]
    for entry in entries:
        times = [
            "-" if peer is None else digits(peer["median"]) if peer["agrees"] else "differs"
            for peer in map(entry["peers"].get, names)
        ]
        cells.append([str(entry["threads"]), *times, speedup(entry["peers"])])
    return cells


def many_scaling(entries) -> str:
    """Return a sentence on how many times as fast fastnn is with the most threads."""
    medians = {entry["threads"]: entry["peers"]["fastnn"]["median"] for entry in entries}
    most = max(medians)
    if most == 1 or 1 not in medians:
        return ""
    return f"{medians[1] / medians[most]:.2f} times as fast on {most} threads as on one."


def cluster_line(threads, peers) -> str:
    """Return a sentence comparing a cluster of so many workers with threads of one process."""
    here, there = peers["fit_many"]["median"], peers["Dask"]["median"]
    same = "same bits" if all(peer["agrees"] for peer in peers.values()) else "other bits"
    return (
        f"{cluster.LABEL}, seconds: {threads_label(threads)} {here:.1f}, {threads} Dask workers "
        f"{there:.1f} ({here / there:.3f} times as fast, {same})"
    )


def hierarchical_line(threads, peers) -> str:
    """Return a sentence comparing an epoch with either softmax."""
    times = ", ".join(f"{name} {digits(peer['median'])}" for name, peer in peers.items())
    return (
        f"{hierarchical.LABEL}, {threads_label(threads)}, seconds an epoch: {times} "
        f"(softmax / fastnn: {peers['softmax']['median'] / peers['fastnn']['median']:.0f})"
    )


def memory_line(entry) -> str:
    """Return a sentence on the private memory of training from a file."""
    return (
        f"training from a memory-mapped file of {entry['file']:,.0f} MB ({entry['rows']:,} rows) "
        f"takes at most {entry['most']:.0f} MB of private memory, {entry['imported']:.0f} MB of "
        "which were in use before training"
    )


def exponents(rows, name) -> list[float]:
    """Return the exponents with which a contender's time grows from each size to the next."""
    found = []
    for before, after in zip(rows, rows[1:], strict=False):
        if name in after["peers"]:
            times = after["peers"][name]["median"] / before["peers"][name]["median"]
            found.append(math.log(times) / math.log(after["size"] / before["size"]))
    return found


def growth_cells(rows) -> list[list[str]]:
    """Return the header and a row for each size: milliseconds, and how fastnn's time grows."""
    names = [name for name in growth.NAMES if name in rows[0]["peers"]]
    cells = [["size", *(growth.NAMES[name] for name in names), "fastnn's exponent"]]
    for row, exponent in zip(rows, [None, *exponents(rows, "fastnn")], strict=True):
        peers = [row["peers"].get(name) for name in names]
        times = [digits(1e3 * peer["median"]) if peer else "-" for peer in peers]
        cells.append([f"{row['size']:,}", *times, "" if exponent is None else f"{exponent:.2f}"])
    return cells


def growth_line(entry) -> str:
    """Return a sentence on how fastnn's time grows."""
    parts = []
    for kind in ("rows", "parameters"):
        powers = ", ".join(f"{power:.2f}" for power in exponents(entry[kind], "fastnn"))
        first, last = (f"{entry[kind][place]['size']:,}" for place in (0, -1))
        parts.append(f"{powers} from {first} to {last} {kind}")
    return (
        f"An epoch's time grows as a power of the size. The exponents, decade by decade, are "
        f"{parts[0]} and {parts[1]} ({threads_label(entry['threads'])})."
    )


def plain(cells) -> str:
    """Lay cells out in columns: the first aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append(" ".join([row[0].ljust(widths[0]), *rest]).rstrip())
    return "\n".join(lines)


def markdown(cells) -> str:
    """Lay cells out as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|---" + "|---:" * (len(cells[0]) - 1) + "|")
    return "\n".join(lines)


def machine_line(machine) -> str:
    versions = ", ".join(
        f"{name} {machine[key]}"
        for key, name in (
            ("python", "Python"),
            ("numpy", "NumPy"),
            ("numba", "Numba"),
            ("scikit-learn", "scikit-learn"),
            ("torch", "PyTorch"),
            ("jax", "JAX"),
        )
        if machine.get(key, "not installed") != "not installed"
    )
    cores = f"{machine['cores']} core" + ("s" if machine["cores"] != 1 else "")
    return f"{machine['cpu']}, {machine['simd']}, {cores}, {machine['system']}; {versions}."


def estimator_cells(entry) -> list[list[str]]:
    """Return the header and a row for each data set, setting and number of threads."""
    cells = [
        ["data", "setting", "threads", "fastnn, s", "scikit-learn, s", "ratio",
         "epochs", "their epochs", "score", "their score"]
    ]  # fmt: skip
    for row in entry["rows"]:
        ours, theirs = row["fastnn"], row["sklearn"]
        cells.append(
            [
                row["set"],
                row["setting"],
                str(row["threads"]),
                digits(ours["seconds"]),
                digits(theirs["seconds"]),
                f"{theirs['seconds'] / ours['seconds']:.1f}",
                f"{ours['iterations']:.0f}",
                f"{theirs['iterations']:.0f}",
                f"{ours['score']:.3f}",
                f"{theirs['score']:.3f}",
            ]
        )
    return cells


def estimator_block(entry) -> str:
    """Return the generated part of docs/scikit-learn.md."""
    where = machine_line(entry["machine"])
    about = f"Medians over {entry['rounds']} seeds, {entry['date']}, on {where}"
    return f"{about}\n\n{markdown(estimator_cells(entry))}"


def render(results) -> str:
    """Return the README's generated part, in Markdown, from the stored results alone."""
    parts = []
    if training := results.get("training"):
        days = sorted({entry["date"] for entry in training})
        rounds = sorted({entry["rounds"] for entry in training})
        taken = " to ".join(map(str, sorted({rounds[0], rounds[-1]})))
        parts.append(
            "Milliseconds per epoch. All contenders get the same data, starting weights, batches "
            "and update, and their final weights must agree. Medians of "
            f"{taken} alternating rounds, with threads pinned alike. The last column is the "
            "fastest other contender's time divided by fastnn's."
        )
        parts.append(markdown(training_cells(training)))
        notes = [
            f"{peer.name}: {peer.note}"
            for name, peer in PEERS.items()
            if peer.note and any(name in entry["peers"] for entry in training)
        ]
        if notes:
            parts.append("; ".join(notes) + ".")
        span = " to ".join(sorted({days[0], days[-1]}))
        parts.append("![Time of an epoch](docs/training.svg)")
        parts.append(f"Measured {span} on {machine_line(results['machine'])}")
    for name in ("training_float64", "training_avx2"):
        if entries := results.get(name):
            parts.append(leads_line(name, entries))
    if prediction := results.get("prediction"):
        parts.append(
            "Prediction from Python with a trained 200-64-64-1 network, arrays in and out, "
            "medians in microseconds:"
        )
        parts.append(markdown(prediction_cells(prediction)))
    if entries := results.get("many"):
        parts.append(
            f"Many networks on the same data with `fit_many`: {many.NETWORKS} of "
            f"{many.WORK.label}, {entries[0]['dtype']}, seconds per epoch of all. "
            f"{many_scaling(entries)}".strip()
        )
        parts.append(markdown(many_cells(entries)))
    for entry in results.get("matmul", []):
        ratios = matmul_ratios(entry)
        threads = threads_label(entry["threads"])
        parts.append(
            f"Matrix products on {threads}, {entry['dtype']}, called from Python, are "
            f"{geometric_mean(ratios):.2f} times as fast as NumPy's BLAS in the same run "
            f"(geometric mean of {len(ratios)}; the least is {min(ratios):.2f})."
        )
    if startup := results.get("startup"):
        slowest = {
            what: max(row[what]["median"] for row in startup["rows"])
            for what in ("import", "warm", "cold")
        }
        parts.append(
            f"A new process has loaded fastnn and Numba after {slowest['import']:.2f} s and "
            f"finished its first epoch after {slowest['warm']:.2f} s, or {slowest['cold']:.1f} s "
            "if nothing is compiled yet."
        )
    if entry := results.get("memory"):
        line = memory_line(entry)
        parts.append(f"{line[0].upper()}{line[1:]}.")
    if entries := results.get("growth"):
        parts.append(growth_line(entries[0]))
        parts.append("![Growth of an epoch's time](docs/growth.svg)")
    return "\n\n".join(parts)


def between_markers(text: str, block: str | None = None) -> str:
    """Return the text between the markers, or the whole page with `block` put there."""
    before, begin, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must hold the lines {BEGIN} and {END}")
    if block is None:
        return inside.strip()
    return f"{before}{begin}\n{block}\n{end}{after}"
