"""What one command will do, resolved from flags, environment and benchmarks.toml, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import platformdirs

from robench.api.records import ADAPTIVE, REJECTION, WORST_CASE
from robench.config.checks import invalid, known_name, text
from robench.config.choices import read_choices
from robench.config.classifier_file import find_classifier
from robench.config.environment import VARIABLES, choices_from_environment, switch
from robench.config.epsilons import check_radii
from robench.config.file import load_config
from robench.config.layers import Layer, Layers
from robench.config.location import packaged_source
from robench.config.parameters import build_parameters
from robench.config.settings import place_of, read_settings
from robench.config.staff import resolve_staff
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from robench.api import Effort, Norm
    from robench.config.choices import Choices, Place
    from robench.config.classifier_file import ClassifierFile
    from robench.config.file import Config, Scalar
    from robench.config.staff import Part

P = TypeVar("P")

DEFAULT_DB = "robench.db"
DEFAULT_FALSE_POSITIVE_RATE = 0.01  # of a data set that no file lists

_FLAG_KEYS = ("dataset", "classifier", "classifier_weights", "defenses", "attacks", "epsilons", *VARIABLES)


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Flags, or arguments of the Python API, not yet checked. ``None`` stands for not given.

    Attributes:
        classifier: Name, or path of a file as in ``model.py:build``.
        classifier_weights: Path of a safetensors file for it.
        settings: Parameters of plugins as in ``puvae.latent_noise=0.2``.
        epsilons: Text as in ``0.05,0.1`` or ``0.01:0.3:30``.
        suite: Name of a suite of benchmarks.toml.
        variant: Name of one of its variants.
        db: Path or URL of the store.
        data_dir: The user's folder of data sets.
        trace: Folder for a trace of the run.
        keep_examples: Whether to write the attacked images beside the store.
        executor: Who does the work.
        workers: How many of them.
        ray_address: Of a Ray cluster.
        shard: Which part of the images, as in ``3/8``.
    """

    dataset: str | None = None
    classifier: str | None = None
    classifier_weights: str | None = None
    settings: tuple[str, ...] = ()
    defenses: tuple[str, ...] | None = None
    attacks: tuple[str, ...] | None = None
    epsilons: str | None = None
    images: int | None = None
    seed: int | None = None
    device: str | None = None
    profile: str | None = None
    suite: str | None = None
    variant: str | None = None
    db: str | None = None
    data_dir: Path | None = None
    batch_size: int | None = None
    engine: str | None = None
    search_precision: str | None = None
    worst_case: bool | None = None
    budget: str | None = None
    norm: str | None = None
    trace: Path | None = None
    keep_examples: bool = False
    executor: str | None = None
    workers: int | None = None
    ray_address: str | None = None
    shard: str | None = None


@dataclass(frozen=True, kw_only=True)
class PathSettings:
    """Where things are.

    Attributes:
        db: Path or URL of the store.
        data_dir: The user's folder of data sets, if any.
        cache_dir: Where weights and downloads are kept; may not exist yet.
        offline: Forbids any download.
    """

    db: str
    data_dir: Path | None
    cache_dir: Path
    offline: bool


