from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest

from robench.config import (
    Config,
    ConfigSource,
    Overrides,
    PathSettings,
    RunRequest,
    load_config,
    resolve_paths,
    resolve_run,
)
from robench.config.environment import OTHERS, strangers
from robench.config.file import parse_config
from robench.config.location import CONFIG_VARIABLE, packaged_source
from robench.errors import UsageError
from robench.registry.guard import TIMEOUT_VARIABLE
from robench.registry.loader import DISABLE_VARIABLE

KNOWN = {
    "dataset": ("mnist", "cifar10", "foreign"),
    "classifier": ("paper-a", "paper-b", "mine"),
    "defense": ("none", "magnet", "puvae", "puvae-detect"),
    "attack": ("fgsm", "bim", "pgd", "adaptive"),
}


def config(text: str) -> Config:
    source = ConfigSource(path=Path("/somewhere/benchmarks.toml"), label="benchmarks.toml")
    return parse_config(f"schema = 1\n{text}", source)


def resolve(text: str = "", environ: dict[str, str] | None = None, **flags: object) -> RunRequest:
    overrides = dataclasses.replace(Overrides(), **flags)  # type: ignore[arg-type]  # some tests pass nonsense
    return resolve_run(config(text), overrides, environ or {}, KNOWN)


def refusal(text: str = "", environ: dict[str, str] | None = None, **flags: object) -> str:
    with pytest.raises(UsageError) as error:
        resolve(text, environ, **flags)
    return str(error.value)


def test_the_packaged_file_alone_gives_the_default_run() -> None:
    request = resolve_run(load_config(packaged_source()), Overrides(), {}, KNOWN)
    assert request == RunRequest(
        db="robench.db",
        data_dir=None,
        cache_dir=Path(platformdirs.user_cache_dir("robench", appauthor=False)),
        offline=False,
        dataset="mnist",
        classifier="paper-a",
        classifier_file=None,
        defenses=("none", "magnet", "puvae", "puvae-detect"),
        attacks=("fgsm", "pgd", "adaptive"),
        epsilons=("0.1", "0.2", "0.3"),
        images=200,
        seed=0,
        device="auto",
        profile="quick",
        batch_size=None,
        calibration="finite-sample",
        false_positive_rate=0.001,
        engine="native",
        search_precision="auto",
        worst_case=False,
        budget="quick",
        norm="linf",
        trace=None,
        keep_examples=False,
        suite=None,
        variant=None,
        parameters={},
        parameter_places={},
        settings={},
        config_path=packaged_source().path,
        config_label="packaged benchmarks.toml",
    )


def test_a_sparse_file_keeps_the_packaged_defaults() -> None:
    request = resolve("[defaults]\nimages = 9\n[datasets.mnist]\nepsilons = [0.5]")
    assert (request.images, request.epsilons) == (9, ("0.5",))
    assert (request.attacks, request.classifier, request.false_positive_rate) == (
        ("fgsm", "pgd", "adaptive"),
        "paper-a",
        0.001,
    )


LAYERS = "[defaults]\nimages = 4\nseed = 4\nprofile = 'quick'\n[suites.s]\nimages = 3\nseed = 3\nprofile = 'paper'\n"
BUDGETS = "[defaults]\nbudget = 'standard'\n[suites.s]\nbudget = 'thorough'\n"


def test_flag_beats_variable_beats_suite_beats_defaults() -> None:
    environ = {"ROBENCH_IMAGES": "2", "ROBENCH_SEED": "2"}
    assert resolve(LAYERS).images == 4
    assert resolve(LAYERS, suite="s").images == 3
    assert resolve(LAYERS, environ, suite="s").images == 2
    request = resolve(LAYERS, environ, suite="s", images=1)
    assert (request.images, request.seed, request.profile) == (1, 2, "paper")


def test_the_budget_is_set_like_everything_else() -> None:
    assert resolve().budget == "quick"
    assert resolve(BUDGETS).budget == "standard"
    assert resolve(BUDGETS, suite="s").budget == "thorough"
    assert resolve(BUDGETS, {"ROBENCH_BUDGET": "quick"}, suite="s").budget == "quick"
    assert resolve(BUDGETS, {"ROBENCH_BUDGET": "quick"}, suite="s", budget="standard").budget == "standard"
    assert refusal("[defaults]\nbudget = 'cheap'").startswith('benchmarks.toml: defaults.budget: "cheap" is not one of')


