"""A page of docs/results, written by robench itself from the store, and the store it was made from."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.results.plan import Job, Scale

FIGURES = ("curves", "proportion", "reconstructions")
_NOT_YET = (
    "Attacks that know the defenses have not been run to their end at this scale; `make results` goes on with them."
)
_NUMBERS = {"curves": "Figure 7", "proportion": "Figure 8", "reconstructions": "Figure 6"}


def robench(*arguments: str) -> str:
    """Run robench and return what it prints.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    command = [sys.executable, "-m", "robench", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def write_page(folder: Path, dataset: str, scale: Scale, db: Path, done: list[Job]) -> None:
    """Write the page, its figures and the exported store.

    Args:
        folder: docs/results.
        dataset: Name.
        scale: How much was run.
        db: The store, with at least the run of the paper's attacks.
        done: The commands that ran to their end.
    """
    runs = [run for run in _runs(db, dataset) if run["complete"]]
    naive = next(run for run in runs if "adaptive" not in run["attacks"])
    adaptive = next((run for run in runs if "adaptive" in run["attacks"]), None)
    shown = [naive] if adaptive is None else [naive, adaptive]
    title = f"# The paper's suite on {dataset}" + (f", reduced: {scale.reduced}" if scale.reduced else "")
    discussion = folder / "discussion" / f"{dataset}.md"
    parts = [
        title,
        f"Written by `make results` from `{dataset}.zip`; `robench db import {dataset}.zip` gives the store back.",
        discussion.read_text(encoding="utf-8").strip() if discussion.exists() else "",
        "## Beside the paper",
        robench("report", "--run", naive["run"], "--against", "paper", "--format", "markdown", "--db", str(db)),
        "## What the numbers are worth",
        _NOT_YET if adaptive is None else _report(adaptive["run"], db),
        "## The whole table",
        _report(naive["run"], db),
        "## Figures",
        *_figures(folder, dataset, naive["run"], adaptive, db),
        "## Training",
        _training(dataset, scale),
        "## Provenance",
        _provenance(done, shown),
    ]
    (folder / f"{dataset}.md").write_text("\n\n".join(filter(None, map(str.strip, parts))) + "\n", encoding="utf-8")
    archive = folder / f"{dataset}.zip"
    archive.unlink(missing_ok=True)
    robench("db", "export", str(archive), *(word for run in shown for word in ("--run", run["run"])), "--db", str(db))


def _runs(db: Path, dataset: str) -> list[dict[str, Any]]:
    """Return the runs of the paper's suite, newest first, as JSON has them, each with the names of its attacks."""
    listed = json.loads(robench("runs", "list", "--json", "--db", str(db)))["runs"]
    found = []
    for run in listed:
        document = json.loads(robench("report", "--run", run["id"], "--json", "--db", str(db)))
        if document["details"].get("suite") == f"paper-{dataset}":
            found.append({**document, "attacks": {row["attack"] for row in document["results"]}})
    return found


def _report(run: object, db: Path) -> str:
    return robench("report", "--run", str(run), "--format", "markdown", "--db", str(db))


def _figures(folder: Path, dataset: str, naive: object, adaptive: dict[str, Any] | None, db: Path) -> list[str]:
    drawn = []
    for name in FIGURES:
        run = naive if name != "reconstructions" else adaptive and adaptive["run"]
        if run is None:
            continue
        path = folder / f"{dataset}-{name}.svg"
        caption = robench("figure", name, str(run), "-o", str(path), "--db", str(db)).strip()
        drawn.append(f"![{_NUMBERS[name]} of the paper, from this store]({path.name})\n\n{caption}")
    return drawn


def _training(dataset: str, scale: Scale) -> str:
    """Return a table of the losses by epoch, with at most ten rows for each network."""
    where = () if scale.data_dir is None else ("--data-dir", str(scale.data_dir))
    arguments = ("--suite", f"paper-{dataset}", "--profile", scale.profile, *where)
    networks = json.loads(robench("train", *arguments, "--json"))["networks"]
    lines = ["| network | epoch | loss | validation loss | seconds so far |", "|---|---|---|---|---|"]
    for network in networks:
        history, seconds = network["history"], 0.0
        step = max(1, len(history) // 10)
        for entry in history:
            seconds += entry["seconds"]
            if entry["epoch"] % step == 0 or entry is history[-1]:
                losses = f"{entry['loss']:.4g} | {entry['validation_loss']:.4g}"
                lines.append(f"| {network['network']} | {entry['epoch']} | {losses} | {seconds:,.0f} |")
    notes = [
        f"- {network['network']}: {network['recipe']['epochs']} epochs, batch {network['recipe']['batch_size']}, "
        f"learning rate {network['recipe']['learning_rate']:g} ({network['recipe']['schedule']}), {network['format']} "
        f"on {network['device']}, weights {network['digest'][:12]}"
        for network in networks
    ]
    return "\n".join([*lines, "", *notes])


def _provenance(done: list[Job], runs: list[dict[str, Any]]) -> str:
    hardware = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    lines = [
        f"- hardware that wrote this page: {hardware}, {platform.machine()}; {versions}",
        *(f"- run {run['run']}: {run['images']} images, seed {run['seed']}" for run in runs),
    ]
    commands = "\n".join(f"robench {shlex.join(job.arguments)}" for job in done)
    return "\n".join(lines) + f"\n\n```\n{commands}\n```"