@dataclass(frozen=True, kw_only=True)
class RunRequest(PathSettings):
    """What ``robench run`` will do. Every name exists, every value is in its range.

    Attributes:
        dataset, classifier: Names.
        classifier_file: Where the classifier is, if it is a file and no plugin.
        defenses, attacks: Names, each once, in the order asked for.
        epsilons: Normalised decimal texts, ascending.
        images: Number of test images, at least 1; there may be fewer.
        seed: In [0, 2**63).
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:INDEX``.
        profile: ``quick``, ``fast`` or ``paper``.
        batch_size: Images per batch, at least 1; None leaves it to the engine.
        calibration: ``finite-sample`` or ``paper-grid``.
        false_positive_rate: In (0, 1).
        engine: ``native`` for attacks in their fast form, ``foolbox`` for the plain one.
        search_precision: Number format of searches: ``auto``, ``float32``, ``tf32`` or ``bfloat16``.
        worst_case: Whether to evaluate the worst case per image over all attacks and smaller epsilons.
        budget: How much the ensemble ``adaptive`` may cost: ``quick``, ``standard`` or ``thorough``.
        norm: Of the balls whose radii the epsilons are.
        trace: Folder for a trace of the run, if one is wanted.
        keep_examples: Whether to write the attacked images beside the store.
        suite: The suite of benchmarks.toml that was asked for, if any.
        variant: Its variant, if it has any.
        parameters: Values by name of the plugin, for those that this run uses; types are checked by
            ``build_parameters``.
        parameter_places: What messages call those that ``[parameters.NAME]`` does not decide, by plugin, then by key.
        settings: Those that ``--set`` decides, whether this run uses the plugin or not.
        config_path: The benchmarks.toml that was read.
        config_label: What messages call it.
        executor: Who does the work: ``local``, ``processes`` or ``ray``.
        workers: How many of them; None for as many as there can be.
        ray_address: Of a Ray cluster; None to start one on this machine.
        shard: Which part of the images to do; None for all.
    """

    dataset: str
    classifier: str
    classifier_file: ClassifierFile | None
    defenses: tuple[str, ...]
    attacks: tuple[str, ...]
    epsilons: tuple[str, ...]
    images: int
    seed: int
    device: str
    profile: str
    batch_size: int | None
    calibration: str
    false_positive_rate: float
    engine: str
    search_precision: str
    worst_case: bool
    budget: Effort
    norm: Norm
    trace: Path | None
    keep_examples: bool
    suite: str | None
    variant: str | None
    parameters: Mapping[str, Mapping[str, object]]
    parameter_places: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, Mapping[str, object]]
    config_path: Path
    config_label: str
    executor: str = "local"
    workers: int | None = None
    ray_address: str | None = None
    shard: Part | None = None

    def parameters_of(self, plugin: str, cls: type[P], preset: Mapping[str, object] = MappingProxyType({})) -> P:
        """Return the parameters that this run gives to a plugin.

        Args:
            plugin: Name of a classifier, defense or attack.
            cls: The ``parameters`` class of its spec.
            preset: What the budget makes of them; what the user sets wins over it.

        Raises:
            UsageError: If the user sets a parameter that there is not, or to an impossible value.
        """
        values = {**preset, **self.parameters.get(plugin, {})}
        where = f"{self.config_label}: parameters.{plugin}"
        return build_parameters(cls, values, where, self.parameter_places.get(plugin, {}))


def resolve_paths(overrides: Overrides, environ: Mapping[str, str]) -> PathSettings:
    """Resolve what every command needs.

    Raises:
        UsageError: If a flag or a variable is malformed.
    """
    flag, variable, cache = overrides.data_dir, environ.get("ROBENCH_DATA"), environ.get("ROBENCH_CACHE")
    db = environ.get("ROBENCH_DB") or DEFAULT_DB if overrides.db is None else text(overrides.db, "--db")
    return PathSettings(
        db=db,
        data_dir=flag if flag is not None else Path(variable) if variable else None,
        cache_dir=Path(cache) if cache else Path(platformdirs.user_cache_dir("robench", appauthor=False)),
        offline=switch(environ, "ROBENCH_OFFLINE"),
    )


