"""Run the benchmarks, print and store the results, and update the README and its pictures."""

import argparse
import importlib.util
import json
import sys

from bench import calls, estimators, extras, growth, memory, scaling, sets, startup, tables, tabular
from bench import scaling_tables as scaled
from bench.contenders import CONTENDERS
from bench.measure import ROOT, cores_allowed, in_process, machine
from bench.peers import PEERS
from bench.prediction import PREDICTORS
from bench.stored import RESULTS, as_json, load, store, today
from bench.workloads import WORKS

SECTIONS = (
    "training", "extras", "prediction", "many", "cluster", "hierarchical", "matmul", "kernels",
    "startup", "memory", "growth", "scaling", "estimators", "calls", "tabular", "ablation",
    "defaults", "embeddings", "thin", "bfloat16", "ranks",
)  # fmt: skip
BUILDS = {
    "host": {},
    "avx2": {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma",
    },
}
"""What Numba is told about the processor; the other libraries detect it themselves."""
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "training.svg"
GROWTH = ROOT / "docs" / "growth.svg"
SCALING = ROOT / "docs" / "threads.md"
TABULAR = ROOT / "docs" / "tabular.svg"
APART = {"estimators": "scikit-learn.md", "calls": "decisions.md", "tabular": "tabular.md",
         "ablation": "ablation.md", "defaults": "defaults.md",
         "embeddings": "embeddings.md", "thin": "thin.md",
         "bfloat16": "bfloat16.md", "ranks": "scaling.md"}  # fmt: skip
"""Sections with a file of results of their own, of whatever machine they were measured on last, and
the pages that show them."""


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m fastnn bench",
        description="Time fastnn against NumPy and the other installed libraries, store the "
        "results, and update the README's numbers and pictures.",
    )
    names = [work.name for work in WORKS]
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--rows", nargs="+", choices=names, default=names, metavar="WORK",
                        help="training rows: " + ", ".join(names))  # fmt: skip
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="default: 1 2")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--build", choices=list(BUILDS), default="host",
                        help="build of fastnn's kernels in training (default: host)")  # fmt: skip
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS),
                        help="time only these, and store nothing")  # fmt: skip
    parser.add_argument("--sets", nargs="+", choices=list(sets.SETS), default=list(sets.SETS),
                        metavar="SET", help="tabular sets: " + ", ".join(sets.SETS))  # fmt: skip
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS),
                        default=list(CONTENDERS), help="who learns them")  # fmt: skip
    parser.add_argument("--afresh", action="store_true",
                        help="fit also what tabular results are stored of")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=11, help="rounds to measure (default: 11)")
    parser.add_argument("--quick", action="store_true", help="3 short rounds, nothing stored")
    parser.add_argument("--no-readme", action="store_true", help="leave README and pictures alone")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        arguments.rounds = min(arguments.rounds, 3)
    return arguments


def run_training(arguments, threads, common, results) -> None:
    peers = [name for name in arguments.peers if PEERS[name].installed]
    for name in arguments.peers:
        if name not in peers:
            print(f"{PEERS[name].name} is not installed: skipped")
    print(
        f"training, {arguments.dtype}, {arguments.build}: milliseconds per epoch, medians of "
        f"{arguments.rounds}\n"
        "next: the fastest other's time / fastnn's; GF/s: the speed of fastnn's products"
    )
    for count in threads:
        print(f"\nthreads: {count}\n{tables.training_line()}", flush=True)
        for work in arguments.rows:
            found = in_process(
                "bench.training",
                count,
                work=work,
                dtype=arguments.dtype,
                rounds=arguments.rounds,
                peers=peers,
                shortest=0.03 if arguments.quick else 0.2,
                least=1 if arguments.quick else 3,
                environment=BUILDS[arguments.build],
            )
            entry = {"work": work, "threads": count, **common, "peers": found}
            store(results, tables.training_section(arguments), entry, ("work", "threads", "dtype"))
            print(tables.training_line(entry), flush=True)


def run_extras(arguments, threads, common, results) -> None:
    for count in threads:
        entry = {"threads": count, **common, "rows": []}
        for work in extras.ROWS:
            for extra in extras.EXTRAS:
                found = in_process(
                    "bench.extras",
                    count,
                    work=work.name,
                    extra=extra.name,
                    dtype=arguments.dtype,
                    rounds=arguments.rounds,
                    shortest=0.03 if arguments.quick else 0.2,
                )
                entry["rows"].append({"work": work.name, "extra": extra.name, "peers": found})
        store(results, "extras", entry, ("threads", "dtype"))
        print(f"\nextras, {arguments.dtype}, threads: {count}; milliseconds per epoch")
        print(tables.plain(tables.extras_cells(entry)), flush=True)


