"""A defense as it is deployed: frozen, its threshold fixed, its randomness bound to images."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from robench.api import Candidate, Candidates, PluginError, Verdict
from robench.engine.precision import computing
from robench.engine.seeding import CalmStreams, SelectedStreams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robench.api import Goal, ImageRandom


def freeze(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a module to the device in channels-last format, in evaluation mode, without parameter gradients."""
    module = module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module.eval().requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A trained defense with its threshold.

    Attributes:
        name: Of the defense.
        module: Images (and randomness, if stochastic) to a ``Verdict``.
        classifier: The undefended classifier.
        classes: Number K of classes.
        threshold: Scores above it are rejected; None when it never rejects.
        stochastic: Whether the module takes an ``ImageRandom``.
        selecting: Whether the module shows its candidates.
        differentiable: Whether gradients pass through it, as it declares.
        precision: Number format in which ``module`` computes: ``float32``, except in the search form of a defense.
    """

    name: str
    module: nn.Module
    classifier: nn.Module
    classes: int
    threshold: float | None
    stochastic: bool
    selecting: bool = False
    differentiable: bool = True
    precision: str = "float32"

    def verdict(self, images: Tensor, random: ImageRandom) -> Verdict:
        """Ask the defense and check the form of its answer.

        Raises:
            PluginError: If the answer is no ``Verdict`` or has another form than declared, or the images were written
                to.
        """
        with self.reading(images), computing(self.precision, images.device):
            answer = self.module(images, random) if self.stochastic else self.module(images)
        if self.precision != "float32" and isinstance(answer, Verdict):
            score = None if answer.score is None else answer.score.float()
            answer = Verdict(logits=answer.logits.float(), score=score)
        self._check(answer, len(images))
        return answer  # type: ignore[no-any-return]

    def candidates(self, images: Tensor, random: ImageRandom) -> Candidates:
        """Ask a selecting defense what it chooses from.

        Raises:
            PluginError: If the defense is not declared ``selecting``, the answer has another form than declared, or the
                images were written to.
        """
        if not self.selecting:
            message = f"defense {self.name} does not show what it chooses from"
            raise PluginError(message, "use an attack that does not need its candidates")
        ask = self.module.candidates
        with self.reading(images), computing(self.precision, images.device):
            answer: object = ask(images, random) if self.stochastic else ask(images)  # type: ignore[operator]
        if not isinstance(answer, Candidates) or tuple(answer.errors.shape) != (len(images), self.classes):
            message = f"defense {self.name}: its candidates are {type(answer).__name__}"
            raise PluginError(message, f"return robench.api.Candidates with errors of shape (N, {self.classes})")

        def take(choice: Tensor) -> Candidate:
            with computing(self.precision, images.device):
                return _widened(answer.take(choice))

        return Candidates(errors=answer.errors.detach().float(), take=take)

    def candidate(self, images: Tensor, random: ImageRandom, choice: Tensor) -> Candidate:
        """Ask a selecting defense for the candidates of these classes only, shape (N,), int64, see ``keeps``.

        Raises:
            PluginError: If the answer has another form than declared, or the images were written to.
        """
        ask = self.module.candidate
        with self.reading(images), computing(self.precision, images.device):
            answer: object = ask(images, random, choice) if self.stochastic else ask(images, choice)  # type: ignore[operator]
        if not isinstance(answer, Candidate):
            message = f"defense {self.name}: its candidate is {type(answer).__name__}"
            raise PluginError(message, "return robench.api.Candidate, see DefenseSpec.selecting")
        return _widened(answer)

    @property
    def keeps(self) -> bool:
        """Whether a search may keep to a candidate for some steps, see ``choose``.

        Not where every answer can be compared with a library's: in float32, without random draws.
        """
        comparable = self.precision == "float32" and not self.stochastic
        return self.selecting and not comparable and callable(getattr(type(self.module), "candidate", None))

    def choose(self, images: Tensor, random: ImageRandom, choice: Tensor | None) -> tuple[Verdict, Tensor]:
        """Ask a selecting defense, but for these candidates, shape (N,), int64, without a look at the others.

        Args:
            images: Shape (N, C, H, W), float32, in [0, 1].
            random: Streams of the images.
            choice: None to look at all candidates.

        Returns:
            The answer and the choice, which is that of the defense if there was a look.

        Raises:
            PluginError: If the answer has another form than declared, or the images were written to.
        """
        if choice is None:
            found = self.candidates(images, random)
            choice = found.errors.argmin(1)
            taken = found.take(choice)
        else:
            taken = self.candidate(images, random, choice)
        verdict = Verdict(logits=taken.logits, score=None if self.threshold is None else taken.error)
        self._check(verdict, len(images))
        return verdict, choice

    @contextmanager
    def reading(self, images: Tensor) -> Iterator[None]:
        """Let the defense see images that it must not write to: others look at the same memory.

        Torch counts what is written to a tensor and to its views, which costs nothing to ask. Writes past torch,
        through ``.data`` or numpy, are not counted; the judge compares the images themselves.

        Raises:
            PluginError: If they were written to.
        """
        counted = not images.is_inference()
        before = images._version if counted else 0  # noqa: SLF001 (the only way to ask)
        yield
        if counted and images._version != before:  # noqa: SLF001
            raise self.has_written()

    def has_written(self) -> PluginError:
        """Return what to raise where the defense has changed the images it was asked about."""
        message = f"defense {self.name} writes to the images it is asked about"
        return PluginError(message, "use no in-place operations on them, or clone them first")

    def rejects(self, score: Tensor | None, like: Tensor) -> Tensor:
        """Say which images are rejected, shape (N,), bool, given their scores and anything of that length."""
        if self.threshold is None or score is None:
            return torch.zeros(len(like), dtype=torch.bool, device=like.device)
        return score > self.threshold

    def reaches(self, goal: Goal, logits: Tensor, score: Tensor | None, labels: Tensor) -> Tensor:
        """Say which answers are what an attack is after, shape (N,), bool.

        Args:
            goal: ``wrong`` or ``rejected``.
            logits: Shape (N, K).
            score: Shape (N,), or None.
            labels: Shape (N,), int64: the true classes.
        """
        rejected = self.rejects(score, logits)
        return rejected if goal == "rejected" else (logits.argmax(1) != labels) & ~rejected

    def _check(self, answer: object, count: int) -> None:
        if not isinstance(answer, Verdict):
            message = f"defense {self.name} answered with {type(answer).__name__}"
            raise PluginError(message, "its forward must return a robench.api.Verdict")
        if tuple(answer.logits.shape) != (count, self.classes):
            message = f"defense {self.name}: logits have shape {tuple(answer.logits.shape)}"
            raise PluginError(message, f"expected ({count}, {self.classes})")
        if answer.logits.dtype != torch.float32:
            message = f"defense {self.name}: logits are {answer.logits.dtype}"
            raise PluginError(message, "answer in float32")
        if self.threshold is not None and answer.score is None:
            message = f"defense {self.name} is declared rejecting but its verdict has no score"
            raise PluginError(message, "return a score, or declare rejecting=False")
        if answer.score is not None and tuple(answer.score.shape) != (count,):
            message = f"defense {self.name}: score has shape {tuple(answer.score.shape)}"
            raise PluginError(message, f"expected ({count},)")


def _widened(candidate: Candidate) -> Candidate:
    return Candidate(images=candidate.images.float(), logits=candidate.logits.float(), error=candidate.error.float())


class Memo:
    """What a search has seen of the defense's answers to the rows at hand.

    Attributes:
        queries: Number of images that have gone through the defense in all.
    """

    def __init__(self) -> None:
        self.queries = 0
        self._hits: Tensor | None = None

    def note(self, hits: Tensor) -> None:
        """Remember which rows an answer is a win for; several answers to the same rows add up."""
        same = self._hits is not None and self._hits.shape == hits.shape
        self._hits = self._hits | hits if same and self._hits is not None else hits

    def take(self) -> Tensor | None:
        """Return which rows have been seen to win since the last call; None if nobody asked."""
        hits, self._hits = self._hits, None
        return hits


@dataclass(kw_only=True)
class Choices:
    """What a selecting defense has chosen for the rows at hand, when it is first asked about all of them.

    Attributes:
        rows: How many there are, N.
        kept: Shape (N,), int64: what to keep to; None to have the defense choose.
        made: What was chosen; None if nobody has asked.
    """

    rows: int
    kept: Tensor | None = None
    made: Tensor | None = None


class BoundTarget:
    """A deployed defense with the random streams of one batch; see ``robench.api.Target``.

    Args:
        deployed: The defense, or its search form.
        random: One stream per row.
        labels: True classes of the rows, shape (N,), int64, if wins are to be noticed.
        goal: What a win is.
        memo: Where they are noted.
        choices: What ``verdict`` keeps to and reports, if the choice is to be kept.
    """

    def __init__(
        self,
        deployed: Deployed,
        random: ImageRandom,
        labels: Tensor | None = None,
        goal: Goal = "wrong",
        memo: Memo | None = None,
        *,
        choices: Choices | None = None,
    ) -> None:
        self._deployed = deployed
        self._random = random
        self._labels = labels
        self._goal: Goal = goal
        self._memo = memo or Memo()
        self._choices = choices
        self._head = Head(self)
        self._classifier = Bare(deployed)

    @property
    def classes(self) -> int:
        """Number K of classes."""
        return self._deployed.classes

    @property
    def threshold(self) -> float | None:
        """Scores above it are rejected."""
        return self._deployed.threshold

    @property
    def stochastic(self) -> bool:
        """Whether the same image may get another answer."""
        return self._deployed.stochastic

    @property
    def selecting(self) -> bool:
        """Whether the defense shows what it chooses from."""
        return self._deployed.selecting

    @property
    def classifier(self) -> nn.Module:
        """The undefended classifier."""
        return self._classifier

    @property
    def head(self) -> nn.Module:
        """The deployed composite as one function."""
        return self._head

    def verdict(self, images: Tensor) -> Verdict:
        """Ask the defense itself."""
        choices = self._choices
        if choices is None or choices.made is not None or len(images) != choices.rows:
            verdict = self._deployed.verdict(images, self._random)
        else:
            verdict, choices.made = self._deployed.choose(images, self._random, choices.kept)
        self._note(verdict.logits, verdict.score)
        return verdict

    def candidates(self, images: Tensor) -> Candidates:
        """Ask what the defense chooses from. A candidate that it would choose counts as its answer."""
        found = self._deployed.candidates(images, self._random)
        self._memo.queries += len(images)
        chosen = found.errors.argmin(1)

        def take(choice: Tensor) -> Candidate:
            candidate = found.take(choice)
            self._note(candidate.logits, candidate.error, choice == chosen, queries=0)
            return candidate

        return Candidates(errors=found.errors, take=take)

    def calm(self) -> BoundTarget:
        """Return the same defense with every random draw at its mean."""
        return BoundTarget(self._deployed, CalmStreams(self._random), self._labels, self._goal, self._memo)

    def keeping(self, choices: Choices) -> BoundTarget:
        """Return the same defense, whose ``verdict`` keeps to these choices and reports what was chosen."""
        return BoundTarget(self._deployed, self._random, self._labels, self._goal, self._memo, choices=choices)

    def select(self, rows: Tensor) -> BoundTarget:
        """Return the same defense for some images of the batch."""
        labels = None if self._labels is None else self._labels[rows]
        return BoundTarget(self._deployed, SelectedStreams(self._random, rows), labels, self._goal, self._memo)

    @torch.no_grad()
    def _note(
        self, logits: Tensor, score: Tensor | None, answers: Tensor | None = None, queries: int | None = None
    ) -> None:
        self._memo.queries += len(logits) if queries is None else queries
        if self._labels is None or len(self._labels) != len(logits):
            return
        hits = self._deployed.reaches(self._goal, logits, score, self._labels)
        self._memo.note(hits if answers is None else hits & answers)


class Head(nn.Module):
    """Images to logits, shape (N, K), or (N, K + 1) with the paper's masked head where the defense rejects.

    Source: Wester & Thisted (2020), section 4, and the authors' notebook: [logits * 1(s <= t), 1(s > t)].
    """

    def __init__(self, target: BoundTarget) -> None:
        super().__init__()
        self._target = target

    def forward(self, images: Tensor) -> Tensor:
        """Answer images, shape (N, C, H, W), float32, in [0, 1]."""
        verdict = self._target.verdict(images)
        threshold = self._target.threshold
        if threshold is None or verdict.score is None:
            return verdict.logits
        rejected = (verdict.score > threshold).to(verdict.logits.dtype)[:, None]
        return torch.cat([verdict.logits * (1 - rejected), rejected], dim=1)


class Bare(nn.Module):
    """The classifier without its defense, in the number format of the latter: images to logits, shape (N, K)."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__()
        self._deployed = [deployed]  # in a list, lest its modules become children: whoever moves this one moves them

    def forward(self, images: Tensor) -> Tensor:
        """Answer images, shape (N, C, H, W), float32, in [0, 1]."""
        (deployed,) = self._deployed
        with computing(deployed.precision, images.device):
            logits: Tensor = deployed.classifier(images)
        return logits.float()