def resolve_run(
    config: Config,
    overrides: Overrides,
    environ: Mapping[str, str],
    known: Mapping[str, Collection[str]],
    remark: str = "",
    *,
    attacking: bool = True,
) -> RunRequest:
    """Resolve what ``robench run`` needs: flag, then variable, then suite, then the file's and robench's defaults.

    Args:
        config: The benchmarks.toml that counts.
        overrides: The flags.
        environ: The ROBENCH_* variables.
        known: The names that there are, by kind: ``dataset``, ``classifier``, ``defense``, ``attack``.
        remark: What else may explain that a name is unknown, such as plugins that failed to load.
        attacking: False if the request is for training only, which needs neither attacks nor epsilons.

    Raises:
        UsageError: If a value is invalid or missing, or a name is unknown.
    """
    paths = resolve_paths(overrides, environ)
    files = (config, load_config(packaged_source()))
    environment = Layer(choices=choices_from_environment(environ), place=VARIABLES.__getitem__)
    suite = () if overrides.suite is None else (_suite(config, overrides.suite),)
    defaults = [_of_file(file, file.defaults, "defaults") for file in files]
    layers = Layers(layers=(_flags(overrides), environment, *suite, *defaults), known=known, remark=remark)
    dataset, norm = layers.name("dataset"), layers.value("norm")
    given = layers.value("epsilons") is not None
    listed = [file for file in files if dataset in file.datasets]
    layers = layers.above(*(_of_file(file, file.datasets[dataset], "datasets", dataset) for file in listed))
    # What flag or suite give is meant in the norm of the run; a data set has a list for each.
    radii = "epsilons" if norm == "linf" or given else "l2_epsilons"
    _require_settings(layers, config, dataset, ("classifier", radii) if attacking else ("classifier",))
    if attacking:
        _refuse_composites(layers.value("attacks"))
        _require_same_norm(layers, suite, norm)
        check_radii(layers.value(radii), norm, layers.place(radii))
    classifier, classifier_file = find_classifier(layers)
    defenses, attacks = layers.names("defenses"), layers.names("attacks") if attacking else ()
    # The ensemble may take any attack.
    used = {classifier, *defenses, *(known["attack"] if ADAPTIVE in attacks else attacks)}
    settings = read_settings(overrides.settings, _settable(known), remark)
    tables = _parameters(config, overrides, settings)
    return RunRequest(
        db=paths.db,
        data_dir=paths.data_dir,
        cache_dir=paths.cache_dir,
        offline=paths.offline,
        dataset=dataset,
        classifier=classifier,
        classifier_file=classifier_file,
        defenses=defenses,
        attacks=attacks,
        epsilons=layers.value(radii) or (),
        images=layers.value("images"),
        seed=layers.value("seed"),
        device=layers.value("device") or "auto",
        profile=layers.value("profile"),
        batch_size=layers.value("batch_size"),
        calibration=layers.value("calibration"),
        false_positive_rate=layers.value("false_positive_rate") or DEFAULT_FALSE_POSITIVE_RATE,
        engine=layers.value("engine"),
        search_precision=layers.value("search_precision"),
        worst_case=layers.value("worst_case"),
        budget=layers.value("budget"),
        norm=norm,
        trace=overrides.trace,
        keep_examples=overrides.keep_examples,
        suite=overrides.suite,
        variant=overrides.variant,
        parameters=MappingProxyType({name: values for name, (values, _) in tables.items() if name in used}),
        parameter_places=MappingProxyType({name: places for name, (_, places) in tables.items() if places}),
        settings=settings,
        config_path=config.path,
        config_label=config.label,
        **resolve_staff(overrides),
    )


def _refuse_composites(attacks: Sequence[str]) -> None:
    """Refuse what is recorded like an attack, but is asked for in another way."""
    for name, hint in (
        (REJECTION, f"it comes with --attack {ADAPTIVE} where a defense rejects"),
        (WORST_CASE, "ask for it with --worst-case"),
    ):
        if name in attacks:
            message = f"{name} is a search over several attacks, not one of them"
            raise UsageError(message, hint)


def _flags(overrides: Overrides) -> Layer:
    names = {key: f"--{key.replace('_', '-')}" for key in _FLAG_KEYS} | {"defenses": "--defense", "attacks": "--attack"}
    values = {key: value for key in _FLAG_KEYS if (value := getattr(overrides, key)) is not None}
    return Layer(choices=read_choices(values, names.__getitem__, _FLAG_KEYS), place=names.__getitem__, indexed=False)


def _suite(config: Config, name: str) -> Layer:
    known_name(name, f"--suite: {config.label}", "suite", config.suites)
    return _of_file(config, config.suites[name], "suites", name)


def _of_file(config: Config, choices: Choices, *keys: str) -> Layer:
    """Return the source that a table of a benchmarks.toml is."""
    return Layer(choices=choices, place=_in(config, *keys), folder=config.path.parent)


