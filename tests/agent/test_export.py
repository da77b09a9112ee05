"""A conversation as Markdown, JSON and HTML: exact where it counts, and never more than text."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from trivium.agent.base import Attachment, Node, Session
from trivium.agent.export import export, when
from trivium.agent.page import page
from trivium.agent.sessions import Sessions
from trivium.engines.base import Image, ToolCall
from trivium.retrieval.base import Citation

CALL = ToolCall("c1", "read_file", {"path": "light.md"})
CITATION = Citation("/notes/light.md", 2, 10, 36, "Light moves\nat 299,792 km/s.", "ab" * 32, 0.9)
SESSION = Session(1, "light", "qwen", "", 0.0, 0.0, None, 0)

INJECTIONS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</pre></details></main><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<!-- --><script>alert(1)</script> -->",
    "<meta http-equiv=refresh content='0;url=http://evil'>",
    "<base href='http://evil/'>",
    "<form action='http://evil'><input name=x></form>",
    "<link rel=stylesheet href=http://evil/x.css>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&Tab;javascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](file:///etc/passwd)",
    "[x](//evil/x)",
    "[x](/relative)",
    "[x](#m1)",
    "[x][1]\n\n[1]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "![x](http://evil/track.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![\" onerror=\"alert(1)](http://evil/x.png)",
    '[x](http://a" onclick="alert(1))',
    '[x](http://a "title\\" onclick=alert(1)")',
    '[x](<http://a/"onmouseover="alert(1)>)',
    "``` \"><script>alert(1)</script>\ncode\n```",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "`</code><script>alert(1)</script>`",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "{{ 7 * 7 }}{% for x in y %}",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)",
    "]]><script>alert(1)</script>",
    "\x00<script>alert(1)</script>",
    "&lt;script&gt;",
    "http://[bad",
    "[x](http://[bad)",
]  # fmt: skip


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Sessions]:
    with Sessions(tmp_path / "s.db") as opened:
        yield opened


@pytest.fixture
def session(sessions: Sessions) -> Session:
    """Every kind of message, in two branches; the second is open."""
    key = sessions.create("light", model="qwen", system="Be brief.").id
    attached = (
        Attachment("light.md", "text", text="secret text"),
        Attachment("p.png", "image", image=Image(b"\x89PNG", "image/png")),
    )
    root = sessions.append(key, Node("user", "How fast\nis light?", attachments=attached))
    sessions.append(key, Node("assistant", "No idea."))
    sessions.set_head(key, root.id)
    sessions.append(key, Node("assistant", "", thinking="Look.", tool_calls=(CALL,)))
    sessions.append(key, Node("tool", "```\n299,792\n```", tool_call_id="c1"))
    said = sessions.append(key, Node("assistant", "*Fast*.", citations=(CITATION,)))
    sessions.append(key, Node("summary", "Of light.", covers=said.id))
    sessions.append(key, Node("user", "And sound?"))
    draft = sessions.begin(key, Node("assistant", "Like so:\n\n```python\nv = 343"))
    sessions.finish(replace(draft, state="interrupted"))
    return sessions.session(key)


MARKDOWN = """\
# light

*qwen, {began} to {ended}*

## System

Be brief.

## You

Attached: `light.md`, `p.png`

How fast
is light?

## Assistant

Thinking:

```
Look.
```

Call of `read_file`:

```json
{{
  "path": "light.md"
}}
```

## Tool

Result of `read_file`:

````
```
299,792
```
````

## Assistant

*Fast*.

Sources: [^5-1]

## Summary

Of light.

## You

And sound?

## Assistant

Like so:

```python
v = 343
```

*(interrupted)*

