"""``make stress``: all stress tests in full, as one table and ``build/stress.json``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.stress.battery import REDUCED, Counts, battery, scratch

RESULTS = Path("build") / "stress.json"


def main() -> int:
    """Run what is asked for; return 0 if all was as demanded."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("names", nargs="*", help="which of them; all by default")
    parser.add_argument("--reduced", action="store_true", help="with the counts of the test suite")
    parser.add_argument("--folder", help="where to write; in memory by default")
    options = parser.parse_args()
    folder = Path(options.folder or scratch())
    known = battery(folder, REDUCED if options.reduced else Counts())
    chosen = options.names or list(known)
    if unknown := sorted(set(chosen) - set(known)):
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    table = Table("what was done", "demanded", "found", "passed", "s", show_lines=True)
    results = []
    for name in chosen:
        sys.stderr.write(f"{name} ...\n")
        begun = time.monotonic()
        trial = known[name]()
        seconds = round(time.monotonic() - begun, 1)
        results.append({**asdict(trial), "passed": trial.passed, "seconds": seconds})
        found = "\n".join([trial.found, *trial.complaints[:5]])
        table.add_row(trial.name, trial.demand, found, "yes" if trial.passed else "NO", f"{seconds:.0f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    Console(width=140).print(table)
    shutil.rmtree(folder)
    return 0 if all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
