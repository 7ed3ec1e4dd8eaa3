"""Diagnoses: an honest attack passes; what masks its gradients is flagged by the rule that fits."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.api import AttackSpec, ImageRandom, Verdict
from robench.engine.data import LoadedSplit
from robench.engine.deploy import Deployed, freeze
from robench.engine.diagnostics.examples import FirstExamples
from robench.engine.diagnostics.probe import Probe
from robench.engine.plan import Assault, Ensemble
from robench.engine.prepare import Offer, Prepared
from robench.engine.progress import Silent
from robench.engine.runner import pick_references
from robench.session.diagnosing import _collect, _trying
from robench.session.diagnosing_attacks import AttackDiagnosis
from robench.session.diagnosing_ensembles import EnsembleDiagnosis, Found, found_by, search
from robench_plugins.attacks.blind import robench_attacks as blind_attacks
from robench_plugins.attacks.detector import robench_attacks as detector_attacks
from robench_plugins.attacks.gradient import robench_attacks as gradient_attacks

if TYPE_CHECKING:
    from robench.api.records import Finding

CPU = torch.device("cpu")
IMAGES = 16
EPSILONS = ("0.05", "0.15", "0.3")


class Bars(nn.Module):
    """Knows four kinds of bars, 8 x 8 pixels: a small network whose weights are their templates."""

    def __init__(self) -> None:
        super().__init__()
        bands = torch.zeros(4, 1, 8, 8)
        for kind in range(4):
            bands[kind, 0, 2 * kind : 2 * kind + 2] = 1 / 16
        self.bands = nn.Parameter(bands.flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        means = images.flatten(1) @ self.bands.T
        return 20 * functional.softplus(means - 0.2, beta=10)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.classifier = Bars()

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(logits=self.classifier(images))


class Rounding(Plain):
    """Rounds pixels to eight levels, which passes no gradient."""

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(logits=self.classifier((7 * images).round() / 7))


class Detector(Plain):
    """Scores brightness; above the threshold the masked head has no gradient."""

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(logits=self.classifier(images), score=images.mean((1, 2, 3)))


class Cliff(Plain):
    """Cuts the gradient where an image is brighter than clean ones are."""

    def forward(self, images: Tensor) -> Verdict:
        bright = (images.amax((1, 2, 3)) > 0.9).view(-1, 1, 1, 1)
        return Verdict(logits=self.classifier(torch.where(bright, images.detach(), images)))


class Saturated(Plain):
    """Answers with probabilities that are 0 or 1."""

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(logits=functional.softmax(1000 * self.classifier(images), dim=1))


class Shifting(Plain):
    """Shifts images by up to two pixels and scales them, on draws that nobody knows of."""

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(logits=self.classifier(_shifted(images, torch.rand(len(images), 2))))


class DeclaredShifting(Plain):
    """The same, on draws of the evaluation."""

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:  # type: ignore[override]
        return Verdict(logits=self.classifier(_shifted(images, random.uniform(2))))


class Optimising(Plain):
    """Moves each image towards what the classifier is surer of, and lets no gradient through."""

    def forward(self, images: Tensor) -> Verdict:
        with torch.inference_mode(False), torch.enable_grad():
            purified = images.detach().clone()
            for _ in range(5):
                purified.requires_grad_(True)
                sureness = self.classifier(purified).amax(1).sum()
                (gradient,) = torch.autograd.grad(sureness, purified)
                purified = (purified + 0.02 * gradient.sign()).clamp(0, 1).detach()
            return Verdict(logits=self.classifier(purified))


class Rough(Plain):
    """Adds a ripple to each pixel that no step can follow."""

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(logits=self.classifier(images + 0.5 * (400 * images).sin()))


def _shifted(images: Tensor, draws: Tensor) -> Tensor:
    """Shift by up to a pixel and scale by up to a tenth, (N, C, H, W), by draws in [0, 1), (N, 2)."""
    scale, shift = 0.9 + 0.2 * draws[:, 0], 0.25 * (2 * draws[:, 1] - 1)
    zero, one = torch.zeros_like(scale), torch.ones_like(scale)
    grid = torch.stack([torch.stack([one, zero, zero], 1), torch.stack([zero, scale, shift], 1)], 1)
    return functional.grid_sample(
        images, functional.affine_grid(grid, list(images.shape), align_corners=False), align_corners=False
    )


def split(seed: int, count: int) -> LoadedSplit:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, count)
    images = generator.uniform(0, 0.3, (count, 1, 8, 8)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * label : 2 * label + 2] += 0.4
    return LoadedSplit(images=images, labels=labels.astype(np.int64), digest="")


def probe(module: Plain, *, threshold: float | None = None) -> Probe:
    freeze(module, CPU)
    deployed = Deployed(
        name="toy",
        module=module,
        classifier=module.classifier,
        classes=4,
        threshold=threshold,
        stochastic=isinstance(module, DeclaredShifting),
    )
    prepared = Prepared(
        deployed=deployed, search=deployed, digest="", rule=None, false_positive_rate=None, validation_images=0
    )
    references = pick_references(split(2, 40), CPU)
    return Probe(split(1, 40), references, prepared, range(IMAGES), seed=0, device=CPU, rows=100)


def assault(name: str, **parameters: Any) -> Assault:
    specs: dict[str, AttackSpec[Any]] = {
        spec.name: spec for spec in (*gradient_attacks(), *detector_attacks(), *blind_attacks())
    }
    spec = specs[name]
    offer = Offer(spec=spec, parameters=spec.parameters(**parameters), settings={}, origin={})
    keep = "last" if spec.knowledge == "naive" else "first-win"
    return Assault(offer=offer, form="sweep", keep=keep)  # type: ignore[arg-type]


def diagnose(module: Plain, *, threshold: float | None = None, name: str = "pgd") -> dict[str, Finding]:
    place = probe(module, threshold=threshold)
    rivals = _trying(place, [assault("noise"), assault("transfer")])
    found = _collect(place, AttackDiagnosis(place, assault(name), EPSILONS, rivals=rivals), Silent())
    return {finding.name.removeprefix(f"{name}: "): finding for finding in found}


def flagged(findings: dict[str, Finding], status: str | None = None) -> set[str]:
    return {name for name, finding in findings.items() if finding.status in ({status} if status else {"WARN", "FAIL"})}


@pytest.mark.parametrize("name", ["pgd", "bim"])
def test_an_honest_attack_on_the_undefended_classifier_passes_everything(name: str) -> None:
    findings = diagnose(Plain(), name=name)
    assert flagged(findings) == set(), findings
    assert len(findings) == 14
    assert "ablation" not in findings


def test_small_epsilons_where_nothing_wins_are_no_failure() -> None:
    place = probe(Plain())
    rivals = _trying(place, [assault("noise"), assault("transfer")])
    found = _collect(place, AttackDiagnosis(place, assault("pgd"), ("0.001", "0.002"), rivals=rivals), Silent())
    assert {finding.status for finding in found} == {"PASS"}, found


def test_the_naive_attack_on_a_detector_is_flagged() -> None:
    failed = flagged(diagnose(Detector(), threshold=0.33), "FAIL")
    assert {"zero-gradient", "silent-success", "unbounded", "beaten-by-transfer"} <= failed


def test_an_attack_that_one_step_beats_is_flagged() -> None:
    place = probe(Plain())
    lazy = AttackDiagnosis(place, assault("pgd", steps=1, relative_step=0.01), ("0.3",), rivals=_trying(place, []))
    findings = {finding.name: finding for finding in _collect(place, lazy, Silent())}
    assert findings["pgd: order"].status == "FAIL"
    assert findings["pgd: unbounded"].status == "FAIL"
    assert findings["pgd: chance"].status == "FAIL"
    assert findings["pgd: beaten-by-transfer"].number == "not run"


def test_a_rough_loss_is_noticed() -> None:
    assert diagnose(Rough())["unstable-loss"].status == "WARN"


def test_what_only_blind_attacks_win_is_flagged() -> None:
    place = probe(Plain())
    diagnosis = AttackDiagnosis(
        place, assault("pgd"), ("0.05",), rivals=lambda slots: {"noise": frozenset(slots), "transfer": frozenset()}
    )
    checks = diagnosis.checks()
    assert checks["beaten-by-black-box"]().status == "FAIL"
    assert checks["beaten-by-transfer"]().status == "PASS"


def test_an_attack_without_steps_to_double_is_not_passed_for_that() -> None:
    findings = diagnose(Plain(), name="fgsm")
    assert findings["doubling"].number == "not run"


def test_rounding_has_no_gradient() -> None:
    findings = diagnose(Rounding())
    assert {"zero-gradient", "unbounded", "chance"} <= flagged(findings, "FAIL")
    assert findings["zero-gradient"].number.startswith(f"{IMAGES} of {IMAGES} clean")


def test_a_gradient_that_ends_past_a_threshold_is_noticed_where_the_attack_ends() -> None:
    findings = diagnose(Cliff())
    assert findings["zero-gradient"].status == "FAIL"
    assert findings["zero-gradient"].number.startswith("0 of ")


def test_a_saturated_softmax_has_no_gradient_and_hides_its_logits() -> None:
    findings = diagnose(Saturated())
    assert findings["zero-gradient"].status == "FAIL"
    assert findings["probabilities"].status == "WARN"


@pytest.mark.parametrize(
    ("module", "mend"),
    [(Shifting, "declare it stochastic"), (DeclaredShifting, "use attacks that average over draws (adaptive)")],
)
def test_randomness_that_nobody_declares_or_averages_fails(module: type[Plain], mend: str) -> None:
    place = probe(module())
    finding = AttackDiagnosis(place, assault("pgd"), EPSILONS, rivals=_trying(place, [])).checks()["randomised"]()
    assert finding.status == "FAIL"
    assert finding.mend == mend


def test_a_defense_that_optimises_has_no_gradient_and_what_cannot_run_is_no_pass() -> None:
    findings = diagnose(Optimising())
    assert findings["zero-gradient"].status == "FAIL"
    assert findings["doubling"].status == "WARN"
    assert findings["doubling"].number == "not run"
    assert "no gradient" in findings["doubling"].meaning


def ensemble(*names: str, **more: dict[str, Any]) -> Ensemble:
    assaults = tuple(assault(name, **more.get(name, {})) for name in names)
    return Ensemble(name="adaptive", assaults=assaults, epsilons=EPSILONS)


def diagnose_ensemble(place: Probe, attacks: Ensemble) -> dict[str, Finding]:
    found = found_by(search(place, attacks, place.positions, attacks.epsilons))
    findings = _collect(place, EnsembleDiagnosis(place, attacks, found), Silent())
    return {finding.name.removeprefix("adaptive: "): finding for finding in findings}


def test_an_ensemble_that_searches_well_passes_everything() -> None:
    findings = diagnose_ensemble(probe(Plain()), ensemble("noise", "transfer", "joint"))
    assert flagged(findings) == set(), findings
    assert len(findings) == 9


def test_an_ensemble_minds_declared_randomness_only() -> None:
    found = Found(together={}, members={})
    for module, status in ((DeclaredShifting, "PASS"), (Shifting, "FAIL")):
        checks = EnsembleDiagnosis(probe(module()), ensemble("joint"), found).checks()
        assert checks["randomised"]().status == status


def test_an_ensemble_whose_gradients_are_masked_is_beaten_by_transfer_and_fails_its_control() -> None:
    short = {"steps": 12, "rounds": 2}
    findings = diagnose_ensemble(probe(Rounding()), ensemble("noise", "transfer", "joint", joint=short))
    assert findings["beaten-by-transfer"].status == "FAIL"
    alone = diagnose_ensemble(probe(Rounding()), ensemble("joint", joint=short))
    assert alone["unbounded"].status == "FAIL"
    assert alone["beaten-by-transfer"].number == "not run"


def test_an_ensemble_that_stops_too_early_wins_more_with_twice_the_steps() -> None:
    hasty = dataclasses.replace(ensemble("pgd"), assaults=(assault("pgd", steps=8, relative_step=0.05),))
    findings = diagnose_ensemble(probe(Plain()), hasty)
    assert findings["doubling"].status == "FAIL"
    assert "steps of pgd" in findings["doubling"].meaning
    assert findings["incomplete"].status == "WARN"


def test_doubling_does_not_count_what_a_random_defense_loses_to_the_attack_itself() -> None:
    place = probe(DeclaredShifting())
    stood = Found(together={"0.3": place.clean().outcomes}, members={})  # as if only luck had held it
    diagnosis = EnsembleDiagnosis(place, ensemble("joint", joint={"steps": 20, "rounds": 1}), stood)
    assert len(diagnosis._more.won) > IMAGES / 2
    assert diagnosis.checks()["doubling"]().status != "FAIL"


def test_what_the_rest_of_the_evaluation_has_won_is_no_matter_of_effort() -> None:
    hasty = assault("pgd", steps=8, relative_step=0.05)
    place = probe(Plain())
    alone = AttackDiagnosis(place, hasty, ("0.3",), rivals=_trying(place, []))
    spared = AttackDiagnosis(place, hasty, ("0.3",), rivals=_trying(place, []), others=lambda _: True)
    assert alone.checks()["doubling"]().status == "FAIL"
    assert spared.checks()["doubling"]().status == "PASS"
    assert spared.checks()["silent-success"]().status == alone.checks()["silent-success"]().status


def test_silent_success_is_looked_for_where_the_run_has_passed_by_a_win() -> None:
    place = probe(Detector(), threshold=0.33)
    naive = assault("pgd")
    positions = range(IMAGES, 2 * IMAGES)  # not those of the probe
    epsilons = [("0.3",)] * IMAGES
    outcomes = place.runner().attack(place.prepared, naive, positions, epsilons).by_epsilon(epsilons)
    assert any(item.search_won for item in outcomes["0.3"])
    diagnosis = AttackDiagnosis(place, naive, ("0.05",), rivals=_trying(place, []), outcomes=outcomes)
    finding = diagnosis.checks()["silent-success"]()
    assert finding.status == "FAIL"
    assert finding.number.endswith(f" of {IMAGES}")


def test_wins_are_found_again_and_rounded() -> None:
    place, attacks = probe(Plain()), ensemble("noise", "transfer", "joint")
    work = search(place, attacks, place.positions, attacks.epsilons)
    found, examples = found_by(work), FirstExamples()
    examples.keep("toy", "adaptive", place.positions, work.examples)
    diagnosis = EnsembleDiagnosis(place, attacks, found)
    wins = found.first_wins(diagnosis._repeated)
    assert wins
    assert diagnosis._won_again.won == frozenset(wins)
    kept = examples.of("toy", "adaptive")
    again = zip(diagnosis._won_again.slots, diagnosis._won_again.examples, strict=True)
    assert all(torch.equal(example, kept[slot]) for slot, example in again)
    at_hand = EnsembleDiagnosis(place, attacks, found, examples=kept)
    assert at_hand.checks()["rounding"]() == diagnosis.checks()["rounding"]()
    assert diagnosis.checks()["rounding"]().number == f"{len(wins)} of {len(wins)} wins survive"
    assert diagnosis.checks()["restarts"]().number.endswith("by twice the rounds of joint")
