"""The program: its commands, and the only place where errors become messages and exit codes."""

import os
import sys
from typing import Annotated

import typer

from robench import __version__
from robench.cli.compare import compare
from robench.cli.db import db_app
from robench.cli.diagnose import diagnose
from robench.cli.doctor import doctor
from robench.cli.explore import explore
from robench.cli.figure import figure
from robench.cli.init import init
from robench.cli.leaderboard import leaderboard
from robench.cli.plan import plan
from robench.cli.plugins import plugins_app
from robench.cli.replay import replay
from robench.cli.report import report
from robench.cli.run import run
from robench.cli.runs import runs_app
from robench.cli.stdout import explain_stdout, give_up_stdout, occupy_stdout
from robench.cli.stopping import Stopped, farewell, stop_on_signals
from robench.cli.train import train
from robench.cli.verify_engine import verify_engine
from robench.errors import RobenchError

app = typer.Typer(
    name="robench",
    help="Measure how robust adversarial defenses really are, above all those that may reject an input.",
    epilog="Exit codes: 0 done, 1 error, 2 wrong usage, 3 incomplete but resumable, 130 and 143 stopped by a signal.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a defect keeps its plain traceback
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(plan)
app.command()(train)
app.command()(report)
app.command()(figure)
app.command()(leaderboard)
app.command()(compare)
app.command()(explore)
app.command()(replay)
app.command()(diagnose)
app.command()(verify_engine)
app.add_typer(runs_app, name="runs")
app.add_typer(plugins_app, name="plugins")
app.add_typer(db_app, name="db")
app.command()(doctor)
app.command()(init)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"robench {__version__}")
        raise typer.Exit


def _leave_out_plugins(wanted: bool) -> None:
    if wanted:
        os.environ["ROBENCH_DISABLE_PLUGINS"] = "1"


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    no_plugins: Annotated[
        bool,
        typer.Option(
            "--no-plugins",
            callback=_leave_out_plugins,
            help="Use only what is built in, as ROBENCH_DISABLE_PLUGINS=1 does.",
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit."""
    occupy_stdout()
    try:
        with stop_on_signals(), explain_stdout():
            app()
    except RobenchError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except Stopped as stopped:
        sys.stderr.write(farewell())
        sys.exit(stopped.exit_code)
    except BrokenPipeError:
        give_up_stdout()  # whoever read it has gone
        sys.exit(1)
