"""All checks, by kind. Importing them loads no torch: what they need is imported when they run."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from robench.testing.checks.attack import ATTACK_CHECKS
from robench.testing.checks.check import Check, NotRun
from robench.testing.checks.classifier import CLASSIFIER_CHECKS
from robench.testing.checks.dataset import DATASET_CHECKS
from robench.testing.checks.defense import DEFENSE_CHECKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.registry import Kind

CHECKS: Mapping[Kind, tuple[Check, ...]] = MappingProxyType(
    {
        "dataset": DATASET_CHECKS,
        "classifier": CLASSIFIER_CHECKS,
        "defense": DEFENSE_CHECKS,
        "attack": ATTACK_CHECKS,
    }
)

__all__ = ["CHECKS", "Check", "NotRun"]
