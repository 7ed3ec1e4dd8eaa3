"""The guide has every check, with its summary."""

from __future__ import annotations

import re
from pathlib import Path

from robench.testing import AttackConformance, ClassifierConformance, DatasetConformance, DefenseConformance
from robench.testing.checks import CHECKS

GUIDE = Path(__file__).parents[2] / "docs" / "testing-plugins.md"
KITS = (DatasetConformance, ClassifierConformance, DefenseConformance, AttackConformance)


def test_tables_of_the_guide_are_the_registry() -> None:
    sections = re.split(r"^### .*: `(\w+)`$", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert list(tables) == [kit.__name__ for kit in KITS]
    for kit in KITS:
        rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", tables[kit.__name__], flags=re.MULTILINE)
        assert rows == [(check.name, check.summary) for check in CHECKS[kit.kind]]


def test_every_check_has_a_summary_of_one_sentence() -> None:
    for checks in CHECKS.values():
        assert len({check.name for check in checks}) == len(checks)
        assert all(len(check.summary) > len(check.name) for check in checks)
