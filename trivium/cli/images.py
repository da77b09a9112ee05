"""`trivium images`: a folder of pictures indexed, searched, sorted and compared."""

import typer

app = typer.Typer(no_args_is_help=True, help="Index, search, sort and compare pictures.")
