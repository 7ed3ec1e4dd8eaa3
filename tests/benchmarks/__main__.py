"""``make bench``: robench, Foolbox, torchattacks and ART on the same defended model and images, in one go.

Every figure is a ratio of what ran side by side: robench runs before and after each of the others. Writes
``build/bench.json`` and the tables of ``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GRID = [f"{number / 100:.2f}".rstrip("0") for number in range(1, 31)]
EPSILON = "0.1"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=100, help="images under PGD and in the worst case")
    parser.add_argument("--steps", type=int, default=40, help="of PGD")
    parser.add_argument("--many", type=int, default=10_000, help="images for the growth with images")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_task(task: str, device: str) -> None:
    """Carry out one task in this process: settings come on stdin, the result goes to stdout."""
    from bench_models import Bench
    from bench_tasks import BY_LIBRARIES, TASKS

    from robench.cli.progress import TerminalProgress
    from robench.engine.memory import keep_freed_memory

    if task not in BY_LIBRARIES:
        keep_freed_memory()  # as every robench command does; whoever uses a library does not
    settings = json.load(sys.stdin)
    bench = Bench(device, TerminalProgress(sys.stderr), settings.get("precision", "auto"))
    json.dump(TASKS[task](bench, settings), sys.stdout)


class Bench:
    """Runs tasks, each in a process of its own, and keeps what they say."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.common: dict[str, Any] = {"rows": 1000 if arguments.device.startswith("cuda") else 100}
        self.log: list[dict[str, Any]] = []

    def task(self, name: str, **settings: Any) -> dict[str, Any]:
        wanted = {**self.common, **settings}
        command = [sys.executable, str(Path(__file__).parent), "--task", name, "--device", self.arguments.device]
        done = subprocess.run(
            command, input=json.dumps(wanted), stdout=subprocess.PIPE, text=True, check=True, env=dict(os.environ)
        )
        result: dict[str, Any] = json.loads(done.stdout)
        self.log.append({"task": name, "settings": wanted, "result": result})
        if "seconds" in result:
            sys.stderr.write(f"{name} {settings}: {result['seconds']:.1f} s\n")
        return result

    def beside(
        self, ours: tuple[str, dict[str, Any]], *others: tuple[str, dict[str, Any]], rounds: int = 1
    ) -> tuple[Any, list[Any]]:
        """Run the others in turn, so often, and robench before, between and after them; median times count."""
        own = [self.task(ours[0], **ours[1])]
        theirs: list[list[dict[str, Any]]] = [[] for _ in others]
        for _ in range(rounds):
            for place, (name, settings) in enumerate(others):
                theirs[place].append(self.task(name, **settings))
                own.append(self.task(ours[0], **ours[1]))
        return _by_median_time(own), [_by_median_time(results) for results in theirs]


def _by_median_time(results: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(results[0], seconds=statistics.median(result["seconds"] for result in results))


def main() -> None:
    arguments = _arguments()
    if arguments.task:
        _run_task(arguments.task, arguments.device)
        return
    import torch

    if arguments.device == "auto":
        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    bench = Bench(arguments)
    figures = _measure(bench)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({**figures, "log": bench.log}, indent=2) + "\n", encoding="utf-8")
    from bench_page import write_page

    write_page(arguments.page, figures)
    json.dump(
        {name: value for name, value in figures.items() if not isinstance(value, dict | list)}, sys.stdout, indent=2
    )
    sys.stdout.write("\n")


