"""Every check fails the plugins that break its rule; see tests/third_party/lying."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robench.testing.checks import CHECKS
from robench.testing.examination import open_bench, run_check
from robench.testing.setting import Setting

if TYPE_CHECKING:
    from robench.api import DataContext
    from robench.registry import Catalog, Kind
    from robench.testing.checks import Check

TOY = Setting(shape=(1, 8, 8))
NO_SPEC = "Is_Offered"
"""The liar about this is not in the catalog, since its name is malformed."""

EVERY_CHECK = [
    pytest.param(kind, check, id=f"{kind}-{check.name}") for kind, checks in CHECKS.items() for check in checks
]


def liars_about(check: Check, kind: Kind, catalog: Catalog) -> list[str]:
    """Names of the liars: that of the check, and others that end in a number."""
    if check.name == "is-offered":
        return [NO_SPEC]
    return [name for name in catalog.names()[kind] if name.rstrip("-0123456789") == check.name]


@pytest.mark.parametrize(("kind", "check"), EVERY_CHECK)
def test_check_fails_who_breaks_its_rule(kind: Kind, check: Check, catalog: Catalog, data: DataContext) -> None:
    liars = liars_about(check, kind, catalog)
    assert liars
    for liar in liars:
        with open_bench(kind, liar, catalog, TOY, data) as bench:
            result = run_check(check, bench)
        assert result.status == "FAIL", result
        assert len(result.reason) > len("too short to say what to do")


def test_reason_names_the_line_of_the_plugin(catalog: Catalog, data: DataContext) -> None:
    (check,) = [check for check in CHECKS["defense"] if check.name == "builds"]
    with open_bench("defense", "builds", catalog, TOY, data) as bench:
        reason = run_check(check, bench).reason
    assert "OSError: a file is missing" in reason
    assert "robench_lying/defenses.py:" in reason


def test_checks_stand_back_where_another_says_why(catalog: Catalog, data: DataContext) -> None:
    with open_bench("defense", "builds", catalog, TOY, data) as bench:
        results = {check.name: run_check(check, bench) for check in CHECKS["defense"]}
    assert [name for name, result in results.items() if result.status == "FAIL"] == ["builds"]
    assert results["reloads"].reason == "see builds"
