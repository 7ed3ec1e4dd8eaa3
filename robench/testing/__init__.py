"""Conformance kits: classes to subclass in the tests of a plugin, one for each kind.

Importing this package loads neither torch nor pytest.

Example:
    In the tests of a distribution that offers the defense ``my-defense``::

        from robench.testing import DefenseConformance

        class TestMyDefense(DefenseConformance):
            name = "my-defense"
"""

from robench.testing.conformance import (
    AttackConformance,
    ClassifierConformance,
    DatasetConformance,
    DefenseConformance,
)

__all__ = ["AttackConformance", "ClassifierConformance", "DatasetConformance", "DefenseConformance"]