def run_prediction(arguments, threads, common, results) -> None:
    peers = [name for name, peer in PREDICTORS.items() if peer.installed]
    entries = []
    for count in threads:
        entries.append(run_rows("prediction", arguments, count, common, results, peers=peers))
    print(f"\nprediction, {arguments.dtype}")
    print(tables.plain(tables.prediction_cells(entries)), flush=True)


def run_many(arguments, threads, common, results) -> None:
    for count in threads:
        peers = in_process(
            "bench.many",
            count,
            dtype=arguments.dtype,
            rounds=arguments.rounds,
            shortest=0.03 if arguments.quick else 0.2,
        )
        entry = {"threads": count, **common, "peers": peers}
        store(results, "many", entry, ("threads", "dtype"))
        print(f"\nmany networks: {tables.many_label(entry)}, seconds per epoch of all")
        print(tables.plain(tables.many_cells([entry])), flush=True)


def run_cluster(arguments, threads, common, results) -> None:
    if importlib.util.find_spec("distributed") is None:
        return
    count = max(threads)
    rounds = min(arguments.rounds, 3)  # each takes half a minute
    peers = in_process("bench.cluster", count, dtype=arguments.dtype, rounds=rounds, shortest=0)
    store(results, "cluster", {"threads": count, **common, "peers": peers}, ("threads", "dtype"))
    print(f"\nmany networks: {tables.cluster_line(count, peers)}", flush=True)


def run_hierarchical(arguments, threads, common, results) -> None:
    for count in threads:
        peers = in_process(
            "bench.hierarchical",
            count,
            dtype=arguments.dtype,
            rounds=min(arguments.rounds, 3),  # an epoch with the full softmax takes seconds
            shortest=0.1,
        )
        store(results, "hierarchical", {"threads": count, **common, "peers": peers},
              ("threads", "dtype"))  # fmt: skip
        print(f"\nmany classes: {tables.hierarchical_line(count, peers)}", flush=True)


def run_matmul(arguments, threads, common, results) -> None:
    one = None
    for count in threads:
        entry = run_rows("matmul", arguments, count, common, results)
        print_ratios(entry, "matmul", tables.matmul_cells(entry))
        ratios = tables.matmul_ratios(entry)
        print(f"geometric mean {tables.geometric_mean(ratios):.2f}, lowest {min(ratios):.2f}")
        one = entry if count == 1 else one
        if one and count > 1:
            scaling = tables.matmul_scaling(one, entry)
            print(f"speedup over 1 thread, large shapes: at least {min(scaling):.2f}")


def run_kernels(arguments, common, results) -> None:
    entry = run_rows("kernels", arguments, 1, common, results, shortest=0.005)
    print_ratios(entry, "kernels", tables.kernel_cells(entry))
    print(tables.kernel_summary(entry), flush=True)


def print_ratios(entry, section, cells) -> None:
    """Print a table with a column of ratios to NumPy."""
    about = f"{section}, {entry['dtype']}, threads: {entry['threads']}"
    print(f"\n{about}; ratio = NumPy's time / fastnn's")
    print(tables.plain(cells), flush=True)


def run_rows(section, arguments, count, common, results, shortest=0.02, **more) -> dict:
    """Run and store a section for one number of threads."""
    rows = in_process(
        f"bench.{section}",
        count,
        dtype=arguments.dtype,
        rounds=arguments.rounds,
        shortest=shortest / 4 if arguments.quick else shortest,
        **more,
    )
    entry = {"threads": count, **common, "rows": rows}
    store(results, section, entry, ("threads", "dtype"))
    return entry


def run_startup(arguments, results) -> None:
    rows = startup.measure(*((1, 1) if arguments.quick else (3, 3)))
    results["startup"] = {"date": today(), "rows": rows}
    print("\nseconds from process start to the end of the first epoch")
    print(tables.plain(tables.startup_cells(results["startup"])), flush=True)


def run_memory(arguments, results) -> None:
    rows = memory.ROWS // 5 if arguments.quick else memory.ROWS
    if reason := memory.obstacle(rows):
        print(f"\nmemory is skipped: {reason}")
        return
    results["memory"] = {"date": today(), **in_process("bench.memory", 1, rows=rows)}
    print("\nmemory: " + tables.memory_line(results["memory"]), flush=True)


