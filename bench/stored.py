"""What measurements are stored as."""

import datetime
import json

from bench.measure import ROOT
from bench.workloads import WORKS

RESULTS = ROOT / "bench" / "results" / "report.json"


def load(description) -> dict:
    """Return the stored results, or empty ones if they are of another machine or version."""
    if RESULTS.is_file():
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
        if results["machine"] == description:
            return results
    return {"machine": description}


def store(results, section, entry, key) -> None:
    """Store an entry, replacing the one with the same values under the names in `key`."""
    kept = [e for e in results.get(section, []) if any(e[k] != entry[k] for k in key)]
    order = {work.name: place for place, work in enumerate(WORKS)}
    results[section] = sorted(
        [*kept, entry],
        key=lambda e: (e["dtype"], order.get(e.get("work"), 0), e["threads"]),
    )


def as_json(stored) -> str:
    return json.dumps(stored, indent=1) + "\n"


def today() -> str:
    return datetime.date.today().isoformat()
