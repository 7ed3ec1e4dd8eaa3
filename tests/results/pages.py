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
_REFUSED = 2
"""Exit status of robench where what is asked for cannot be had."""
_NUMBERS = {"curves": "Figure 7", "proportion": "Figure 8", "reconstructions": "Figure 6"}


def robench(*arguments: str) -> str:
    """Run robench and return what it prints.

    Raises:
        subprocess.CalledProcessError: It failed; with what it wrote to stderr, which is passed on as well.
    """
    command = [sys.executable, "-m", "robench", *arguments]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    sys.stderr.write(ended.stderr)
    ended.check_returncode()
    return ended.stdout


def write_page(folder: Path, dataset: str, scale: Scale, db: Path, done: list[Job]) -> None:
    """Write the page, its figures and the exported store.

    Args:
        folder: docs/results.
        dataset: Name.
        scale: How much was run.
        db: The store, with at least the run of the paper's attacks.
        done: The commands that ran to their end.
    """
    naive, adaptive = newest_runs(db, dataset)
    shown = [naive] if adaptive is None else [naive, adaptive]
    suite = ("--suite", f"paper-{dataset}", "--profile", scale.profile, *scale.where)
    parts = [
        f"# The paper's suite on {dataset}" + (f", reduced: {scale.reduced}" if scale.reduced else ""),
        "## Beside the paper",
        robench("report", "--run", naive["run"], "--against", "paper", "--format", "markdown", "--db", str(db)),
        "## What the numbers are worth",
        _NOT_YET if adaptive is None else _report(adaptive["run"], db),
        "## The whole table",
        _report(naive["run"], db),
        "## Figures",
        *figures(folder, dataset, naive["run"], None if adaptive is None else adaptive["run"], db, *scale.where),
        "## Training",
        _training([suite]),
    ]
    _write(folder, dataset, parts, _provenance(done, shown), [run["run"] for run in shown], db=db)


def write_ablations(folder: Path, dataset: str, scale: Scale, db: Path, done: Job) -> None:
    """Write the page of a suite of ablations and the exported store.

    Args:
        folder: docs/results.
        dataset: Name.
        scale: How much was run.
        db: The store, with the runs of all variants.
        done: The command that ran to its end.
    """
    name = f"ablations-{dataset}"
    variants = json.loads(robench("report", "--suite", name, "--json", "--db", str(db)))["variants"]
    suite = ("--suite", name, "--profile", scale.profile, *scale.where)
    parts = [
        f"# What the paper leaves open, on {dataset}: profile {scale.profile}, {scale.images:,} images",
        "## Side by side",
        robench("report", "--suite", name, "--format", "markdown", "--db", str(db)),
        "## Training",
        _training([(*suite, "--variant", variant) for variant in variants]),
    ]
    runs = list(variants.values())
    _write(folder, name, parts, _provenance([done], runs), [run["run"] for run in runs], db=db)


def _write(folder: Path, name: str, parts: list[str], provenance: str, runs: list[str], *, db: Path) -> None:
    """Write a page, with what a person wrote about it below its title, and the archive of its runs."""
    title, *rest = parts
    discussion = folder / "discussion" / f"{name}.md"
    parts = [
        title,
        f"Written by `make results` from `{name}.zip`; `robench db import {name}.zip` gives the store back.",
        discussion.read_text(encoding="utf-8") if discussion.exists() else "",
        *rest,
        "## Provenance",
        provenance,
    ]
    (folder / f"{name}.md").write_text("\n\n".join(filter(None, map(str.strip, parts))) + "\n", encoding="utf-8")
    archive = folder / f"{name}.zip"
    archive.unlink(missing_ok=True)
    robench("db", "export", str(archive), *(word for run in runs for word in ("--run", run)), "--db", str(db))


def newest_runs(db: Path, dataset: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the newest complete runs of the paper's suite, as JSON has them: with its attacks alone, and with others.

    The second is None if there is none yet.
    """
    naive: list[dict[str, Any]] = []
    adaptive: list[dict[str, Any]] = []
    for run in json.loads(robench("runs", "list", "--json", "--db", str(db)))["runs"]:
        document = json.loads(robench("report", "--run", run["id"], "--json", "--db", str(db)))
        if document["complete"] and document["details"].get("suite") == f"paper-{dataset}":
            knows = any(row["attack"] == "adaptive" for row in document["results"])
            (adaptive if knows else naive).append(document)
    return naive[0], next(iter(adaptive), None)


def _report(run: object, db: Path) -> str:
    return robench("report", "--run", str(run), "--format", "markdown", "--db", str(db))


def figures(folder: Path, dataset: str, naive: str, adaptive: str | None, db: Path, *where: str) -> list[str]:
    """Draw what the page shows, and return a paragraph or two for each figure.

    A picture that robench refuses to draw costs only itself: reconstructions need attacked images, which a store that
    was imported from an archive does not have. The page says why it is missing.

    Args:
        folder: Where the pictures go.
        dataset: Name.
        naive: The run of the paper's attacks.
        adaptive: The run of attacks that know the defense; None if there is none yet.
        db: The store.
        where: Options that say where the data set is.
    """
    found = []
    for name in FIGURES:
        run = adaptive if name == "reconstructions" else naive
        if run is None:
            continue
        path = folder / f"{dataset}-{name}.svg"
        path.unlink(missing_ok=True)
        try:
            caption = robench("figure", name, run, "-o", str(path), "--db", str(db), *where).strip()
        except subprocess.CalledProcessError as error:
            if error.returncode != _REFUSED:
                raise
            sys.stderr.write(f"results: the page of {dataset} goes without {_NUMBERS[name]}\n")
            found.append(f"{_NUMBERS[name]} of the paper is not drawn: {error.stderr.strip().removeprefix('error: ')}")
            continue
        found.append(f"![{_NUMBERS[name]} of the paper, from this store]({path.name})\n\n{caption}")
    return found


def _training(requests: list[tuple[str, ...]]) -> str:
    """Return a table of the losses by epoch, with at most ten rows for each network that ``robench train`` finds."""
    found = (json.loads(robench("train", *request, "--json"))["networks"] for request in requests)
    networks = list({network["digest"]: network for answer in found for network in answer}.values())
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
        *(f"- {_named(run)}" for run in runs),
    ]
    commands = "\n".join(f"robench {shlex.join(job.arguments)}" for job in done)
    return "\n".join(lines) + f"\n\n```\n{commands}\n```"


def _named(run: dict[str, Any]) -> str:
    details = run["details"]
    digests = ", ".join(f"{name} {details[f'{name}_digest'][:12]}" for name in ("data", "classifier"))
    variant = f" ({details['variant']})" if details.get("variant") else ""
    return f"run {run['run']}{variant}: {run['images']:,} images, seed {run['seed']}; SHA-256: {digests}"
