"""A conversation as one HTML file: no script, nothing loaded, everything in it escaped.

What a model or a document wrote is data. Markdown is rendered without HTML and without pictures,
links lead to http, https and mailto alone, and a content security policy forbids the rest.
"""

import base64
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from urllib.parse import urlsplit

from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from trivium.agent.base import Node, Session
from trivium.agent.export import SPEAKERS, arguments, called, place, when
from trivium.engines.base import Image

LINKS = ("http", "https", "mailto")
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def page(session: Session, path: Sequence[Node]) -> str:
    """The whole page."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "markdown": partial(_markdown, _renderer()),
        "when": when,
        "place": place,
        "arguments": partial(arguments, indent=2),
        "data_url": _data_url,
    }
    text = files("trivium.agent").joinpath("page.html").read_text(encoding="utf-8")
    shown = environment.from_string(text).render(
        session=session, path=path, speakers=SPEAKERS, calls=called(path)
    )
    return shown.rstrip() + "\n"


def _renderer() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.add_render_rule("image", _picture)
    made.validateLink = _is_link  # type: ignore[method-assign]
    return made


def _is_link(url: str) -> bool:
    try:
        return urlsplit(url.strip()).scheme.lower() in LINKS
    except ValueError:
        return False


def _picture(
    renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType
) -> str:
    """A link in a picture's place: the picture would be fetched when the page is opened."""
    url, alt = str(tokens[at].attrs["src"]), tokens[at].content
    return f'<a href="{escapeHtml(url)}">{escapeHtml(alt or url)}</a>'


def _markdown(renderer: MarkdownIt, text: str) -> Markup:
    return Markup(renderer.render(text))  # noqa: S704 - HTML was turned off, links are limited


def _data_url(image: Image) -> str:
    """The picture itself as an address; nothing for a kind that may hold more than a picture."""
    if image.media_type not in PICTURES:
        return ""
    return f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}"
