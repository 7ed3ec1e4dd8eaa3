"""Each plugin is loaded on its own: a broken one is listed with its reason and costs nobody else."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from robench.errors import UsageError
from robench.registry import load_catalog
from robench.registry.loader import disabled_strangers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.registry.conftest import Installer

HEAD = "from robench.api import AttackSpec, DatasetSpec, DefenseSpec, NoParameters, hookimpl\n"


def spec(name: str, parameters: str = "NoParameters") -> str:
    return f'DefenseSpec(name={name!r}, summary="", source="", parameters={parameters}, build=lambda c, n: None)'


def hook(result: str, name: str = "robench_defenses") -> str:
    return f"{HEAD}\n@hookimpl\ndef {name}():\n    return {result}\n"


def only_failure() -> str:
    """Load everything, expect the built-in and a good neighbour to be there, and return the single failure's reason."""
    catalog = load_catalog({})
    assert {"built-in", "good"} <= set(catalog.defenses)
    assert [failure.distribution for failure in catalog.failures] == ["bad-plugin"]
    failure = catalog.failures[0]
    assert (failure.entry_point, failure.version) == ("main", "1.0")
    assert "\n" not in failure.reason
    return failure.reason


def test_a_plugin_is_found_with_its_origin(install: Installer) -> None:
    install.defense("acme-defenses", "acme", version="2.3")
    catalog = load_catalog({})
    entry = catalog.defense("acme")
    assert (entry.kind, entry.name, entry.spec.name) == ("defense", "acme", "acme")
    assert (entry.distribution, entry.version, entry.entry_point) == ("acme-defenses", "2.3", "main")
    assert entry.module == "fake_acme_defenses"
    assert catalog.failures == ()


def test_all_four_kinds_are_collected(install: Installer) -> None:
    source = (
        HEAD
        + """
from robench.api import ClassifierSpec

TEXTS = {"summary": "", "source": ""}
PARTS = {"shape": (1, 2, 2), "classes": ("a", "b"), "sizes": {"train": 1, "validation": 1, "test": 1}}

@hookimpl
def robench_datasets():
    yield DatasetSpec(name="d", load=lambda split, context: None, **PARTS, **TEXTS)

@hookimpl
def robench_classifiers():
    return (ClassifierSpec(name="c", parameters=NoParameters, network=lambda context: None, **TEXTS),)

@hookimpl(specname="robench_attacks")
def attacks():
    return [AttackSpec(name="a", knowledge="naive", parameters=NoParameters, run=lambda context: None, **TEXTS)]
"""
    )
    install.plugin("acme", source)
    catalog = load_catalog({})
    assert catalog.names() == {"dataset": ("d",), "classifier": ("c",), "defense": ("built-in",), "attack": ("a",)}
    assert [catalog.dataset("d").kind, catalog.classifier("c").kind, catalog.attack("a").kind] == [
        "dataset",
        "classifier",
        "attack",
    ]


def test_built_ins_come_first_then_distributions_by_name(install: Installer) -> None:
    install.defense("zebra", "from-zebra")
    install.defense("Aardvark", "from-aardvark", module="fake_aardvark")
    assert list(load_catalog({}).defenses) == ["built-in", "from-aardvark", "from-zebra"]


