"""``robench db``: look after the result store."""

import typer

from robench.cli.db.backup import backup
from robench.cli.db.export_runs import export
from robench.cli.db.import_runs import import_archive
from robench.cli.db.merge import merge
from robench.cli.db.upgrade import upgrade
from robench.cli.db.verify import verify

db_app = typer.Typer(help="Look after the result store.", no_args_is_help=True, rich_markup_mode=None)
db_app.command()(verify)
db_app.command()(backup)
db_app.command()(upgrade)
db_app.command()(export)
db_app.command("import")(import_archive)
db_app.command()(merge)
