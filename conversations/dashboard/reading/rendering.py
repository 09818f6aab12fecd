"""Untrusted text made safe to look at: Markdown, invisible characters and JSON.

What a model or a client sent is never trusted. Markdown passes markdown-it-py without HTML and then an allowlist;
everything else is escaped by the templates. This module has the only ``mark_safe`` of the program.
"""

import re
from collections.abc import Sequence
from itertools import zip_longest
from urllib.parse import urlsplit

import nh3
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from conversations.wire.json_door import showable

MAX_MARKDOWN = 32 * 1024
"""Longest message, in characters, that is read as Markdown."""

MAX_COLOURED_JSON = 64 * 1024
"""Longest JSON, in characters, that is indented and coloured."""

_MAX_MARKS = 1_500
"""Most brackets or emphasis marks in a message: markdown-it's time grows with their square."""

_MAX_MEMBERS = 4_000
"""Most brackets and commas in a JSON text that is coloured: each of them makes a line and several elements."""

_MAX_INDENT = 40
_OPENING, _CLOSING = ("{", "["), ("}", "]")
_MARKS = (*_OPENING, *_CLOSING, ",", ":")
INVISIBLE = re.compile(
    "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]|(?<=[\x00-\x7f])[\u200c\u200d]"
)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_ALIGNED = {"align-center", "align-end"}
_TAGS = {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "span", "strong", "ul"}
_TAGS |= {"h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr"}
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes={"a": {"href", "title"}, "ol": {"start"}},
    allowed_classes={"td": _ALIGNED, "th": _ALIGNED, "span": {"host"}},
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    strip_comments=True,
)


class _Renderer(RendererHTML):
    """markdown-it's own, fitted into a page: no styles, no headings above the page's own, and the host after each link."""

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A table's cell, its alignment as a class."""
        style = str(tokens[idx].attrs.pop("style", ""))
        if "center" in style:
            tokens[idx].attrSet("class", "align-center")
        elif "right" in style:
            tokens[idx].attrSet("class", "align-end")
        return self.renderToken(tokens, idx, options, env)

    td_open = th_open

    def heading_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A heading, below those of the page itself."""
        tokens[idx].tag = f"h{min(int(tokens[idx].tag[1]) + 3, 6)}"
        return self.renderToken(tokens, idx, options, env)

    heading_close = heading_open

    def link_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """The end of a link, and where it really leads."""
        opening = next(token for token in reversed(tokens[:idx]) if token.type == "link_open")
        try:
            host = urlsplit(str(opening.attrs.get("href", ""))).hostname or ""
        except ValueError:
            host = ""
        return f'</a> <span class="host">({escape(host)})</span>' if host else "</a>"


_MARKDOWN = (
    MarkdownIt(
        "js-default", {"html": False, "linkify": False, "typographer": False, "maxNesting": 50}, renderer_cls=_Renderer
    )
    .enable(["table", "strikethrough"])
    .disable(["image"])
)


def visible(text: str) -> str:
    """A text with nothing hidden in it: invisible and direction-changing characters as ``⟨U+202E⟩``.

    NUL and lone surrogates become U+FFFD. Joiners inside words and emoji stay.
    """
    return INVISIBLE.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", showable(text))


def is_readable_markdown(text: str) -> bool:
    """Whether a text can be read as Markdown in reasonable time; if not, it is shown as it is."""
    marks = (text.count("["), text.count("_") + text.count("*"), text.count("`"), text.count("|"), text.count("<"))
    return len(text) <= MAX_MARKDOWN and max(marks) <= _MAX_MARKS


def markdown(text: str) -> SafeString:
    """A message as HTML. The caller has asked ``is_readable_markdown``; place it inside the htmx fence."""
    return mark_safe(_CLEANER.clean(_MARKDOWN.render(visible(text))))  # noqa: S308 - cleaned by the allowlist


def is_colourable(text: str) -> bool:
    """Whether a JSON text can be indented and coloured and still make a page of reasonable size."""
    return len(text) <= MAX_COLOURED_JSON and text.count("[") + text.count("{") + text.count(",") <= _MAX_MEMBERS


def coloured_json(text: str) -> SafeString:
    """A JSON text, indented, its keys, strings and words in spans. Numbers and escapes stay as they are spelled.

    Takes anything, also what is not quite JSON. The caller has asked ``is_colourable``.
    """
    pieces: list[tuple[str, str]] = []
    depth = 0
    found: list[str] = _JSON_TOKEN.findall(visible(text))
    for piece, after in zip_longest(found, found[1:], fillvalue=""):
        depth = max(depth + (piece in _OPENING) - (piece in _CLOSING), 0)
        kind = "key" if after == ":" else "string" if piece[0] == '"' else "mark" if piece in _MARKS else "word"
        pieces.append((kind, piece + _space_after(piece, after, depth)))
    return format_html_join("", '<span class="json-{}">{}</span>', pieces)


def _space_after(piece: str, after: str, depth: int) -> str:
    if piece == ":":
        return " "
    if after in _CLOSING:
        # It stands one step further out than what it closes; nothing stands inside an empty pair.
        return "" if piece in _OPENING else "\n" + "  " * min(max(depth - 1, 0), _MAX_INDENT)
    return "\n" + "  " * min(depth, _MAX_INDENT) if piece == "," or piece in _OPENING else ""
