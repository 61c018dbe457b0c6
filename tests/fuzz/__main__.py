"""The command: run batches, each in a process of its own, until the time is spent."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests import long_runs
from tests.fuzz.batch import Report, failed

ROOT = Path(__file__).resolve().parents[2]
BATCH = 150
"""Cases of one process: with every new program its caches grow."""
HANG = 300
"""Seconds without a new case after which a process counts as hanging."""

SEARCH = 900
"""Seconds to look for the smallest case of a crash; one that does not come again is not found."""


class Batch:
    """A process that checks the cases of one seed."""

    def __init__(self, seed: int, seconds: float, apart: bool = False):
        self.seed = seed
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        arguments = [seed, BATCH, seconds, self.folder, *(["--apart"] if apart else [])]
        self._said = open(self.folder / "said.txt", "w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.batch", *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder)},
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        self._last = time.time()

    def over(self) -> bool:
        """Return whether the process has ended; end it if it hangs."""
        if self._process.poll() is not None:
            return True
        case = self.folder / "case.txt"
        changed = case.stat().st_mtime if case.exists() else self._last
        if time.time() - max(changed, self._last) > HANG:
            self._process.kill()
            self._process.wait()
            return True
        return False

    def report(self) -> Report:
        """Return what it found; a process that died is a failure."""
        done, case = self.folder / "report.json", self.folder / "case.txt"
        if done.exists():
            found = json.loads(done.read_text())
            return Report(Counter(found["counts"]), found["failure"])
        self._said.seek(0)
        said = f"the process ended with {self._process.returncode}\n{self._said.read()[-4000:]}"
        return Report(Counter(), failed(case.read_text() if case.exists() else "...", said))

    def end(self) -> None:
        """End the process if it still runs, and remove its folder."""
        self._process.kill()
        self._process.wait()
        self._said.close()
        self._folder.cleanup()


def hunt(
    seconds: float, seed: int, jobs: int = 1, say: Callable[[str], None] = lambda text: None
) -> Report:
    """Check random cases for so long, or until one fails; return what was checked and found."""
    report, began = Report(), time.monotonic()
    running: list[Batch] = []
    number = 0
    try:
        while not report.failure:
            left = seconds - (time.monotonic() - began)
            while left > 0 and len(running) < jobs:
                running.append(Batch(1000 * seed + number, left))
                number += 1
            if not running:
                break
            time.sleep(0.05)
            for batch in [each for each in running if each.over()]:
                running.remove(batch)
                found = batch.report()
                report.counts += found.counts
                report.failure = report.failure or found.failure
                if found.failure and not (batch.folder / "report.json").exists():
                    say(f"{found.failure}\nA process died. Looking for its smallest case.")
                    report.failure = _smallest(batch.seed) or found.failure
                batch.end()
                say(f"{time.monotonic() - began:6.0f} s  {told(report.counts)}")
    finally:
        for batch in running:
            batch.end()
    return report


def _smallest(seed: int) -> str:
    """Return the failure of a batch whose process died, minimized, or nothing if it does not."""
    batch = Batch(seed, SEARCH, apart=True)
    try:
        while not batch.over():
            time.sleep(0.2)
        return batch.report().failure
    finally:
        batch.end()


def told(counts: Counter) -> str:
    """Return the counts that change from batch to batch."""
    names = "cases", "finished", "diverged", "refused", "numbers compared", "faults injected"
    return ", ".join(f"{counts[name]:,} {name}" for name in names)


def main() -> None:
    """Run as the arguments say; exit 1 if a case fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long (60)")
    parser.add_argument("--seed", type=int, default=1, help="which cases (1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (1)")
    given = parser.parse_args()
    report = hunt(60 * given.minutes, given.seed, given.jobs, lambda text: print(text, flush=True))
    print("\nchecked, without a failure:" if not report.failure else "\nchecked:")
    for name, count in sorted(report.counts.items(), key=lambda each: -each[1]):
        print(f"{count:12,}  {name}")
    if report.failure:
        raise SystemExit(f"\nA case fails.\n\n{report.failure}")
    command = f"python -m tests.fuzz --minutes {given.minutes:g} --seed {given.seed}"
    long_runs.record("fuzz", f"{command} --jobs {given.jobs}", dict(report.counts))


if __name__ == "__main__":
    main()