def _measure(bench: Bench) -> dict[str, Any]:
    arguments = bench.arguments
    found = bench.task("probe")
    bench.common["threshold"] = found["threshold"]
    operations = bench.task("work", steps=arguments.steps)["operations"]
    images, steps = arguments.images, arguments.steps
    pgd = {"defense": "puvae-detect", "attack": "pgd", "images": images, "steps": steps, "epsilons": [EPSILON]}
    fast, (by_foolbox, by_torchattacks, by_art) = bench.beside(
        ("robench", pgd), ("foolbox", pgd), ("torchattacks", pgd), ("art", pgd)
    )
    few = {**pgd, "steps": max(1, steps // 10)}
    exact, (by_foolbox_again,) = bench.beside(("robench", {**pgd, "precision": "float32"}), ("foolbox", pgd))
    # As a module comes from training, its parameters require gradients; a few steps of that are enough.
    briefly, trainable = bench.beside(
        ("robench", few), *((library, {**few, "frozen": False}) for library in ("foolbox", "torchattacks", "art"))
    )
    half = max(1, images // 2)
    fgsm = {"defense": "puvae-detect", "attack": "fgsm", "images": half, "steps": None, "epsilons": GRID}
    sweep, (sweep_by_foolbox,) = bench.beside(("robench", fgsm), ("foolbox", fgsm))
    union = {**pgd, "images": 2 * images, "defense": "none", "threshold": None, "epsilons": GRID, "union": True}
    worst, (worst_by_foolbox,) = bench.beside(("worst", union), ("foolbox", union), rounds=2)
    epoch = {"images": 12_800}
    trained, (trained_plainly,) = bench.beside(("train-robench", epoch), ("train-plain", epoch), rounds=3)
    rate = images * steps / fast["seconds"]
    return {
        "device": found["device"],
        "torch": __import__("torch").__version__,
        "precision": found["precision"],
        "images": images,
        "steps": steps,
        "batch_sizes": found["batch_sizes"],
        "pgd_foolbox_ratio": by_foolbox["seconds"] / fast["seconds"],
        "pgd_foolbox_ratio_float32": by_foolbox_again["seconds"] / exact["seconds"],
        "pgd_torchattacks_ratio": by_torchattacks["seconds"] / fast["seconds"],
        "pgd_art_ratio": by_art["seconds"] / fast["seconds"],
        **{
            f"pgd_{library}_trainable_ratio": theirs["seconds"] / briefly["seconds"]
            for library, theirs in zip(("foolbox", "torchattacks", "art"), trainable, strict=True)
        },
        "fgsm_sweep_ratio": sweep_by_foolbox["seconds"] / sweep["seconds"],
        "worst_case_sweep_ratio": worst_by_foolbox["seconds"] / worst["seconds"],
        "train_ratio": trained_plainly["seconds"] / trained["seconds"],
        "image_steps_per_second": rate,
        "operations_per_image_step": operations,
        "peak": found["peaks"][found["precision"] if found["precision"] in found["peaks"] else "float32"],
        "peak_share": rate * operations / found["peaks"].get(found["precision"], found["peaks"]["float32"]),
        "contestants": {
            "robench": fast,
            "robench, float32": exact,
            "Foolbox": by_foolbox,
            "torchattacks": by_torchattacks,
            "ART": by_art,
        },
        "sweeps": {
            "FGSM, robench": sweep,
            "FGSM, Foolbox": sweep_by_foolbox,
            "worst case, robench": worst,
            "worst case, Foolbox": worst_by_foolbox,
        },
        "images_trained_per_second": epoch["images"] / trained["seconds"],
        "growth": _growth(bench),
    }


def _growth(bench: Bench) -> dict[str, dict[str, dict[str, float]]]:
    """Cost against images, epsilons, steps and classes, by robench."""
    arguments = bench.arguments
    bare = {"defense": "none", "threshold": None, "attack": "pgd", "epsilons": [EPSILON]}
    defended = {"defense": "puvae-detect", "attack": "pgd", "images": bench.common["rows"] // 2}
    some = max(1, arguments.steps // 4)
    return {
        "images": {
            str(count): bench.task("robench", **bare, images=count, steps=some) for count in (500, arguments.many)
        },
        "epsilons": {
            str(count): bench.task("robench", **{**bare, "epsilons": GRID[:count]}, images=200, steps=some)
            for count in (1, 10, 30)
        },
        "steps": {
            str(count): bench.task("robench", **defended, epsilons=[EPSILON], steps=count)
            for count in (some, 2 * some, 4 * some)
        },
        "classes": {str(count): bench.task("classes", classes=count) for count in (2, 5, 10)},
    }


if __name__ == "__main__":
    main()
