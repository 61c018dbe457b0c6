"""What the runs that take too long for the suite found last; `docs/testing.md` shows it."""

import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "data" / "long_runs.json"


def read() -> dict[str, Any]:
    """Return the last result of each run, by name."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def record(name: str, **result: Any) -> None:
    """Keep a run's result: its command, its date, and its counts by name."""
    RECORD.write_text(json.dumps(read() | {name: result}, indent=1, sort_keys=True) + "\n")
