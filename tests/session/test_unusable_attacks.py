"""An installed attack that nobody asked for must not cost others their ensemble."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from robench.api import AttackSpec, SweepContext
from robench.api.records import ADAPTIVE
from robench.engine.progress import Silent
from robench.session.workbench import Workbench

if TYPE_CHECKING:
    from torch import Tensor

    from tests.conftest import ToyLab


@dataclass(frozen=True, kw_only=True)
class Mistyped:
    rate: int = 0.5  # type: ignore[assignment]


def search(context: SweepContext[Mistyped]) -> Tensor:
    raise NotImplementedError


def test_an_attack_whose_defaults_do_not_fit_their_types_leaves_the_ensemble_alone(lab: ToyLab) -> None:
    session = lab.session()
    noise = session.catalog.attack("noise")
    spec = AttackSpec(
        name="mistyped",
        summary="",
        source="",
        knowledge="adaptive",
        parameters=Mistyped,
        sweep=search,
        effort="quick",
    )
    entry = replace(noise, name="mistyped", spec=spec, distribution="acme", entry_point="main", version="1.0")
    catalog = replace(session.catalog, attacks={**session.catalog.attacks, "mistyped": entry})
    request = session.resolve(lab.overrides(defenses=("none",), attacks=(ADAPTIVE,)))
    bench = Workbench(request, catalog, Silent())
    assert "noise" in [assault.name for assault in bench.adaptive]
    (failure,) = bench.unusable
    assert (failure.distribution, failure.entry_point) == ("acme", "main")
    assert "parameter rate of Mistyped: must be a whole number" in failure.reason
