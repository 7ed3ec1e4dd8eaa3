"""An attack on the bench."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

from robench.api import AttackSpec, NoParameters
from robench.engine.deploy import BoundTarget
from robench.engine.plan import Assault, choose_form
from robench.engine.runner import Runner, pick_references
from robench.registry.requirements import missing_modules
from robench.testing.benches.bench import SEED, ModelBench, plain_offer
from robench.testing.checks.check import NotRun
from robench.testing.models import TARGETS, Constant, Linear, random_corner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from robench.api import AttackContext, Norm, References, SweepContext
    from robench.engine.ascent import Observe
    from robench.engine.prepare import Offer, Prepared
    from robench.engine.runner import Attacked

    Context = AttackContext[Any] | SweepContext[Any]
    Around = Callable[[Context], AbstractContextManager[object]]

_FORMS = ("run", "sweep", "minimal")
_HOMES = ("plain", "detecting", "stochastic", "selecting")
_CALLS, _CALLS_PER_COST = 5000, 20
"""How often an attack may ask a constant model, plus how often for each pass of its declared cost."""
_COSTLY = 1000
"""Passes for one image beyond which an attack is tried on fewer images."""

CORNER: AttackSpec[NoParameters] = AttackSpec(
    name="random-corner",
    summary="a random corner of the ball",
    source="made up",
    knowledge="oblivious",
    parameters=NoParameters,
    run=random_corner,
)


class AttackBench(ModelBench[AttackSpec[Any]]):
    """An attack before small defenses."""

    def preset(self) -> Mapping[str, object]:
        """Return what the quick effort makes of the parameters."""
        return self.spec.presets.get("quick", {})

    def configure(self) -> Offer:
        """Make the parameters.

        Raises:
            NotRun: If a module is missing that the attack needs.
        """
        missing = missing_modules(self.spec)
        if missing:
            message = f"it needs {', '.join(missing)}: install {', '.join(missing.values())}"
            raise NotRun(message)
        return super().configure()

    @cached_property
    def _targets(self) -> dict[str, Prepared]:
        return {}

    def prepared(self, target: str) -> Prepared:
        """Return one of the defenses of ``models.TARGETS``, ready to be attacked."""
        if target not in self._targets:
            self._targets[target] = self.prepare(target)
        return self._targets[target]

    def prepare(self, target: str) -> Prepared:
        """Prepare one of these defenses anew."""
        prepared = self.workshop.prepare(plain_offer(TARGETS[target]), self.classifier)
        if isinstance(prepared.deployed.module, Constant):
            prepared.deployed.module.calls.most = _CALLS + _CALLS_PER_COST * self.spec.cost
        return prepared

    @property
    def linear(self) -> Linear:
        """The classifier that the defenses are built around."""
        classifier = self.classifier
        if not isinstance(classifier, Linear):
            raise TypeError(classifier)
        return classifier

    @property
    def references(self) -> References:
        """Clean images for attacks to start from: a copy for each attack."""
        return pick_references(self.workshop.splits.validation, self.device)

    @property
    def assaults(self) -> list[Assault]:
        """The attack in each of its forms, as a run of adaptive attacks would have them."""
        native = choose_form(self.offer, "native", worst_case=self.spec.effort is not None)
        return [native, choose_form(self.offer, "foolbox")] if self.spec.run and self.spec.sweep else [native]

    @property
    def ways(self) -> list[tuple[Assault, Norm]]:
        """The attack in each of its forms, in each norm that it declares."""
        return [(assault, norm) for assault in self.assaults for norm in self.spec.norms]

    def suits(self, target: str) -> bool:
        """Say whether an ensemble would run the attack against a defense."""
        prepared = self.prepared(target)
        return self.spec.suits is None or self.spec.suits(BoundTarget(prepared.search, self.streams(range(1))))

    def require_suited(self, target: str) -> None:
        """Stand back from an attack that does not suit a defense.

        Raises:
            NotRun: If so.
        """
        if not self.suits(target):
            message = f"it does not suit {target} defenses"
            raise NotRun(message)

    @property
    def home(self) -> str:
        """The first of the defenses that the attack suits."""
        return next((target for target in _HOMES if self.suits(target)), "plain")

    @property
    def few(self) -> range:
        """Positions of some images: fewer for an attack that takes thousands of passes."""
        return range(6) if self.spec.cost < _COSTLY else range(2)

    @property
    def many(self) -> range:
        """Positions of enough images to count on how many an attack wins."""
        return range(20) if self.spec.cost < _COSTLY else range(5)

    def attack(
        self,
        target: str | Prepared,
        assault: Assault,
        positions: Sequence[int],
        epsilons: Sequence[str],
        *,
        norm: Norm | None = None,
        around: Around = lambda _: nullcontext(),
        observe: Observe | None = None,
    ) -> Attacked:
        """Attack test images as a run does.

        Args:
            target: Which defense of ``models.TARGETS``, or a defense itself.
            assault: The attack.
            positions: Of the images in the order of a run.
            epsilons: Decimal texts.
            norm: One that the attack declares; the first of them if None.
            around: Makes what is entered around the plugin's own function, given what that is called with.
            observe: Told of each step of an ascent.

        Raises:
            PluginError: If the attack breaks the engine's rules.
        """
        runner = Runner(
            self.workshop.splits.test,
            self.references,
            seed=SEED,
            device=self.device,
            rows=100,
            norm=norm or self.spec.norms[0],
            observe=observe,
        )
        prepared = self.prepared(target) if isinstance(target, str) else target
        return runner.attack(prepared, _surrounded(assault, around), positions, [tuple(epsilons)] * len(positions))

    def corner(self) -> Assault:
        """Return the attack that every other one has to beat."""
        return Assault(offer=dataclasses.replace(self.offer, spec=CORNER, parameters=NoParameters()), form="plain")

    def epsilon(self, share: float, norm: Norm | None = None) -> str:
        """Return a radius that moves an image as far as this share of [0, 1] at every pixel would."""
        channels, height, width = self.workshop.splits.spec.shape
        return f"{share if (norm or self.spec.norms[0]) == 'linf' else share * (channels * height * width) ** 0.5:.4g}"


def _surrounded(assault: Assault, around: Around) -> Assault:
    """Return the same attack with a context entered around each of its functions."""

    def surround(form: Callable[[Context], object]) -> Callable[[Context], object]:
        def call(context: Context) -> object:
            with around(context):
                return form(context)

        return call

    spec = assault.offer.spec
    forms = {name: surround(getattr(spec, name)) for name in _FORMS if getattr(spec, name) is not None}
    offer = dataclasses.replace(assault.offer, spec=dataclasses.replace(spec, **forms))
    return dataclasses.replace(assault, offer=offer)
