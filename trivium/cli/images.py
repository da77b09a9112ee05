"""`trivium images`: a folder of pictures indexed, searched, sorted and compared."""

import typer

from trivium.cli.images_duplicates import app as duplicates
from trivium.cli.images_index import forget, index, status
from trivium.cli.images_search import search

app = typer.Typer(no_args_is_help=True, help="Index, search, sort and compare pictures.")
app.command()(index)
app.command()(search)
app.command()(status)
app.command()(forget)
app.add_typer(duplicates, name="duplicates")
