"""`trivium images`: a folder of pictures indexed, searched, sorted and compared."""

import typer

from trivium.cli.images_caption import caption
from trivium.cli.images_classify import classify, probe
from trivium.cli.images_duplicates import app as duplicates
from trivium.cli.images_gallery import gallery
from trivium.cli.images_index import forget, index, status
from trivium.cli.images_score import score
from trivium.cli.images_search import search, similar

app = typer.Typer(no_args_is_help=True, help="Index, search, sort and compare pictures.")
app.command()(index)
app.command()(search)
app.command()(similar)
app.command()(classify)
app.command()(probe)
app.command()(score)
app.command()(caption)
app.command()(status)
app.command()(forget)
app.add_typer(duplicates, name="duplicates")
app.command()(gallery)
