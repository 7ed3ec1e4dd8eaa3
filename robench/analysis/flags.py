"""What follows from the measurements of a diagnosis. Each rule makes one finding; none knows how it was measured.

Unless a rule says otherwise, a flag that concerns images is a WARN from the first image on and a FAIL from 5 % of them,
two at least, on: so much would move robust accuracy beyond what a reader may take for rounding, and one image of few is
an anecdote.

Source: Carlini et al. (2019), "On evaluating adversarial robustness", section 4; Pintor et al. (2022), "Indicators of
attack failure", section 3; Tramer et al. (2020), section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.analysis.monotone import check_monotone
from robench.api.records import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from robench.analysis.judged import Judged
    from robench.api.records import FindingStatus

_MANY = 0.05
"""Share of the images from which on a flag is a failure."""
_SEVERAL = 2
_RISE = 0.05
"""Rise of the best loss over the last steps beyond which an attack had not come to an end: Pintor et al. (2022)."""
_CHANGE = 0.1
"""Relative change of the loss under noise beyond which gradients say little: Pintor et al. (2022)."""
_SIGNIFICANT = 0.05

_SOUND = "nothing is wrong here"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many of how many.

    Attributes:
        count: Those meant.
        of: All, an image at several epsilons as often.
    """

    count: int
    of: int

    @property
    def share(self) -> float:
        """In [0, 1]; 0 of nothing."""
        return self.count / self.of if self.of else 0.0

    @property
    def status(self) -> FindingStatus:
        """PASS for none, WARN for some, FAIL for many."""
        many = self.share >= _MANY and self.count >= _SEVERAL
        return "FAIL" if many else "WARN" if self.count else "PASS"

    def __str__(self) -> str:
        return f"{self.count} of {self.of}"


def not_run(attack: str, name: str, reason: str) -> Finding:
    """Say that a diagnostic could not run. That is no PASS: what was not looked at may be wrong."""
    return _finding(f"{attack}: {name}", "WARN", "not run", reason, "mend that and diagnose again")


def zero_gradient(attack: str, clean: Tally, ends: Tally) -> Finding:
    """Judge how many images have no gradient.

    Args:
        attack: Name.
        clean: Images as they are, of those that the defense does not answer wrongly.
        ends: End points of the attack, of those that have not won.
    """
    status = max((clean.status, ends.status), key=("PASS", "WARN", "FAIL").index)
    return _finding(
        f"{attack}: zero-gradient",
        status,
        f"{clean} clean, {ends} end points",
        "there the input gradient is exactly zero or not finite, so the attack does not move"
        if status != "PASS"
        else "every image that stands has a gradient",
        "attack the parts of the defense (adaptive), or replace what has no gradient by a differentiable stand-in",
    )


def order(attack: str, simpler: Tally) -> Finding:
    """Judge how many images one step of the gradient or random noise wins that the attack loses."""
    return _counted(
        attack,
        "order",
        simpler,
        "one step or random noise wins what the attack loses",
        "look for masked gradients; give the attack more steps, restarts or another loss",
    )


def monotone(attack: str, by_epsilon: Mapping[str, Judged]) -> Finding:
    """Judge whether robust accuracy rises with epsilon: WARN if it does, FAIL if luck does not explain it.

    The p of McNemar's exact test is multiplied by the number of pairs of epsilons, of which the worst was picked.

    Args:
        attack: Name.
        by_epsilon: What became of the images, by epsilon as exact decimal text.
    """
    if len(by_epsilon) < 2:  # noqa: PLR2004
        return not_run(attack, "monotone", "it takes two epsilons")
    found = check_monotone(by_epsilon)
    pairs = len(by_epsilon) * (len(by_epsilon) - 1) // 2
    sure = found.p * pairs < _SIGNIFICANT
    rises = found.rise > 0
    return _finding(
        f"{attack}: monotone",
        "FAIL" if rises and sure else "WARN" if rises else "PASS",
        f"{100 * found.rise:+.1f} points from epsilon {found.smaller} to {found.larger}",
        "robust accuracy rises with epsilon, though what wins in a small ball lies in the larger one"
        if rises
        else "robust accuracy never rises with epsilon",
        "count the worst case over smaller epsilons and all iterates; look for masked gradients",
    )


def silent_success(attack: str, silent: Tally) -> Finding:
    """Judge how many images an earlier iterate had won that the last one loses."""
    return _counted(
        attack,
        "silent-success",
        silent,
        "an earlier iterate had won, and the last one, which counts, does not",
        "count every iterate (--worst-case, or an adaptive attack)",
    )


def incomplete(attack: str, rise: float | None, more: Tally | None) -> Finding:
    """Judge whether the loss was still rising where the attack lost.

    That alone is a WARN, and none if twice the effort wins nothing more: then it did not matter.

    Args:
        attack: Name.
        rise: Relative rise over the last ten steps; None where nothing was to be seen.
        more: What twice the effort wins; None if that was not tried.
    """
    rises = rise is not None and rise > _RISE
    harmless = more is not None and more.count == 0
    meaning = "the attack had come to an end"
    if rises:
        meaning = "the loss still rose, but twice the effort wins nothing more" if harmless else "the loss still rose"
    return _finding(
        f"{attack}: incomplete",
        "WARN" if rises and not harmless else "PASS",
        "nothing to climb" if rise is None else f"{100 * rise:+.1f} % over the last 10 steps",
        meaning,
        "give the attack more or larger steps",
    )


