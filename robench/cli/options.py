"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Dataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Data set.")]
Classifier = Annotated[str | None, typer.Option("--classifier", metavar="NAME", help="Classifier to defend.")]
Defenses = Annotated[
    list[str] | None, typer.Option("--defense", metavar="NAME", help="Defense; give it again for several.")
]
Attacks = Annotated[
    list[str] | None, typer.Option("--attack", metavar="NAME", help="Attack; give it again for several.")
]
Epsilons = Annotated[
    str | None,
    typer.Option("--epsilons", metavar="LIST", help="Linf radii in (0, 1]: 0.05,0.1,0.3 or first:last:count."),
]
Images = Annotated[int | None, typer.Option("--images", metavar="N", help="Number of test images.")]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Decides weights, image sample and every random draw.")
]
Device = Annotated[str | None, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:INDEX.")]
Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Architectures and training: quick or paper.")
]
Suite = Annotated[str | None, typer.Option("--suite", metavar="NAME", help="Suite of benchmarks.toml.")]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="benchmarks.toml to use; searched upward by default.")
]
Db = Annotated[str | None, typer.Option("--db", metavar="PATH", help="Result store (default: ./robench.db).")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="FOLDER", help="Read data sets from here and nowhere else.")
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", metavar="N", help="Images attacked together; changes speed only.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
