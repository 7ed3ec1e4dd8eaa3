"""Some images with everything that is done to them: attack, confirmation, judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.api import AttackContext, Budget, References, SweepContext
from robench.engine.ascent import GradientAscent
from robench.engine.balls import BALLS, within
from robench.engine.deploy import BoundTarget, Memo
from robench.engine.foresight import boundary_distances
from robench.engine.judge import check_admissible, judge
from robench.engine.precision import judging_precision, searching_precision
from robench.engine.seeding import ImageStreams, SelectedStreams, SharedDraws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from robench.api import Norm
    from robench.api.records import ImageOutcome
    from robench.engine.ascent import Observe
    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared
    from robench.engine.stopwatch import Stopwatch

CONFIRMING_DRAWS = 5
"""Fresh draws on which a stochastic defense is asked whether an attack has won; it takes most of them."""


class Batch:
    """Some images under attack. Streams never depend on which other images there are.

    The defense's name and the epsilon do not enter the streams' purpose: what two defenses, or one image at two
    epsilons, draw is the same, so that their difference is not a difference of luck.

    Args:
        images: Shape (N, C, H, W), float32, in [0, 1], on the device.
        labels: Shape (N,), int64.
        indices: Of the images in the test split.
        references: Other clean images.
        seed: Of the run.
        rows: How many rows go through a defense together.
        watch: Told what the time goes into.
        norm: Of the balls.
        observe: Told of each step of an ascent, see ``GradientAscent``.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        indices: list[int],
        references: References,
        *,
        seed: int,
        rows: int,
        watch: Stopwatch,
        norm: Norm = "linf",
        observe: Observe | None = None,
    ) -> None:
        self.images, self.labels, self.indices = images, labels, indices
        self.queries = 0
        self._references, self._device = references, images.device
        self._seed, self._rows, self._watch, self._observe = seed, rows, watch, observe
        self._norm: Norm = norm

    def attack(self, prepared: Prepared, assault: Assault, radius: Tensor) -> Tensor:
        """Return the attacked images, shape (N, E, C, H, W), for the balls of these radii, shape (N, E), float64."""
        forms = {"sweep": self._sweep, "plain": self._one_by_one, "minimal": self._closest}
        # A plugin may have switched gradients off for good; the next one must not pay for it.
        with torch.enable_grad(), self._watch.measure("search"):
            return forms[assault.form](prepared, assault, radius)

    def distances(self, prepared: Prepared) -> Tensor:
        """Return how far the boundary of a deterministic defense seems to be, see ``boundary_distances``."""
        search, found = prepared.search, []
        with (
            torch.enable_grad(),
            self._watch.measure("search"),
            searching_precision(self._device, search.precision),
        ):
            target = BoundTarget(search, self._streams("distance", "", self.indices))
            for part, labels in zip(
                torch.split(self.images, self._rows), torch.split(self.labels, self._rows), strict=True
            ):
                found.append(
                    boundary_distances(lambda images: target.verdict(images).logits, part, labels, BALLS[self._norm])
                )
        return torch.cat(found)

    def _sweep(self, prepared: Prepared, assault: Assault, radius: Tensor) -> Tensor:
        def confirm(images: Tensor, owners: Tensor, stage: int, step: int) -> Tensor:
            return self._confirm(prepared, assault, images, owners, stage, step)

        images, labels = self.images.clone(), self.labels.clone()  # an attack that writes to them must not move balls
        random, search = self._streams("attack", assault.name, self.indices), prepared.search
        ascend = GradientAscent(
            search,
            random,
            self.images,
            self.labels,
            radius,
            rows=self._rows,
            keep=assault.keep,
            confirm=confirm,
            norm=self._norm,
            goal=assault.goal,
            observe=self._observe,
        )
        with searching_precision(self._device, search.precision):
            attacked = assault.run_sweep(
                SweepContext(
                    target=BoundTarget(search, random, memo=ascend.memo),
                    images=images,
                    labels=labels,
                    epsilons=radius.clone(),
                    random=random,
                    parameters=assault.offer.parameters,
                    ascend=ascend,
                    trial=ascend.trial,
                    references=self._fresh_references(),
                    norm=self._norm,
                )
            )
        self.queries += ascend.memo.queries
        originals = self.images[:, None].expand(-1, radius.shape[1], -1, -1, -1)
        checked = check_admissible(assault.name, attacked, originals, radius, self._norm)
        if assault.keep == "last":
            return checked
        # What has won on some draws counts, also if the attack returns something else.
        found = ascend.trial.share.view(*radius.shape, 1, 1, 1) > 0
        return torch.where(found, ascend.trial.best, checked)

    def _one_by_one(self, prepared: Prepared, assault: Assault, radius: Tensor) -> Tensor:
        """Attack at one epsilon after the other, for an attack that knows no more."""
        attacked = self.images[:, None].repeat(1, radius.shape[1], 1, 1, 1)
        for epsilon in torch.unique(radius).tolist():
            where = (radius == epsilon).nonzero()
            attacked[where[:, 0], where[:, 1]] = self._at(prepared, assault, where[:, 0], epsilon)
        return attacked

    def _closest(self, prepared: Prepared, assault: Assault, radius: Tensor) -> Tensor:
        """Attack once at whatever distance. What lies in a ball counts there, the original where nothing does."""
        found = self._at(prepared, assault, torch.arange(len(self.images), device=self._device), float("inf"))
        found, originals = (images[:, None].expand(-1, radius.shape[1], -1, -1, -1) for images in (found, self.images))
        reached = within(self._norm, found, originals, radius)
        return torch.where(reached[:, :, None, None, None], found, originals)

    def _at(self, prepared: Prepared, assault: Assault, owners: Tensor, epsilon: float) -> Tensor:
        """Attack some images at one epsilon on the defense itself and return what comes of it, (M, C, H, W)."""
        random = self._streams("attack", assault.name, [self.indices[owner] for owner in owners.tolist()])
        memo = Memo()
        with judging_precision(self._device):
            found = assault.run_alone(
                AttackContext(
                    target=BoundTarget(prepared.deployed, random, memo=memo),
                    images=self.images[owners],
                    labels=self.labels[owners],
                    budget=Budget(epsilon=epsilon, norm=self._norm),
                    random=random,
                    parameters=assault.offer.parameters,
                    references=self._fresh_references(),
                )
            )
        self.queries += memo.queries
        reach = torch.full(owners.shape, epsilon, dtype=torch.float64, device=self._device)
        return check_admissible(assault.name, found, self.images[owners], reach, self._norm)

    @torch.no_grad()
    def _confirm(self, prepared: Prepared, assault: Assault, images: Tensor, owners: Tensor, *when: int) -> Tensor:
        """Say on what share of fresh draws the real defense answers as the attack wants, shape (M,), float32."""
        deployed, shares = prepared.deployed, []
        count = CONFIRMING_DRAWS if deployed.stochastic else 1
        with judging_precision(self._device), self._watch.measure("judge"):
            for part, owned in zip(torch.split(images, self._rows), torch.split(owners, self._rows), strict=True):
                indices = [self.indices[owner] for owner in owned.tolist()]
                streams = self._streams("confirm", assault.name, indices, *when)
                hits = torch.zeros(len(part), device=self._device)
                for _ in range(count):
                    verdict = deployed.verdict(part, streams)
                    hits += deployed.reaches(assault.goal, verdict.logits, verdict.score, self.labels[owned])
                shares.append(hits / count)
        self.queries += count * len(images)
        return torch.cat(shares)

    def judge(
        self, prepared: Prepared, purpose: str, attacked: Tensor, positions: Sequence[int], *, draws: int
    ) -> list[ImageOutcome]:
        """Judge images, shape (N, E, C, H, W), on draws that no attack has seen, and return N x E outcomes.

        Args:
            prepared: The defense.
            purpose: Name of the attack; decides which draws.
            attacked: The images.
            positions: Of the N images.
            draws: How often a stochastic defense is asked.
        """
        owners = torch.arange(len(attacked), device=self._device).repeat_interleave(attacked.shape[1])
        shared = SharedDraws(self._streams("judge", purpose, self.indices))
        outcomes: list[ImageOutcome] = []
        for part, owned in zip(
            torch.split(attacked.flatten(0, 1), self._rows), torch.split(owners, self._rows), strict=True
        ):
            shared.again()
            numbers = owned.tolist()
            with self._watch.measure("judge"):
                outcomes += judge(
                    prepared.deployed,
                    part,
                    self.labels[owned],
                    positions=[positions[number] for number in numbers],
                    indices=[self.indices[number] for number in numbers],
                    random=SelectedStreams(shared, owned),
                    draws=draws if prepared.deployed.stochastic else 1,
                )
        return outcomes

    def _fresh_references(self) -> References:
        """Return copies: an attack that writes to them must not mislead the next one."""
        return References(images=self._references.images.clone(), labels=self._references.labels.clone())

    def _streams(self, purpose: str, attack: str, indices: Sequence[int], *more: int) -> ImageStreams:
        return ImageStreams(indices, self._device, purpose, self._seed, attack, *more)
