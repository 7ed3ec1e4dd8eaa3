"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo

from robench.errors import UsageError


def whole_number(flag: str, text: str) -> OptionInfo:
    """Return an option for a whole number, whose complaint names the flag and the value."""

    def parse(value: str) -> int:
        try:
            return int(value)
        except ValueError as error:
            message = f"{flag}: must be a whole number, not {value!r}"
            raise UsageError(message) from error

    return typer.Option(flag, parser=parse, metavar="N", help=text)  # type: ignore[no-any-return]


def path(flag: str, metavar: str, text: str, *short: str) -> OptionInfo:
    """Return an option for a path. An empty one is refused: it would mean the current folder, or nothing at all."""

    def parse(value: str) -> Path:
        if not value:
            message = f"{flag}: is empty"
            raise UsageError(message, "name a path, or leave it out")
        return Path(value)

    return typer.Option(flag, *short, parser=parse, metavar=metavar, help=text)  # type: ignore[no-any-return]


Dataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Data set.")]
Classifier = Annotated[
    str | None,
    typer.Option("--classifier", metavar="NAME", help="Classifier to defend; your own: model.py:build or model.pt2."),
]
ClassifierWeights = Annotated[
    str | None, typer.Option("--classifier-weights", metavar="FILE", help=".safetensors to load into model.py:build.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PLUGIN.KEY=VALUE", help="Parameter, see plugins show; give it again for several."),
]
Defenses = Annotated[
    list[str] | None, typer.Option("--defense", metavar="NAME", help="Defense; give it again for several.")
]
Attacks = Annotated[
    list[str] | None, typer.Option("--attack", metavar="NAME", help="Attack; give it again for several.")
]
Epsilons = Annotated[
    str | None,
    typer.Option("--epsilons", metavar="LIST", help="Radii: 0.05,0.1,0.3 or first:last:count; in Linf up to 1."),
]
Norm = Annotated[str | None, typer.Option("--norm", metavar="NAME", help="Of the balls: linf or l2.")]
Images = Annotated[int | None, whole_number("--images", "Number of test images.")]
Seed = Annotated[int | None, whole_number("--seed", "Decides weights, image sample and every random draw.")]
Device = Annotated[str | None, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:INDEX.")]
Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Architectures and training: quick, fast or paper.")
]
Suite = Annotated[str | None, typer.Option("--suite", metavar="NAME", help="Suite of benchmarks.toml.")]
Variant = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="One variant of the suite (default: all, one by one).")
]
Config = Annotated[Path | None, path("--config", "FILE", "benchmarks.toml to use; searched upward by default.")]
Db = Annotated[
    str | None, typer.Option("--db", metavar="PATH", help="Result store: a file or a URL (default: ./robench.db).")
]
DataDir = Annotated[Path | None, path("--data-dir", "FOLDER", "Read data sets from here and nowhere else.")]
Engine = Annotated[
    str | None,
    typer.Option("--engine", metavar="NAME", help="native, or foolbox for attacks as that library runs them."),
]
SearchPrecision = Annotated[
    str | None,
    typer.Option(
        "--search-precision",
        metavar="NAME",
        help="Number format of searches: auto, float32, tf32 or bfloat16. Judged in float32 always.",
    ),
]
WorstCase = Annotated[
    bool | None,
    typer.Option(
        "--worst-case/--each-attack", help="Per image over all attacks, iterates and smaller epsilons, or each attack."
    ),
]
Budget = Annotated[
    str | None,
    typer.Option("--budget", metavar="NAME", help="Cost of the attack adaptive: quick, standard or thorough."),
]
KeepExamples = Annotated[
    bool, typer.Option("--keep-examples", help="Write the attacked images beside the store, for robench replay.")
]
BatchSize = Annotated[int | None, whole_number("--batch-size", "Images attacked together; tried out by default.")]
Trace = Annotated[
    Path | None,
    path("--trace", "FOLDER", "Write where the time goes: trace.json for a browser, time.json."),
]
Executor = Annotated[
    str | None,
    typer.Option("--executor", metavar="NAME", help="Who does the work: local (default), processes or ray."),
]
Workers = Annotated[
    int | None, whole_number("--workers", "How many; by default one for each GPU, or for each core up to 8.")
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray-address", metavar="ADDRESS", help="auto or HOST:PORT; without it Ray starts on this machine."),
]
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="K/N", help="Only the K-th of N parts of the images; join by db merge.")
]
Output = Annotated[Path | None, path("--output", "FILE", "Write to this file; what is there is replaced.", "-o")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings only, no progress.")]
