"""Which attacks are run together against a defense."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import torch

from robench.analysis.evidence import ALPHAS
from robench.api.records import ADAPTIVE, REJECTION, WORST_CASE
from robench.engine.deploy import BoundTarget
from robench.engine.plan import Ensemble
from robench.engine.seeding import ImageStreams
from robench.errors import describe_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared
    from robench.session.workbench import Workbench


def ensembles_for(bench: Workbench, prepared: Prepared | None, note: Callable[[str], None]) -> list[Ensemble]:
    """Return the ensembles that a run puts against a defense.

    Args:
        bench: The request with everything it names.
        prepared: The defense; one that could not be prepared gets all attacks, to be recorded as failed.
        note: Told of attacks that cannot say whether they suit the defense.
    """
    request = bench.request
    suiting = [assault for assault in bench.adaptive if prepared is None or _suits(assault, prepared, note)]
    fooling = tuple(assault for assault in suiting if assault.goal == "wrong")
    if request.worst_case:
        listed = (*bench.assaults, *(item for item in fooling if item.name not in request.attacks))
        found = [Ensemble(name=WORST_CASE, assaults=listed, epsilons=request.epsilons)]
    else:
        found = [Ensemble(name=ADAPTIVE, assaults=fooling, epsilons=request.epsilons)] if fooling else []
    rejecting = tuple(assault for assault in suiting if assault.goal == "rejected")
    if rejecting and prepared is not None and prepared.deployed.threshold is not None:
        radii = rejection_radii(request.epsilons)
        found.append(Ensemble(name=REJECTION, assaults=rejecting, epsilons=radii, goal="rejected"))
    return found


def rejection_radii(epsilons: Iterable[str]) -> tuple[str, ...]:
    """Return every alpha times every epsilon, ascending, 0 left out: that is the image itself."""
    products = {Decimal(alpha) * Decimal(epsilon) for alpha in ALPHAS for epsilon in epsilons} - {Decimal(0)}
    return tuple(f"{product.normalize():f}" for product in sorted(products))


def name_members(ensembles: Sequence[Ensemble]) -> str:
    """Return the names of all attacks of some ensembles, for people."""
    return ", ".join(assault.name for ensemble in ensembles for assault in ensemble.assaults)


def _suits(assault: Assault, prepared: Prepared, note: Callable[[str], None]) -> bool:
    ask = assault.offer.spec.suits
    if ask is None:
        return True
    target = BoundTarget(prepared.deployed, ImageStreams((), torch.device("cpu"), "suits"))
    try:
        return bool(ask(target))
    except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
        note(f"attack {assault.name} is left out against {prepared.deployed.name}: {describe_exception(error)}")
        return False
