"""What the runs that take too long for the suite found last; `docs/testing.md` shows it."""

import datetime
import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "data" / "long_runs.json"


def read() -> dict[str, Any]:
    """Return the last result of each run, by name."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def record(name: str, command: str, counts: dict[str, int]) -> None:
    """Keep what a run counted, with the command that repeats it and the date."""
    result = {"command": command, "date": datetime.date.today().isoformat(), "counts": counts}
    RECORD.write_text(json.dumps(read() | {name: result}, indent=1, sort_keys=True) + "\n")