def doubling(attack: str, what: str, more: Tally) -> Finding:
    """Judge how many more images twice the effort wins.

    Args:
        attack: Name.
        what: Was doubled.
        more: Images won only so, of those that stood.
    """
    return _counted(attack, "doubling", more, f"twice the {what} win more", f"double the {what} until nothing changes")


def unbounded(attack: str, lost: Tally, epsilon: str = "1") -> Finding:
    """Judge the control at an epsilon where any image may become any other: every loss is a FAIL."""
    return _finding(
        f"{attack}: unbounded",
        "FAIL" if lost.count else "PASS",
        f"{lost} stand at epsilon {epsilon}",
        "every image can be turned into any other, so the attack fails, not the image"
        if lost.count
        else "the attack wins where it must",
        "the attack does not work on this defense: look for masked gradients, or use one that knows it",
    )


def chance(attack: str, standing: Tally, most_frequent: int, epsilon: str = "0.5") -> Finding:
    """Judge the control at an epsilon where every image can be turned grey, without a detector.

    A grey image has one answer, right for the most frequent class at best: more that stand are a FAIL.

    Args:
        attack: Name.
        standing: Images that the attack loses.
        most_frequent: Number of images of the most frequent class.
        epsilon: Decimal text.
    """
    fails = standing.count > most_frequent
    return _finding(
        f"{attack}: chance",
        "FAIL" if fails else "PASS",
        f"{standing} stand at epsilon {epsilon}, by chance {most_frequent}",
        "grey images alone would do better, so the attack fails, not the image"
        if fails
        else "the attack does not do worse than grey images",
        "the attack does not work on this defense even without its detector: look for masked gradients",
    )


def ablation(attack: str, lost: Tally) -> Finding:
    """Judge how many images the attack wins against the defense but loses where the detector is taken out."""
    return _counted(
        attack,
        "ablation",
        lost,
        "the attack wins against the detector and loses without it, though it is easier",
        "the attack searches badly: give it more steps, restarts or another loss",
    )


def beaten(attack: str, by: str, only: Tally, rivals: Sequence[str]) -> Finding:
    """Judge how many images only weaker attacks win.

    Args:
        attack: Name.
        by: ``transfer`` or ``black-box``.
        only: Images that the attack loses and a rival wins.
        rivals: Their names; none ran if empty.
    """
    name = f"beaten-by-{by}"
    if not rivals:
        return not_run(attack, name, f"no {by} attack was run beside it")
    return _counted(
        attack,
        name,
        only,
        f"only {', '.join(rivals)} won there, without the defense's gradients",
        "its gradients mislead: look for masked or random ones, or use a differentiable stand-in",
    )


def randomised(attack: str, differing: Tally, *, declared: bool, averaging: bool) -> Finding:
    """Judge whether the defense answers at random, and whether the evaluation minds it.

    Args:
        attack: Name.
        differing: Images whose answer differs between passes.
        declared: Whether the defense is declared stochastic.
        averaging: Whether the attack is judged on several draws and takes some into account.
    """
    random = bool(differing.count)
    minded = declared and averaging
    meaning = "the defense answers the same each time"
    if random:
        meaning = "it is not declared stochastic, so nothing averages over its draws and no run can be repeated"
        if declared:
            meaning = "the attack sees one draw and is judged on another"
        if minded:
            meaning = "wins are confirmed and judged on several fresh draws"
    return _finding(
        f"{attack}: randomised",
        "FAIL" if random and not minded else "PASS",
        f"{differing} answers differ",
        meaning,
        "declare it stochastic" if not declared else "use attacks that average over draws (adaptive)",
    )


def probabilities(attack: str, found: bool) -> Finding:
    """Judge whether the logits are probabilities, which is a WARN."""
    return _finding(
        f"{attack}: probabilities",
        "WARN" if found else "PASS",
        "rows sum to 1" if found else "logits",
        "a softmax hides the logits, and where it saturates gradients vanish"
        if found
        else "the answers are no probabilities",
        "let the defense answer with logits",
    )


def unstable_loss(attack: str, change: float) -> Finding:
    """Judge whether little noise changes the loss much, which is a WARN.

    Args:
        attack: Name.
        change: In units of the loss.
    """
    unstable = not change <= _CHANGE
    return _finding(
        f"{attack}: unstable-loss",
        "WARN" if unstable else "PASS",
        f"{100 * change:.1f} % under noise of 4/255",
        "the loss is rough, so its gradient says little of a step's worth" if unstable else "the loss is smooth",
        "average gradients over noise or draws, or use a differentiable stand-in",
    )


def _counted(attack: str, name: str, tally: Tally, meaning: str, mend: str) -> Finding:
    return _finding(
        f"{attack}: {name}",
        tally.status,
        str(tally) if tally.of else "nothing stands",
        meaning if tally.count else "",
        mend,
    )


def _finding(name: str, status: FindingStatus, number: str, meaning: str, mend: str) -> Finding:
    return Finding(
        name=name,
        status=status,
        number=number,
        meaning=meaning or _SOUND,
        mend="" if status == "PASS" else mend,
    )