def test_an_entry_point_may_name_an_object(install: Installer) -> None:
    source = HEAD + f"class Plugin:\n    @hookimpl\n    def robench_defenses(self):\n        return [{spec('obj')}]\n"
    install.plugin("acme", source + "\nplugin = Plugin()\n", module="fake_obj", value="fake_obj:plugin")
    entry = load_catalog({}).defense("obj")
    assert entry.module == "fake_obj"
    assert len(entry.code_digest()) == 64


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (", id="import"),
        pytest.param("\n1 / 0", "ZeroDivisionError: division by zero (", id="raises"),
        pytest.param("\ndef broken(:", "SyntaxError: invalid syntax (", id="syntax"),
        pytest.param("import sys\nsys.exit(3)", "SystemExit: 3 (", id="exit"),
        pytest.param(hook("1 / 0"), "ZeroDivisionError: division by zero (", id="hook raises"),
        pytest.param(hook("(1 / 0 for _ in range(1))"), "ZeroDivisionError", id="generator raises"),
        pytest.param(hook("None"), "robench_defenses returned None; return a list of DefenseSpec", id="None"),
        pytest.param(hook("3"), "robench_defenses returned int; return a list of DefenseSpec", id="no iterable"),
        pytest.param(hook("['puvae']"), "robench_defenses offered str instead of DefenseSpec", id="wrong type"),
        pytest.param(hook(f"[{spec('x')}]", "robench_attacks"), "offered DefenseSpec instead of AttackSpec", id="kind"),
        pytest.param(hook(f"[{spec('Not_Kebab')}]"), "defense name 'Not_Kebab' is malformed", id="malformed name"),
        pytest.param(
            hook(f"[{spec('worst-case')}]"), 'defense name "worst-case" is reserved', id="name of an ensemble"
        ),
        pytest.param(hook("[" + spec("x\n") + "]"), "is malformed; use kebab-case", id="newline in name"),
        pytest.param(
            hook(f"[{spec('x').replace(repr('x'), '3')}]"), "defense name 3 is malformed", id="number as name"
        ),
        pytest.param(hook(f"[{spec('clean')}]"), 'defense name "clean" is reserved', id="reserved name"),
        pytest.param(hook(f"[{spec('x', 'None')}]"), 'the parameters of defense "x" are None', id="no parameters"),
        pytest.param(hook("[]").replace("@hookimpl", ""), '"robench_defenses" is not marked', id="unmarked"),
        pytest.param(
            hook("[]", "robench_defences"),
            'unknown hook "robench_defences"; did you mean "robench_defenses"?',
            id="misspelt hook",
        ),
        pytest.param(hook("[]").replace("():", "(config):"), "PluginValidationError", id="argument of a hook"),
        pytest.param(
            "ROBENCH_API = 2\n", "for version 2 of the plugin interface, and this robench has 1.0; update", id="API"
        ),
        pytest.param("ROBENCH_API = 0\n", "install a version of it for 1", id="older API"),
        pytest.param("ROBENCH_API = '1'\n", "ROBENCH_API is '1'; declare the major version", id="malformed API"),
        pytest.param("", "there is no hook in it; implement one of robench_datasets", id="empty module"),
        pytest.param(
            "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Odd",
            "Odd: ",
            id="odd error",
        ),
    ],
)
def test_a_broken_plugin_is_listed_with_its_reason(install: Installer, source: str, expected: str) -> None:
    install.plugin("bad-plugin", source)
    install.defense("good", "good")
    assert expected in only_failure()


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        ("@dataclass\nclass P:\n    a: int = 1", 'class P of defense "x" is not frozen'),
        ("@dataclass(frozen=True)\nclass P:\n    a: int", 'the parameter "a" of defense "x" has no default'),
        ("class P:\n    pass", "give a frozen dataclass"),
        ("P = NoParameters()", "give a frozen dataclass"),
    ],
)
def test_parameters_must_be_a_frozen_dataclass_with_defaults(
    install: Installer, declaration: str, expected: str
) -> None:
    declaration = f"{HEAD}from dataclasses import dataclass\n{declaration}\n"
    install.plugin("bad-plugin", hook(f"[{spec('x', 'P')}]").replace(HEAD, declaration))
    install.defense("good", "good")
    assert expected in only_failure()


def test_the_reason_names_the_line_that_raised(install: Installer, tmp_path: Path) -> None:
    install.plugin("bad-plugin", "\n\nimport no_such_module")
    install.defense("good", "good")
    assert only_failure().endswith(f"({tmp_path / 'fake_bad_plugin.py'}:3)")


def test_the_reason_of_a_syntax_error_names_its_line(install: Installer, tmp_path: Path) -> None:
    install.plugin("bad-plugin", "\ndef broken(:")
    install.defense("good", "good")
    assert only_failure().endswith(f"({tmp_path / 'fake_bad_plugin.py'}:2)")


def test_a_missing_module_or_object_is_a_failure(install: Installer) -> None:
    install.plugin("bad-plugin", "", value="not_there.at_all")
    install.defense("good", "good")
    assert only_failure() == "ModuleNotFoundError: No module named 'not_there'"


def test_a_malformed_entry_point_is_a_failure(install: Installer) -> None:
    install.plugin("bad-plugin", "", value="no module!")
    install.defense("good", "good")
    assert 'the entry point value "no module!" is malformed' in only_failure()


def test_metadata_that_cannot_be_read_costs_one_distribution(install: Installer, tmp_path: Path) -> None:
    install.defense("good", "good")
    info = tmp_path / "odd-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_bytes(b"[robench]\n\xff = no")
    importlib.invalidate_caches()
    catalog = load_catalog({})
    assert "good" in catalog.defenses
    assert [failure.distribution for failure in catalog.failures] == ["unknown"]
    assert str(tmp_path) in catalog.failures[0].reason


def test_a_taken_name_stays_with_the_built_in(install: Installer) -> None:
    install.plugin("acme", hook(f"[{spec('built-in')}, {spec('other')}]"), version="2.0")
    catalog = load_catalog({})
    assert catalog.defense("built-in").distribution == "robench"
    assert catalog.defense("other").distribution == "acme"
    assert [failure.reason for failure in catalog.failures] == [
        'defense "built-in" is already offered by robench 0.1.0; the one of acme 2.0 is refused'
    ]


def test_the_same_name_for_another_kind_is_no_clash(install: Installer) -> None:
    attack = 'AttackSpec(name="built-in", summary="", source="", knowledge="naive", parameters=NoParameters, run=print)'
    install.plugin("acme", hook(f"[{attack}]", "robench_attacks"))
    catalog = load_catalog({})
    assert catalog.failures == ()
    assert catalog.attack("built-in").distribution == "acme"