def run_growth(arguments, threads, common, results) -> None:
    decades = list(growth.DECADES)[: 3 if arguments.quick else None]
    for count in threads:
        entry = {"threads": count, **common}
        for kind in ("rows", "parameters"):
            entry[kind] = in_process(
                "bench.growth",
                count,
                dtype=arguments.dtype,
                rounds=min(arguments.rounds, 5),
                shortest=0.02 if arguments.quick else 0.1,
                kind=kind,
                decades=decades,
            )
            print(f"\ngrowth with the {kind}: milliseconds per epoch, threads: {count}")
            print(tables.plain(tables.growth_cells(entry[kind])), flush=True)
        store(results, "growth", entry, ("threads", "dtype"))


def run_scaling(arguments, common, results) -> None:
    if cores_allowed() < 2:
        print("\nscaling is skipped: measuring costs between cores takes two cores")
        return
    entry = {**common, "cpu": results["machine"]["cpu"]}
    for side, count in (("one", 1), ("two", 2)):
        entry[side] = in_process(
            "bench.scaling",
            count,
            dtype=arguments.dtype,
            rounds=arguments.rounds,
            shortest=0.01 if arguments.quick else 0.05,
        )
    results["scaling"] = entry
    print(f"\nscaling: {scaled.line(entry)}")
    for place, work in enumerate(scaling.ROWS):
        print(f"\n{work.label}, milliseconds per epoch according to the model")
        print(tables.plain(scaled.cells(entry, place)), flush=True)


def run_estimators(arguments, threads, description) -> None:
    rounds = 2 if arguments.quick else estimators.SEEDS
    rows = []
    for count in threads:
        rows += in_process("bench.estimators", count, rounds=rounds)
    entry = {"machine": description, "date": today(), "rounds": rounds, "rows": rows}
    print("\nestimators: seconds of a whole fit")
    print(tables.plain(tables.estimator_cells(entry)), flush=True)
    if not arguments.quick:
        write_apart("estimators", as_json(entry), tables.estimator_block(entry))


def run_calls(arguments, description) -> None:
    peers = [name for name in ("torch",) if PEERS[name].installed and name in arguments.peers]
    given = {"dtype": arguments.dtype, "rounds": arguments.rounds, "peers": peers}
    rows = in_process("bench.calls", 1, shortest=0.02 if arguments.quick else 0.1, **given)
    entry = {"machine": description, "date": today(), "rounds": arguments.rounds, "rows": rows}
    print("\ncalls: microseconds, on one thread")
    print(tables.plain(calls.cells(entry)), flush=True)
    if not arguments.quick:
        write_apart("calls", as_json(entry), calls.block(entry))


def run_whole(section, arguments, threads, description) -> None:
    """Run a section whose module measures everything and says what it looks like."""
    module = importlib.import_module(f"bench.{section}")  # which may import fastnn
    found = module.run(threads, arguments.rounds, arguments.quick)
    entry = {"machine": description, "date": today(), "rounds": arguments.rounds, **found}
    print(f"\n{module.block(entry)}", flush=True)
    if not arguments.quick:
        write_apart(section, as_json(entry), module.block(entry))


def run_tabular(arguments, threads, description) -> None:
    """Go on from what is stored, whatever machine it is of: a run of everything takes hours."""
    installed = [name for name in arguments.contenders if CONTENDERS[name].installed]
    for name in arguments.contenders:
        if name not in installed:
            print(f"{CONTENDERS[name].name} is not installed: skipped")
    entry = resumed("tabular", arguments, threads, description)
    if arguments.afresh:
        entry["fits"] = [
            fit
            for fit in entry["fits"]
            if fit["set"] not in arguments.sets or fit["contender"] not in installed
        ]

    def save():
        if not arguments.quick:
            write_apart("tabular", tabular.text(entry), tabular.block(entry))

    tabular.run(entry, arguments.sets, installed, arguments.quick, save)
    if arguments.quick:
        return
    for half, what in tabular.FOR.items():
        print(f"\ntabular: sets {what}")
        print(tables.plain(tabular.summary_cells(entry, half)), flush=True)
    if not arguments.no_readme:
        from bench.picture import draw_tabular

        draw_tabular(tabular.summary(entry, "claim"), TABULAR)


