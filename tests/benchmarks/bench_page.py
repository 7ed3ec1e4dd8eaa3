"""Writes the measured tables into docs/performance.md, between their markers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<!-- measured: {} -->", "<!-- end of {} -->"

RATIOS = {
    "pgd_foolbox_ratio": ("PGD on puvae-detect (architecture C), against Foolbox on the plain module", 15, 15),
    "pgd_foolbox_ratio_float32": ("the same, searching in float32", 7, None),
    "pgd_torchattacks_ratio": ("against torchattacks", 12, 12),
    "pgd_art_ratio": ("against ART", 12, 12),
    "pgd_foolbox_trainable_ratio": ("against Foolbox, parameters not frozen, as after training", None, None),
    "pgd_torchattacks_trainable_ratio": ("against torchattacks, parameters not frozen", None, None),
    "pgd_art_trainable_ratio": ("against ART, parameters not frozen", None, None),
    "fgsm_sweep_ratio": ("FGSM at 30 epsilons, judged in float32, against Foolbox", 12, 20),
    "worst_case_sweep_ratio": ("worst case per image over 30 epsilons of PGD, no defense, against Foolbox", 25, 25),
    "peak_share": ("share of the convolution's peak, counted on what must be computed", 0.5, 0.3),
    "train_ratio": ("training of classifier A against a plain float32 loop", 10, 5),
}


def write_page(page: Path, figures: dict[str, Any]) -> None:
    """Replace the tables of this kind of device, and leave those of the other alone.

    Args:
        page: Holds the markers.
        figures: As ``__main__`` gathers them.
    """
    kind = "CUDA" if "NVIDIA" in figures["device"] else "CPU"
    text = page.read_text(encoding="utf-8")
    begin, end = BEGIN.format(kind), END.format(kind)
    before, rest = text.split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n{_tables(figures, kind)}\n{end}{after}", encoding="utf-8")


def _tables(figures: dict[str, Any], kind: str) -> str:
    images, steps = figures["images"], figures["steps"]
    setting = (
        f"{figures['device']}; torch {figures['torch']}; {images} images, {steps} steps, "
        f"search in {figures['precision']}; "
        f"{figures['image_steps_per_second']:,.0f} images x steps per second, "
        f"classifier A trained on {figures['images_trained_per_second']:,.0f} images per second; "
        f"convolution peak {figures['peak'] / 1e9:,.0f} GFLOP/s; "
        f"{figures['operations_per_image_step'] / 1e6:,.0f} M operations per image and step."
    )
    lines = [
        setting,
        "",
        "| what | measured | wanted |",
        "|---|---|---|",
    ]
    for name, (what, on_cpu, on_cuda) in RATIOS.items():
        wanted = on_cuda if kind == "CUDA" else on_cpu
        lines.append(f"| {what} | {_figure(name, figures[name])} | {'' if wanted is None else _figure(name, wanted)} |")
    lines += ["", "| on puvae-detect | seconds | robust accuracy at 0.1 | memory, MiB |", "|---|---|---|---|"]
    for name, row in figures["contestants"].items():
        lines.append(f"| {name} | {row['seconds']:.1f} | {100 * row['accuracy']['0.1']:.1f} % | {row['memory']:,.0f} |")
    lines += ["", "| sweep of 30 epsilons | seconds | robust accuracy at 0.1 / 0.2 / 0.3 |", "|---|---|---|"]
    for name, row in figures["sweeps"].items():
        shares = " / ".join(f"{100 * row['accuracy'][epsilon]:.1f}" for epsilon in ("0.1", "0.2", "0.3"))
        lines.append(f"| {name} | {row['seconds']:.1f} | {shares} % |")
    lines += ["", "| cost against | number | seconds | memory, MiB |", "|---|---|---|---|"]
    for what, rows in figures["growth"].items():
        lines += [f"| {what} | {count} | {row['seconds']:.2f} | {row['memory']:,.0f} |" for count, row in rows.items()]
    return "\n".join(lines)


def _figure(name: str, value: float) -> str:
    return f"{100 * value:.0f} %" if name == "peak_share" else f"{value:.1f}x"
