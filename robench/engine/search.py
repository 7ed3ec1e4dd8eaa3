"""The search form of a defense: the same weights, laid out and rounded for speed. The judge never sees it."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import nn

from robench.api import Verdict
from robench.engine.layers import use_faster_layers
from robench.engine.memory import in_portions

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from robench.api import ImageRandom
    from robench.engine.deploy import Deployed

_ROUNDED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_AGREEMENT = 0.1
"""Largest difference of logits and of scores from those of the real defense, in units of the largest of them."""


def search_form(
    deployed: Deployed,
    precision: str,
    images: Tensor,
    random: Callable[[slice], ImageRandom],
    note: Callable[[str], None],
) -> Deployed:
    """Return a copy of a defense to search with, or the defense itself where the copy would not answer like it.

    The copy's layers have their faster forms. In bfloat16 its weights are rounded once and for all, where autocast
    would round them at every call.

    Args:
        deployed: The real defense.
        precision: ``float32``, ``tf32`` or ``bfloat16``.
        images: Clean images to compare the answers on, shape (N, C, H, W), float32, in [0, 1].
        random: Returns fresh streams for some of these images, the same at each call.
        note: Told if the copy is not used, and why.
    """
    try:
        parts = copy.deepcopy(nn.ModuleList([deployed.module, deployed.classifier]))
    except Exception as error:  # noqa: BLE001 (third-party modules may hold what cannot be copied)
        note(f"defense {deployed.name} cannot be copied ({error}): searching on itself, in float32")
        return deployed
    use_faster_layers(parts)
    if precision == "bfloat16":
        for layer in parts.modules():
            if isinstance(layer, _ROUNDED):
                layer.to(torch.bfloat16)
    module, classifier = parts
    form = dataclasses.replace(deployed, module=module, classifier=classifier, precision=precision)
    difference = _difference(deployed, form, images, random)
    if difference:
        note(f"defense {deployed.name} does not bear {precision} ({difference}): searching on itself, in float32")
        return deployed
    return form


def _difference(deployed: Deployed, form: Deployed, images: Tensor, random: Callable[[slice], ImageRandom]) -> str:
    """Say in which way the two answer differently; nothing where they agree."""
    with torch.no_grad():
        expected = _answer(deployed, images, random)
        try:
            answer = _answer(form, images, random)
        except Exception as error:  # noqa: BLE001 (whatever the rounded copy does wrong, the real defense may do right)
            return f"{type(error).__name__}: {error}"
    for what, left, right in _pairs(expected, answer):
        limit = _AGREEMENT * float(left.abs().max())
        largest = float((left - right).abs().max())
        if not largest <= limit:
            return f"its {what} differ by up to {largest:.3g}"
    return ""


def _answer(deployed: Deployed, images: Tensor, random: Callable[[slice], ImageRandom]) -> Verdict:
    def ask(part: slice, rows: int) -> Verdict:  # noqa: ARG001 (a part is one row an image)
        return deployed.verdict(images[part], random(part))

    parts = in_portions(ask, len(images), len(images), images.device)
    scores = [part.score for part in parts if part.score is not None]
    return Verdict(logits=torch.cat([part.logits for part in parts]), score=torch.cat(scores) if scores else None)


def _pairs(expected: Verdict, answer: Verdict) -> list[tuple[str, Tensor, Tensor]]:
    pairs = [("logits", expected.logits, answer.logits)]
    if expected.score is not None and answer.score is not None:
        pairs.append(("scores", expected.score, answer.score))
    return pairs