def run_on_sets(section, arguments, threads, description) -> None:
    """Run a section that learns the sets for tuning."""
    module = importlib.import_module(f"bench.{section}")  # which may import fastnn
    entry = resumed(section, arguments, threads, description)
    if arguments.afresh:
        entry["fits"] = [fit for fit in entry["fits"] if fit["set"] not in arguments.sets]

    def save():
        if not arguments.quick:
            write_apart(section, module.text(entry), module.block(entry))

    module.run(entry, arguments.sets, arguments.quick, save)
    print(f"\n{module.block(entry)}", flush=True)


def resumed(section, arguments, threads, description) -> dict:
    """Return an entry with the sets and fits that are stored, unless this is a quick run."""
    entry = {"machine": description, "threads": max(threads), "sets": {}, "fits": []}
    if not arguments.quick and (path := results_apart(section)).is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        entry |= {key: stored[key] for key in ("sets", "fits")}
    return entry


def results_apart(section):
    return RESULTS.with_name(f"{section}.json")


def write_apart(section, stored, block) -> None:
    """Store a section's results in its file, and show them in its page."""
    results_apart(section).write_text(stored, encoding="utf-8")
    page = ROOT / "docs" / APART[section]
    text = tables.between_markers(page.read_text(encoding="utf-8"), block)
    page.write_text(text, encoding="utf-8")


def write_readme(results) -> None:
    """Write the numbers into the README and docs/threads.md, and draw the pictures."""
    from bench.picture import draw, draw_growth

    text = README.read_text(encoding="utf-8")
    README.write_text(tables.between_markers(text, tables.render(results)), encoding="utf-8")
    if entry := results.get("scaling"):
        text = SCALING.read_text(encoding="utf-8")
        block = scaled.block(entry)
        SCALING.write_text(tables.between_markers(text, block), encoding="utf-8")
    if results.get("training"):
        draw(results["training"], PICTURE)
    if results.get("growth"):
        draw_growth(results["growth"][0], GROWTH)


def main(argv=None) -> int:
    """Run what `argv` asks for; return 1 if any contender's weights disagreed, else 0."""
    arguments = parse(argv)
    description = machine()
    results = load(description)
    threads = [count for count in arguments.threads if count <= cores_allowed()]
    if left_out := sorted(set(arguments.threads) - set(threads)):
        print(f"this process may use {cores_allowed()} cores: skipped {left_out} threads")
    print(tables.machine_line(description), end="\n\n", flush=True)
    common = {"dtype": arguments.dtype, "date": today(), "rounds": arguments.rounds}
    runs = {
        "training": lambda: run_training(arguments, threads, common, results),
        "extras": lambda: run_extras(arguments, threads, common, results),
        "prediction": lambda: run_prediction(arguments, threads, common, results),
        "many": lambda: run_many(arguments, threads, common, results),
        "cluster": lambda: run_cluster(arguments, threads, common, results),
        "hierarchical": lambda: run_hierarchical(arguments, threads, common, results),
        "matmul": lambda: run_matmul(arguments, threads, common, results),
        "kernels": lambda: run_kernels(arguments, common, results),
        "startup": lambda: run_startup(arguments, results),
        "memory": lambda: run_memory(arguments, results),
        "growth": lambda: run_growth(arguments, threads, common, results),
        "scaling": lambda: run_scaling(arguments, common, results),
        "estimators": lambda: run_estimators(arguments, threads, description),
        "calls": lambda: run_calls(arguments, description),
        "tabular": lambda: run_tabular(arguments, threads, description),
        "ablation": lambda: run_on_sets("ablation", arguments, threads, description),
        "defaults": lambda: run_on_sets("defaults", arguments, threads, description),
        "embeddings": lambda: run_whole("embeddings", arguments, threads, description),
        "thin": lambda: run_whole("thin", arguments, threads, description),
        "bfloat16": lambda: run_whole("bfloat16", arguments, threads, description),
        "ranks": lambda: run_whole("ranks", arguments, threads, description),
    }
    stored = not arguments.quick and set(arguments.peers) == set(PEERS)
    stored = stored and not set(arguments.only) <= set(APART)
    for section, run in runs.items():
        if section in arguments.only:
            run()
            if stored:  # after every section: the next may take long
                RESULTS.parent.mkdir(exist_ok=True)
                RESULTS.write_text(as_json(results), encoding="utf-8")
    if stored and not arguments.no_readme:
        write_readme(results)
    compared = [*results.get("training", [])]
    compared += [row for entry in results.get("extras", []) for row in entry["rows"]]
    peers = [peer for entry in compared for peer in entry["peers"].values()]
    return 0 if all(peer["agrees"] for peer in peers) else 1


if __name__ == "__main__":
    sys.exit(main())