def test_every_flag_is_heard() -> None:
    request = resolve(
        dataset="cifar10",
        classifier="mine",
        defenses=("puvae", "none", "puvae"),
        attacks=("bim",),
        epsilons="0.2,0.1",
        images=5,
        seed=0,
        device="cuda:1",
        profile="paper",
        batch_size=3,
        db="x.db",
        data_dir=Path("data"),
    )
    assert (request.dataset, request.classifier, request.defenses) == ("cifar10", "mine", ("puvae", "none"))
    assert (request.attacks, request.epsilons, request.images) == (("bim",), ("0.1", "0.2"), 5)
    assert (request.seed, request.device, request.profile) == (0, "cuda:1", "paper")
    assert (request.batch_size, request.db, request.data_dir) == (3, "x.db", Path("data"))
    assert request.false_positive_rate == 0.03


def test_every_variable_is_heard_and_an_empty_one_is_not_set() -> None:
    environ = {
        "ROBENCH_DATASET": "cifar10",
        "ROBENCH_CLASSIFIER": "mine",
        "ROBENCH_IMAGES": "7",
        "ROBENCH_SEED": "8",
        "ROBENCH_DEVICE": "cpu",
        "ROBENCH_PROFILE": "paper",
        "ROBENCH_BATCH_SIZE": "9",
        "ROBENCH_ENGINE": "foolbox",
        "ROBENCH_SEARCH_PRECISION": "float32",
        "ROBENCH_WORST_CASE": "1",
        "ROBENCH_BUDGET": "thorough",
        "ROBENCH_NORM": "l2",
        "ROBENCH_DB": "y.db",
        "ROBENCH_DATA": "d",
        "ROBENCH_CACHE": "c",
        "ROBENCH_OFFLINE": "1",
    }
    request = resolve(environ=environ)
    assert (request.dataset, request.classifier, request.images, request.seed) == ("cifar10", "mine", 7, 8)
    assert (request.device, request.profile, request.batch_size) == ("cpu", "paper", 9)
    assert (request.engine, request.search_precision, request.worst_case) == ("foolbox", "float32", True)
    assert (request.budget, request.norm) == ("thorough", "l2")
    assert (request.db, request.data_dir, request.cache_dir, request.offline) == ("y.db", Path("d"), Path("c"), True)
    assert resolve(environ=dict.fromkeys(environ, "")) == resolve()


def test_a_suite_may_set_what_belongs_to_a_data_set() -> None:
    suite = "[suites.s]\ndataset = 'cifar10'\nclassifier = 'mine'\nepsilons = '0.1'\nfalse_positive_rate = 0.2\n"
    request = resolve(suite + "calibration = 'paper-grid'", suite="s")
    assert (request.dataset, request.classifier, request.epsilons) == ("cifar10", "mine", ("0.1",))
    assert (request.false_positive_rate, request.calibration) == (0.2, "paper-grid")


SUITE = "[suites.s]\nepsilons = [1.5]\n"


def test_each_norm_has_the_epsilons_of_its_own() -> None:
    assert resolve().epsilons == ("0.1", "0.2", "0.3")
    assert resolve(norm="l2").epsilons == ("0.5", "1", "2")
    assert resolve(norm="l2", dataset="cifar10").epsilons == ("0.25", "0.5", "1")
    assert resolve("[datasets.mnist]\nl2_epsilons = [3]", norm="l2").epsilons == ("3",)
    assert resolve(norm="l2", epsilons="1.5").epsilons == ("1.5",)


def test_a_suite_may_set_both_norm_and_epsilons() -> None:
    request = resolve(SUITE + "norm = 'l2'", suite="s")
    assert (request.norm, request.epsilons) == ("l2", ("1.5",))
    assert resolve(SUITE + "[defaults]\nnorm = 'l2'", suite="s").epsilons == ("1.5",)
    assert refusal(SUITE, suite="s").startswith("benchmarks.toml: suites.s.epsilons: 1.5 is above 1")


def test_the_epsilons_of_a_suite_are_not_taken_for_those_of_another_norm() -> None:
    expected = (
        "benchmarks.toml: suites.s.epsilons: are radii in linf, and the run is to be in l2; give --epsilons as well"
    )
    assert refusal(SUITE, suite="s", norm="l2") == expected
    assert refusal(SUITE, {"ROBENCH_NORM": "l2"}, suite="s") == expected
    assert resolve(SUITE, suite="s", norm="l2", epsilons="2").epsilons == ("2",)


def test_a_data_set_without_epsilons_of_the_norm_is_refused() -> None:
    listed = "[datasets.foreign]\nclassifier = 'mine'\nepsilons = [0.1]"
    message = refusal(listed, dataset="foreign", norm="l2")
    assert message.startswith("benchmarks.toml: datasets.foreign.l2_epsilons: is missing")
    assert message.endswith("give --epsilons 0.1,0.2")