def test_the_same_distribution_seen_twice_is_no_clash(
    install: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.defense("acme-x", "acme")
    install.metadata("Acme_X", "main = fake_acme_x", version="0.9", folder=tmp_path / "again")
    monkeypatch.syspath_prepend(tmp_path / "again")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    catalog = load_catalog({})
    assert catalog.failures == ()
    assert catalog.defense("acme").version == "1.0"


def test_what_a_plugin_prints_goes_to_stderr(install: Installer, capsys: pytest.CaptureFixture[str]) -> None:
    source = 'print("at import")\n' + hook('print("in hook") or []')
    install.plugin("acme", source)
    load_catalog({})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "at import\nin hook\n"


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", ["built-in", "one", "two"]),
        ("1", ["built-in"]),
        ("true", ["built-in"]),
        ("Yes", ["built-in"]),
        (" on ", ["built-in"]),
        ("off", ["built-in", "one", "two"]),
        ("ONE_dist", ["built-in", "two"]),
        ("one-dist, two.dist", ["built-in"]),
        ("not-installed", ["built-in", "one", "two"]),
    ],
)
def test_plugins_can_be_disabled(install: Installer, value: str, names: list[str]) -> None:
    install.defense("one-dist", "one")
    install.defense("two-dist", "two")
    catalog = load_catalog({"ROBENCH_DISABLE_PLUGINS": value})
    assert list(catalog.defenses) == names
    assert catalog.failures == ()


def test_disabled_names_that_nothing_has_are_known(install: Installer) -> None:
    install.defense("one-dist", "one")
    assert disabled_strangers({"ROBENCH_DISABLE_PLUGINS": "ONE_dist, wone-dist,"}) == ["wone-dist"]
    for switch in ("", "0", "yes", "true"):
        assert disabled_strangers({"ROBENCH_DISABLE_PLUGINS": switch}) == []


def test_a_disabled_plugin_is_not_imported(install: Installer) -> None:
    install.plugin("acme", "import sys\nsys.exit(1)")
    assert load_catalog({"ROBENCH_DISABLE_PLUGINS": "acme"}).failures == ()


def test_an_interrupt_is_no_failure_of_a_plugin(install: Installer) -> None:
    install.plugin("acme", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_catalog({})


def test_the_registry_imports_nothing_heavy() -> None:
    code = (
        "import sys; from robench.registry import load_catalog; load_catalog({'ROBENCH_DISABLE_PLUGINS': 'robench'});"
        "print(*{'torch', 'numpy', 'sqlalchemy'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "\n"


def test_a_plugin_may_say_which_version_of_the_interface_it_is_written_for(install: Installer) -> None:
    install.plugin("acme", "ROBENCH_API = 1\n" + hook(f"[{spec('acme')}]"))
    catalog = load_catalog({})
    assert "acme" in catalog.defenses
    assert catalog.failures == ()


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import time\ntime.sleep(60)", id="sleeps"),
        pytest.param("while True:\n    pass", id="loops"),
        pytest.param("import subprocess\nsubprocess.run(['sleep', '60'])", id="waits for a process"),
        pytest.param(hook("__import__('time').sleep(60) or []"), id="in its hook"),
        pytest.param("import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    time.sleep(60)", id="stubborn"),
    ],
)
def test_a_plugin_that_hangs_is_interrupted(install: Installer, source: str) -> None:
    install.plugin("bad-plugin", source)
    install.defense("good", "good")
    begun = time.monotonic()
    catalog = load_catalog({"ROBENCH_PLUGIN_TIMEOUT": "0.1"})
    assert time.monotonic() - begun < 20
    assert {"built-in", "good"} <= set(catalog.defenses)
    (failure,) = catalog.failures
    assert "not loaded after 0.1 s; ROBENCH_PLUGIN_TIMEOUT sets another limit" in failure.reason


def test_the_time_limit_gives_the_timer_back(install: Installer) -> None:
    rung = []
    handler = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    before = signal.setitimer(signal.ITIMER_REAL, 100, 7)
    try:
        load_catalog({})
        left, interval = signal.getitimer(signal.ITIMER_REAL)
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *before)
    assert 50 < left <= 100
    assert interval == 7
    assert rung == []


def test_plugins_are_loaded_without_a_limit_outside_the_main_thread(install: Installer) -> None:
    install.defense("good", "good")
    with ThreadPoolExecutor(1) as pool:
        assert "good" in pool.submit(load_catalog, {}).result().defenses


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_limit_that_is_none_is_refused(install: Installer, value: str) -> None:
    with pytest.raises(UsageError, match=f"ROBENCH_PLUGIN_TIMEOUT: '{value}' is no number of seconds"):
        load_catalog({"ROBENCH_PLUGIN_TIMEOUT": value})


def test_what_a_plugin_writes_to_descriptor_1_goes_to_stderr(
    install: Installer, capfd: pytest.CaptureFixture[str]
) -> None:
    source = (
        "import ctypes, os, subprocess, sys\n"
        "os.write(1, b'descriptor\\n')\n"
        "subprocess.run([sys.executable, '-c', 'print(\"subprocess\")'], check=True)\n"
        "ctypes.CDLL(None).puts(b'C')\n"
    )
    install.plugin("acme", source + hook("[]"))
    assert load_catalog({}).failures == ()
    captured = capfd.readouterr()
    assert captured.out == ""
    assert {"descriptor", "subprocess", "C"} <= set(captured.err.split())
