"""The classes that plugin authors subclass: one pytest test for each check."""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from robench.errors import RobenchError
from robench.testing.checks import CHECKS, NotRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from robench.registry import Kind
    from robench.testing.benches.bench import Bench
    from robench.testing.checks import Check


class Conformance:
    """What the kits share. A subclass says which plugin it is about; its tests are those of the kind.

    Attributes:
        kind: What the plugin is.
        name: Of the plugin's spec, which an installed distribution offers.
        parameters: Of the plugin, as in benchmarks.toml; the others keep their defaults.
        shape: Channels, height and width of the made-up images; None for one that fits.
        classes: Number of made-up classes.
        profile: ``quick``, ``fast`` or ``paper``.
        dataset: Name of an installed data set to take some hundred images of, instead of the made-up task.
    """

    kind: ClassVar[Kind]
    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, object]] = MappingProxyType({})
    shape: ClassVar[tuple[int, int, int] | None] = None
    classes: ClassVar[int] = 10
    profile: ClassVar[str] = "quick"
    dataset: ClassVar[str | None] = None

    _bench: ClassVar[Bench[Any] | None]
    _stack: ClassVar[ExitStack]

    @classmethod
    def setup_class(cls) -> None:
        """Begin with an empty bench; pytest calls it."""
        cls._bench, cls._stack = None, ExitStack()

    @classmethod
    def teardown_class(cls) -> None:
        """Remove what the tests have written; pytest calls it."""
        cls._stack.close()

    @classmethod
    def bench(cls) -> Bench[Any]:
        """Return the plugin on its bench, which the tests of a class share."""
        if cls._bench is None:
            from robench.registry import load_catalog
            from robench.testing.examination import open_bench, user_data
            from robench.testing.setting import Setting

            setting = Setting(
                parameters=cls.parameters,
                shape=cls.shape,
                classes=cls.classes,
                profile=cls.profile,
                dataset=cls.dataset,
            )
            opened = open_bench(cls.kind, cls.name, load_catalog(os.environ), setting, user_data(os.environ))
            cls._bench = cls._stack.enter_context(opened)
        return cls._bench


class DatasetConformance(Conformance):
    """Tests of a data set."""

    kind = "dataset"


class ClassifierConformance(Conformance):
    """Tests of a classifier."""

    kind = "classifier"


class DefenseConformance(Conformance):
    """Tests of a defense."""

    kind = "defense"


class AttackConformance(Conformance):
    """Tests of an attack."""

    kind = "attack"


def _test(check: Check) -> Callable[[Conformance], None]:
    def test(self: Conformance) -> None:
        import pytest

        from robench.testing.examination import execute

        try:
            execute(check, self.bench())
        except NotRun as remark:
            pytest.skip(str(remark))
        except RobenchError as error:
            pytest.fail(str(error), pytrace=False)

    test.__name__ = check.test
    test.__qualname__ = f"Conformance.{check.test}"
    test.__doc__ = check.summary
    return test


for _kit in (DatasetConformance, ClassifierConformance, DefenseConformance, AttackConformance):
    for _check in CHECKS[_kit.kind]:
        setattr(_kit, _check.test, _test(_check))