def test_an_unlisted_data_set_needs_a_classifier_and_epsilons() -> None:
    assert refusal(dataset="foreign").startswith("benchmarks.toml: datasets.foreign.classifier: is missing")
    assert refusal(dataset="foreign", classifier="mine").endswith("add it, or give --epsilons 0.1,0.2")
    request = resolve(dataset="foreign", classifier="mine", epsilons="0.1")
    assert request.false_positive_rate == 0.01
    assert resolve("[datasets.foreign]\nclassifier = 'mine'\nepsilons = [0.1]", dataset="foreign").classifier == "mine"


def test_what_is_missing_is_not_sought_in_the_packaged_file() -> None:
    packaged = load_config(packaged_source())
    with pytest.raises(UsageError) as error:
        resolve_run(packaged, Overrides(dataset="foreign"), {}, KNOWN)
    assert str(error.value) == (
        "data set foreign: no classifier and no epsilons known for it; give --classifier NAME and --epsilons 0.1,0.2, "
        "or list it in the file that robench init writes"
    )


def test_an_unknown_name_is_reported_where_it_was_written() -> None:
    suite = "[suites.quick]\nattacks = ['fgsm', 'pdg']"
    unknown = 'unknown attack "pdg"; did you mean "pgd"?'
    assert refusal(suite, suite="quick") == f"benchmarks.toml: suites.quick.attacks[1]: {unknown}"
    assert refusal(attacks=("fgsm", "pdg")) == f"--attack: {unknown}"
    assert refusal("[defaults]\nattacks = ['pdg']") == f"benchmarks.toml: defaults.attacks[0]: {unknown}"
    expected = 'ROBENCH_DATASET: unknown dataset "mnits"; did you mean "mnist"?'
    assert refusal(environ={"ROBENCH_DATASET": "mnits"}) == expected
    expected = 'benchmarks.toml: datasets.mnist.classifier: unknown classifier "xyz"; known: mine, paper-a, paper-b'
    assert refusal("[datasets.mnist]\nclassifier = 'xyz'") == expected
    assert refusal(suite="quick") == '--suite: benchmarks.toml: unknown suite "quick"; there is none'


def test_names_that_the_run_does_not_use_may_be_unknown() -> None:
    request = resolve("[suites.other]\nattacks = ['pdg']\n[datasets.x]\nclassifier = 'xyz'\n[parameters.xyz]\na = 1")
    assert request.parameters == {}
    assert resolve("[defaults]\nattacks = ['pdg']", attacks=("pgd",)).attacks == ("pgd",)


def test_an_ensemble_may_use_the_parameters_of_any_attack() -> None:
    table = "[parameters.bim]\nsteps = 3"
    assert resolve(table, attacks=("pgd",)).parameters == {}
    assert resolve(table, attacks=("adaptive",)).parameters == {"bim": {"steps": 3}}


