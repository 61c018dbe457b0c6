"""Tables as they are and default settings: error and time of fastnn.tabular and of other learners.

Each contender has a process of its own for the whole run, so that imports are not timed, the
threads of one do not disturb another, and one that crashes or hangs costs one fit.
"""

import contextlib
import datetime
import json
import os
import subprocess
import sys
import threading
import time
import traceback

from bench import sets, tables
from bench.contenders import CONTENDERS, texts
from bench.measure import REST, ROOT, pinned

SPLITS = 3
LIMIT = 900
"""Seconds after which a fit is given up."""
QUICK = 2_000
"""The most rows of a set in a quick run."""
SHIFT = 0.01
"""Added to errors in geometric means, as in RealMLP's paper: 0 is not infinitely good."""
NUMBERS = ("error", "log_loss", "seconds", "cpu_seconds")
FOR = {"claim": "not looked at while tuning", "tuning": "looked at while tuning"}
TASKS = {"regression": sets.REGRESSION, "classification": sets.CLASSIFICATION}


def task_of(name: str) -> str:
    return next(task for task, those in TASKS.items() if sets.SETS[name] in those)


class Worker:
    """A contender's process, which is started again after it crashed or was stopped."""

    def __init__(self, name: str, threads: int):
        self.name, self.threads, self.process = name, threads, None

    def fit(self, table: str, seed: int) -> dict:
        """Return what a fit gave and took, or {"failed": why}."""
        if self.process is None:
            self.process = self._start()
        started, timer = time.monotonic(), threading.Timer(LIMIT, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(json.dumps([table, seed]) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:  # it ended after its last answer
            answer = ""
        finally:
            timer.cancel()
        if answer:
            return json.loads(answer)
        status = self.stop()
        if time.monotonic() - started >= LIMIT:
            return {"failed": f"took more than {LIMIT} s"}
        return {"failed": f"ended with status {status}"}

    def stop(self) -> int | None:
        """Let the process end, and return its status."""
        process, self.process = self.process, None
        if process is None:
            return None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        return process.wait()

    def _start(self):
        command = [sys.executable, "-m", "bench.tabular", self.name, str(self.threads)]
        with pinned(self.threads) as variables:
            return subprocess.Popen(
                command, env=variables, cwd=ROOT, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip


def run(entry: dict, chosen: list[str], contenders: list[str], quick: bool, save) -> None:
    """Fit what `entry` lacks, or has as failed, of these; `save()` after every set."""
    workers = {name: Worker(name, entry["threads"]) for name in contenders}
    versions = {name: CONTENDERS[name].version for name in contenders}
    fits = {(fit["set"], fit["contender"], fit["split"]): fit for fit in entry["fits"]}
    try:
        for table in chosen:
            about = describe(table)
            if quick and about["rows"] > QUICK:
                continue
            described = entry["sets"] | {table: about}
            entry["sets"] = {name: described[name] for name in sets.SETS if name in described}
            for seed in range(1 if quick else SPLITS):
                first = seed % len(contenders)
                for name in contenders[first:] + contenders[:first]:
                    key = table, name, seed
                    old = fits.get(key, {"failed": "not yet fitted"})
                    if "failed" in old or old["version"] != versions[name]:
                        time.sleep(REST)
                        fit = {"set": table, "contender": name, "split": seed}
                        fit |= {"version": versions[name], "cpu": entry["machine"]["cpu"]}
                        fit["date"] = str(datetime.date.today())
                        fits[key] = fit | workers[name].fit(table, seed)
                        print(_line(fits[key]), flush=True)
            entry["fits"] = list(fits.values())
            save()
    finally:
        for worker in workers.values():
            worker.stop()


def describe(table: str) -> dict:
    """Return what the pages say of a set."""
    X, y = sets.load(table)
    found = {"task": task_of(table), "rows": len(X), "columns": X.shape[1]}
    if found["task"] == "classification":
        found["classes"] = int(y.max()) + 1
    found["texts"] = len(texts(X))
    return found | {"missing": round(float(X.isna().mean().mean()), 4)}


def _line(fit) -> str:
    """Return a fit as a line of the terminal."""
    what = f"{fit['set']:<16}{fit['split']:>2}  {CONTENDERS[fit['contender']].name:<22}"
    if "failed" in fit:
        return what + fit["failed"]
    return what + f"error {fit['error']:.4f}  {fit['seconds']:8.2f} s"


def text(entry, who="contender", names=CONTENDERS, then="split") -> str:
    """Return the entry as JSON with a line for each fit."""
    head = json.dumps({key: value for key, value in entry.items() if key != "fits"}, indent=1)
    places = {name: place for place, name in enumerate([*sets.SETS, *names])}
    order = sorted(entry["fits"], key=lambda f: (places[f["set"]], places[f[who]], f[then]))
    fits = ",\n".join(f"  {json.dumps(fit)}" for fit in order)
    return f'{head[:-2]},\n "fits": [\n{fits}\n ]\n}}\n'


def means(entry) -> dict[tuple[str, str], dict[str, float]]:
    """Return {(set, contender): means over its splits} of those that have them all."""
    fits = {}
    for fit in entry["fits"]:
        fits.setdefault((fit["set"], fit["contender"]), []).append(fit)
    return {
        key: {name: sum(f[name] for f in those) / SPLITS for name in NUMBERS if name in those[0]}
        for key, those in fits.items()
        if len(those) == SPLITS and not any("failed" in fit for fit in those)
    }


def measured(entry) -> list[str]:
    """Return the contenders that have any result, in order."""
    found = {fit["contender"] for fit in entry["fits"]}
    return [name for name in CONTENDERS if name in found]


def compared(entry, half: str) -> list[str]:
    """Return the sets of a half that every contender has learned."""
    names, found = measured(entry), means(entry)
    halves = [table for table in entry["sets"] if sets.SETS[table].half == half]
    return [table for table in halves if all((table, name) in found for name in names)]


def summary(entry, half: str) -> dict[str, dict[str, float]]:
    """Return {contender: geometric means over the sets of a half, of both tasks and of each}."""
    those, found = compared(entry, half), means(entry)
    rows = {}
    for name in measured(entry):
        row = rows[name] = {}
        for task in ("both", *TASKS):
            values = [found[table, name] for table in those if task in ("both", task_of(table))]
            if values:
                shifted = [value["error"] + SHIFT for value in values]
                row[task] = tables.geometric_mean(shifted) - SHIFT
                row[f"{task}, s"] = tables.geometric_mean([value["seconds"] for value in values])
            if values and task == "classification":
                row["log loss"] = tables.geometric_mean([value["log_loss"] for value in values])
    return rows


def summary_cells(entry, half: str) -> list[list[str]]:
    """Return the header and a row for each contender."""
    columns = ["both", "both, s", "regression", "regression, s", "classification",
               "classification, s", "log loss"]  # fmt: skip
    cells = [["", *columns]]
    for name, row in summary(entry, half).items():
        numbers = [
            "-" if c not in row else tables.digits(row[c]) if c.endswith(", s") else f"{row[c]:.4f}"
            for c in columns
        ]
        cells.append([CONTENDERS[name].name, *numbers])
    return cells


def error_cells(entry) -> list[list[str]]:
    """Return the header and a row of mean errors for each set, those for the claim first."""
    names, found = measured(entry), means(entry)
    cells = [["set", "for", *(CONTENDERS[name].name for name in names)]]
    for table in sorted(entry["sets"], key=lambda table: sets.SETS[table].half):
        errors = (found.get((table, name)) for name in names)
        shown = [f"{each['error']:.4f}" if each else "-" for each in errors]
        cells.append([table, sets.SETS[table].half, *shown])
    return cells


def set_cells(entry) -> list[list[str]]:
    """Return the header and a row for each set."""
    cells = [["set", "package", "table", "target", "rows", "columns", "of text", "missing",
              "classes", "for", "dropped"]]  # fmt: skip
    for name, about in entry["sets"].items():
        each = sets.SETS[name]
        numbers = [f"{about['rows']:,}", str(about["columns"]), str(about["texts"])]
        numbers += [f"{about['missing']:.1%}", str(about.get("classes", "-"))]
        where = [each.package, each.table, each.target]
        cells.append([name, *where, *numbers, each.half, each.drop.replace(" ", ", ")])
    return cells


def block(entry) -> str:
    """Return the generated part of docs/tabular.md."""
    days = sorted({fit["date"] for fit in entry["fits"]})
    versions = {}
    for fit in entry["fits"]:
        versions[CONTENDERS[fit["contender"]].distribution] = fit["version"]
    versions.pop("fastnn", None)
    listed = ", ".join(f"{name} {number}" for name, number in sorted(versions.items())) + "."
    others = sorted({fit["cpu"] for fit in entry["fits"]} - {entry["machine"]["cpu"]})
    listed += "".join(f" Some fits were measured on {cpu}." for cpu in others)
    parts = [
        f"Means over {SPLITS} splits of each set, {tables.threads_label(entry['threads'])}, "
        f"{' to '.join(sorted({days[0], days[-1]}))}, on "
        f"{tables.machine_line(entry['machine'])} Learners: {listed}"
    ]
    for half, what in FOR.items():
        kinds = [task_of(table) for table in compared(entry, half)]
        if not kinds:
            continue
        counts = " and ".join(f"{kinds.count(task)} of {task}" for task in TASKS)
        parts.append(f"Geometric means over the sets {what}, {counts}:")
        parts.append(tables.markdown(summary_cells(entry, half)))
    parts.append("![Error against time](tabular.svg)")
    parts += ["Errors on each set:", tables.markdown(error_cells(entry))]
    parts += ["The sets:", tables.markdown(set_cells(entry))]
    return "\n\n".join(parts)


def warm_up(name: str, threads: int) -> None:
    """Fit both tasks on a few rows of numbers and texts, so that no fit pays for what comes late:
    imports within functions, and compilation."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    X["text"] = rng.choice(["red", "green", "blue"], 300).astype(object)
    X.loc[::9, ["a", "text"]] = np.nan
    for y in (X["b"].to_numpy(), (X["b"] > 0).to_numpy().astype(int)):
        labels = y.dtype.kind == "i"
        model = CONTENDERS[name].make(X, labels, 0, threads).fit(X, y)
        (model.predict_proba if labels else model.predict)(X)


def measure(name: str, threads: int, table: str, seed: int) -> dict:
    """Fit a contender to a split of a set; return error and times."""
    X, y, X_test, y_test = sets.split(table, seed)
    labels = task_of(table) == "classification"
    model = CONTENDERS[name].make(X, labels, seed, threads)
    started, used = time.perf_counter(), time.process_time()
    model.fit(X, y)
    times = {
        "seconds": round(time.perf_counter() - started, 4),
        "cpu_seconds": round(time.process_time() - used, 4),
    }
    return errors(model, X_test, y_test, labels) | times


def errors(model, X_test, y_test, labels: bool) -> dict[str, float]:
    """Return a fitted model's errors on test rows."""
    import numpy as np

    if not labels:
        far = np.sqrt(np.mean((np.asarray(model.predict(X_test)).ravel() - y_test) ** 2))
        return {"error": round(float(far / np.std(y_test)), 6)}
    probabilities = np.asarray(model.predict_proba(X_test), dtype=np.float64)
    given = probabilities[np.arange(len(y_test)), y_test]
    wrong = probabilities.argmax(axis=1) != y_test
    loss = -np.log(np.clip(given, 1e-7, 1)).mean()
    return {"error": round(float(wrong.mean()), 6), "log_loss": round(float(loss), 6)}


def _serve(name: str, threads: int) -> None:
    """Answer requests, a line each, as the process of a :class:`Worker`."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    warm = False
    for request in sys.stdin:
        try:
            if not warm:
                warm_up(name, threads)
                warm = True
            answer = measure(name, threads, *json.loads(request))
        except Exception as error:
            answer = {"failed": traceback.format_exception_only(error)[-1].strip()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