[^5-1]: `/notes/light.md, page 2, character 10`: “Light moves at 299,792 km/s.”
"""


class TestMarkdown:
    def test_the_open_branch_with_everything_in_it(
        self, sessions: Sessions, session: Session
    ) -> None:
        times = {"began": when(session.created), "ended": when(session.updated)}
        assert export(sessions, session, "md") == MARKDOWN.format(**times)

    def test_an_empty_session_is_its_title(self, sessions: Sessions) -> None:
        made = sessions.create("empty")
        text = export(sessions, made, "md")
        assert text == f"# empty\n\n*{when(made.created)} to {when(made.updated)}*\n"

    @settings(max_examples=100, deadline=None)
    @given(st.text(st.sampled_from("`~ \na#"), max_size=40))
    def test_no_answer_swallows_what_follows(self, text: str) -> None:
        from trivium.agent.export import _closed, _code, _fenced

        for written in (_closed(text), _fenced(text), _code(text)):
            tokens = MarkdownIt().parse(f"{written}\n\n## Next")
            assert [token.tag for token in tokens[-3:]] == ["h2", "", "h2"]
            assert tokens[-2].content == "Next"


class TestJson:
    def test_the_whole_tree(self, sessions: Sessions, session: Session) -> None:
        document = json.loads(export(sessions, session, "json"))
        assert {key: document[key] for key in ("format", "version", "path")} == {
            "format": "trivium-session",
            "version": 1,
            "path": [1, 3, 4, 5, 6, 7, 8],
        }
        assert document["session"] == {
            "name": "light",
            "model": "qwen",
            "system": "Be brief.",
            "created": session.created,
            "updated": session.updated,
        }
        messages = document["messages"]
        assert [one["id"] for one in messages] == list(range(1, 9))
        assert [one["parent"] for one in messages] == [None, 1, 1, 3, 4, 5, 6, 7]
        assert messages[0]["attachments"] == [
            {"name": "light.md", "kind": "text"},
            {"name": "p.png", "kind": "image"},
        ]
        assert messages[2]["tool_calls"] == [
            {"id": "c1", "name": "read_file", "arguments": {"path": "light.md"}}
        ]
        assert messages[3]["tool_call_id"] == "c1"
        assert messages[4]["citations"][0]["text"] == CITATION.text
        assert messages[5]["covers"] == 5
        assert [one["state"] for one in messages] == ["complete"] * 7 + ["interrupted"]
        assert "secret text" not in json.dumps(document)

    @settings(max_examples=50, deadline=None)
    @given(st.text())
    def test_any_text_comes_back_and_no_control_character_is_printed(self, text: str) -> None:
        from trivium.agent.export import _CONTROL
        from trivium.cli.console import clean

        written = json.dumps({"content": text}, ensure_ascii=False)
        written = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", written)
        assert json.loads(written) == {"content": text}
        assert clean(written) == written


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


TAGS = set(
    """html head meta title style body header h1 h2 h3 h4 h5 h6 p main article details summary div
    pre span img ol ul li q b i time em strong s code a br hr blockquote table thead tbody tr th
    td""".split()
)
ATTRIBUTES = {
    "lang", "charset", "name", "content", "http-equiv", "class", "id", "dir", "open", "href",
    "title", "src", "alt", "start", "style",
}  # fmt: skip


def is_harmless(text: str) -> Page:
    """Nothing in the page runs, loads or leads anywhere but by a link to the web."""
    shown = Page(text)
    for tag, attributes in shown.elements:
        assert tag in TAGS
        assert set(attributes) <= ATTRIBUTES
        assert re.match("https?://|mailto:", attributes.get("href") or "http://")
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert tag not in ("a",) or set(attributes) <= {"href", "title"}
        assert tag != "meta" or attributes.get("http-equiv") in (None, "Content-Security-Policy")
    assert [tag for tag, _ in shown.elements].count("style") == 1
    return shown


class TestHtml:
    def test_every_part_is_there(self, sessions: Sessions, session: Session) -> None:
        shown = is_harmless(export(sessions, session, "html"))
        for text in (
            "light", "qwen · ", "Be brief.", "How fast\nis light?", "light.md", "Look.",
            "Call of read_file", '"path": "light.md"', "Result of read_file", "299,792",
            "/notes/light.md, page 2, character 10: ", CITATION.text, "Of light.", "v = 343",
            "interrupted",
        ):  # fmt: skip
            assert text in shown.text
        assert "secret text" not in shown.text
        assert ("em", {}) in shown.elements
        pictures = [attributes["src"] for tag, attributes in shown.elements if tag == "img"]
        assert pictures == ["data:image/png;base64,iVBORw=="]

    def test_it_forbids_itself_everything(self, sessions: Sessions, session: Session) -> None:
        text = export(sessions, session, "html")
        assert "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:;" in text

    @pytest.mark.parametrize("attack", INJECTIONS)
    def test_an_attack_in_any_place_is_text(self, attack: str) -> None:
        call = ToolCall(attack, attack, {attack: attack})
        citation = replace(CITATION, path=attack, text=attack)
        attached = (
            Attachment(attack, "text"),
            Attachment(attack, "image", image=Image(b"x", attack)),
            Attachment(attack, "image", image=Image(b"x", "image/svg+xml")),
            Attachment(attack, "image", image=Image(b"x", "image/png")),
        )
        path = [
            Node(
                role, attack, 1, thinking=attack, source=attack, tool_calls=(call,),
                tool_call_id=attack, citations=(citation,), attachments=attached,
            )
            for role in ("user", "assistant", "tool", "summary")
        ]  # fmt: skip
        session = replace(SESSION, name=attack, model=attack, system=attack)
        shown = is_harmless(page(session, path))
        pictures = [attributes for tag, attributes in shown.elements if tag == "img"]
        assert [one["src"] for one in pictures] == ["data:image/png;base64,eA=="] * 4
        assert attack in shown.text  # a user's message, to the letter

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.sampled_from([*INJECTIONS, "\n\n", "    ", "- ", "> ", "```", "a"])))
    def test_no_mixture_of_them_is_more(self, parts: list[str]) -> None:
        is_harmless(page(SESSION, [Node("assistant", "".join(parts), 1)]))

    def test_links_to_the_web_and_mail_are_links(self) -> None:
        text = "[a](https://a.org/?q=1&r=2) <http://b.org> [c](mailto:c@d.org) ![p](http://e/p.png)"
        shown = is_harmless(page(SESSION, [Node("assistant", text, 1)]))
        links = [attributes["href"] for tag, attributes in shown.elements if tag == "a"]
        assert links == [
            "https://a.org/?q=1&r=2",
            "http://b.org",
            "mailto:c@d.org",
            "http://e/p.png",
        ]
        assert all(tag != "img" for tag, _ in shown.elements)