def test_plugins_that_failed_to_load_are_remarked_on() -> None:
    with pytest.raises(UsageError, match=r'did you mean "pgd"\? \(failed to load: 1\)'):
        resolve_run(config(""), Overrides(attacks=("pdg",)), {}, KNOWN, "failed to load: 1")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"images": 0}, "--images: 0 is too small; the least is 1"),
        ({"images": -5}, "--images: -5 is too small"),
        ({"seed": -1}, "--seed: -1 is too small"),
        ({"seed": 2**63}, "--seed: 9223372036854775808 is too large"),
        ({"batch_size": 0}, "--batch-size: 0 is too small"),
        ({"device": "gpu"}, '--device: "gpu" is not one of auto, cpu, cuda, cuda:INDEX'),
        ({"device": "cuda:"}, '--device: "cuda:" is not one of'),
        ({"device": "cuda:x"}, '--device: "cuda:x" is not one of'),
        ({"budget": "cheap"}, '--budget: "cheap" is not one of quick, standard, thorough'),
        ({"profile": "swift"}, '--profile: "swift" is not one of quick, fast, paper'),
        ({"epsilons": "0.1,-1"}, '--epsilons: "-1" is not above 0'),
        ({"epsilons": "0.1,1.01"}, "--epsilons: 1.01 is above 1; in Linf epsilons are in (0, 1]"),
        ({"norm": "L2"}, '--norm: "L2" is not one of linf, l2'),
        ({"epsilons": ""}, "--epsilons: there is no epsilon"),
        ({"defenses": ()}, "--defense: must not be empty"),
        ({"dataset": "b\udcff\n"}, '--dataset: unknown dataset "b\\udcff\\n"; known: cifar10, foreign, mnist'),
        ({"db": ""}, '--db: "" names nothing'),
        ({"db": "a\0b"}, "names nothing"),
    ],
)
def test_an_impossible_flag_is_named(flags: dict[str, object], message: str) -> None:
    assert message in refusal(**flags)  # type: ignore[arg-type]  # none of them is called text or environ


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ROBENCH_IMAGES", "many", 'ROBENCH_IMAGES: "many" is not a whole number'),
        ("ROBENCH_IMAGES", "0", "ROBENCH_IMAGES: 0 is too small"),
        ("ROBENCH_IMAGES", "9" * 5000, "is not a whole number"),
        ("ROBENCH_SEED", "1.5", 'ROBENCH_SEED: "1.5" is not a whole number'),
        ("ROBENCH_BATCH_SIZE", "-1", "ROBENCH_BATCH_SIZE: -1 is too small"),
        ("ROBENCH_DEVICE", "tpu", 'ROBENCH_DEVICE: "tpu" is not one of'),
        ("ROBENCH_PROFILE", "x", 'ROBENCH_PROFILE: "x" is not one of'),
        ("ROBENCH_ENGINE", "x", 'ROBENCH_ENGINE: "x" is not one of native, foolbox'),
        ("ROBENCH_SEARCH_PRECISION", "bf16", 'ROBENCH_SEARCH_PRECISION: "bf16" is not one of'),
        ("ROBENCH_NORM", "l1", 'ROBENCH_NORM: "l1" is not one of linf, l2'),
        ("ROBENCH_BUDGET", "x", 'ROBENCH_BUDGET: "x" is not one of quick, standard, thorough'),
        ("ROBENCH_WORST_CASE", "maybe", 'ROBENCH_WORST_CASE: "maybe" is neither 1 nor 0'),
        ("ROBENCH_OFFLINE", "maybe", 'ROBENCH_OFFLINE: "maybe" is neither 1 nor 0'),
    ],
)
def test_a_malformed_variable_is_named(variable: str, value: str, message: str) -> None:
    assert message in refusal(environ={variable: value})


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("TRUE", True), ("0", False), ("off", False)])
def test_a_switch_understands_the_usual_words(value: str, expected: bool) -> None:
    assert resolve_paths(Overrides(), {"ROBENCH_OFFLINE": value}).offline is expected


def test_paths_are_resolved_without_the_rest() -> None:
    environ = {"ROBENCH_DB": "v.db", "ROBENCH_DATA": "v", "ROBENCH_CACHE": "c", "ROBENCH_IMAGES": "nonsense"}
    assert resolve_paths(Overrides(db="f.db"), environ) == PathSettings(
        db="f.db", data_dir=Path("v"), cache_dir=Path("c"), offline=False
    )
    assert resolve_paths(Overrides(), {}).db == "robench.db"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    steps: int = 40


def test_parameters_of_a_plugin_are_built_from_its_table() -> None:
    request = resolve("[parameters.pgd]\nsteps = 3\n[parameters.fgsm]\nstesp = 3")
    assert request.parameters_of("pgd", Parameters) == Parameters(steps=3)
    assert request.parameters_of("none", Parameters) == Parameters()
    assert request.parameters_of("none", Parameters, {"steps": 7}) == Parameters(steps=7)
    assert request.parameters_of("pgd", Parameters, {"steps": 7}) == Parameters(steps=3)
    with pytest.raises(UsageError) as error:
        request.parameters_of("fgsm", Parameters)
    assert str(error.value) == 'benchmarks.toml: parameters.fgsm.stesp: unknown key "stesp"; did you mean "steps"?'


@pytest.mark.parametrize(("name", "way"), [("rejection", "--attack adaptive"), ("worst-case", "--worst-case")])
def test_a_search_over_several_attacks_is_not_asked_for_by_its_name(name: str, way: str) -> None:
    message = refusal(attacks=("fgsm", name))
    assert message.startswith(f"{name} is a search over several attacks")
    assert way in message


def test_a_misspelt_variable_is_told_with_its_like() -> None:
    assert strangers({"ROBENCH_IMAGES": "5", "ROBENCH_CACHE": "x", "PATH": ""}) == ""
    told = strangers({"ROBENCH_IMGES": "5"})
    assert told == 'ROBENCH_IMGES is no variable of robench (did you mean "ROBENCH_IMAGES"?)'


def test_all_variables_with_names_of_their_own_are_known() -> None:
    assert {CONFIG_VARIABLE, DISABLE_VARIABLE, TIMEOUT_VARIABLE} <= set(OTHERS)