def _settable(known: Mapping[str, Collection[str]]) -> list[str]:
    """Return the names of all plugins that may have parameters."""
    return [name for kind, names in known.items() if kind != "dataset" for name in names if name != ADAPTIVE]


def _parameters(
    config: Config, overrides: Overrides, settings: Mapping[str, Mapping[str, Scalar]]
) -> dict[str, tuple[dict[str, Scalar], dict[str, str]]]:
    """Return the parameters of each plugin: ``--set``, then those of the suite's variant, the suite's, the file's.

    Returns:
        By plugin, values by key, and what messages call the keys that the file's own table does not decide.
    """
    layers: list[tuple[Mapping[str, Mapping[str, Scalar]], Callable[[str, str], str]]] = []
    if overrides.suite is not None:
        suite, variant = overrides.suite, _variant(config, overrides)
        layers.append((config.suite_parameters[suite], partial(config.place, "suites", suite, "parameters")))
        if variant is not None:
            place = partial(config.place, "suites", suite, "variants", variant)
            layers.append((config.variants[suite][variant], place))
            _uncontradicted(suite, variant, config.variants[suite][variant], settings)
    elif overrides.variant is not None:
        message = f"--variant {overrides.variant}: only a suite has variants"
        raise UsageError(message, "give --suite as well")
    layers.append((settings, place_of))
    tables = {name: (dict(values), dict[str, str]()) for name, values in config.parameters.items()}
    for parameters, place_in in layers:
        for name, given in parameters.items():
            values, places = tables.setdefault(name, ({}, {}))
            values.update(given)
            places.update({key: place_in(name, key) for key in given})
    return tables


def _uncontradicted(
    suite: str,
    variant: str,
    parameters: Mapping[str, Mapping[str, Scalar]],
    settings: Mapping[str, Mapping[str, Scalar]],
) -> None:
    """Refuse to set what a variant is about: its results would stand under its name, and be of something else."""
    for name, given in settings.items():
        for key in given:
            if key in parameters.get(name, {}):
                message = f"--set {name}.{key}: this is what the variant {variant} of {suite} sets"
                raise UsageError(message, "leave --set out, choose another variant, or add one to benchmarks.toml")


def _variant(config: Config, overrides: Overrides) -> str | None:
    variants = config.variants[str(overrides.suite)]
    if overrides.variant is not None and not variants:
        message = f"--variant {overrides.variant}: the suite {overrides.suite} has no variants"
        raise UsageError(message, "leave --variant out")
    if overrides.variant is not None:
        known_name(overrides.variant, "--variant", f"variant of {overrides.suite}", variants)
    elif variants:
        message = f"the suite {overrides.suite} has variants, each a run of its own"
        raise UsageError(message, f"choose one with --variant: {', '.join(variants)}")
    return overrides.variant


def _in(config: Config, *keys: str) -> Place:
    return lambda key: config.place(*keys, key)


def _require_same_norm(layers: Layers, suite: Collection[Layer], norm: str) -> None:
    """Refuse to take the radii of a suite for those of another norm than it has."""
    flags, _, *own = layers.layers
    meant = next(value for layer in own if (value := layer.choices.norm) is not None)
    for layer in suite:
        if layer.choices.epsilons is not None and flags.choices.epsilons is None and meant != norm:
            problem = f"are radii in {meant}, and the run is to be in {norm}"
            raise invalid(layer.place("epsilons"), problem, "give --epsilons as well")


def _require_settings(layers: Layers, config: Config, dataset: str, keys: Collection[str]) -> None:
    """Refuse a data set that no file lists unless something else says how to attack it."""
    missing = [key for key in keys if layers.value(key) is None]
    if not missing:
        return
    flags = " and ".join({"classifier": "--classifier NAME"}.get(key, "--epsilons 0.1,0.2") for key in missing)
    if config.path == packaged_source().path:  # which is not the user's to edit
        message = f"data set {dataset}: no {' and no '.join(missing)} known for it"
        raise UsageError(message, f"give {flags}, or list it in the file that robench init writes")
    problem = f"is missing, and nothing else says it for data set {dataset}"
    raise invalid(config.place("datasets", dataset, missing[0]), problem, f"add it, or give {flags}")
