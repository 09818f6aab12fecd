"""Untrusted text made safe to look at."""

import json
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.dashboard.reading.rendering import coloured_json, is_readable_markdown, markdown, visible

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/beacon.png)",
    "[x](javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](//evil.example)",
    "[x](/logout/)",
    "<i hx-get=/ hx-trigger=load>",
    '<a id="result" name="x" style="color:red" class="button" data-copy="x">x</a>',
    '```js" onload=alert(1)\nx\n```',
    "| a |\n|:-:|\n| <svg onload=alert(1)> |",
    '[x](https://a.example "<b onclick=x>")',
    "<!-- x --><style>*{}</style><base href=//evil.example>",
]


class _Elements(HTMLParser):
    """Collects the elements of a piece of HTML with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_markdown_is_inert(attack):
    for tag, attributes in _Elements(str(markdown(attack))).found:
        assert tag in {"a", "code", "p", "pre", "span", "table", "tbody", "td", "th", "thead", "tr"}
        assert set(attributes) <= {"href", "title", "rel", "class"}
        assert attributes.get("href", "https:").startswith("https:")
        assert attributes.get("class", "host") in {"host", "align-center"}


def test_links_name_the_host_that_they_lead_to():
    html = markdown("[google.com](https://google.com@evil.example/x)")
    assert '<span class="host">(evil.example)</span>' in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_headings_stand_below_those_of_the_page():
    assert markdown("# a\n\n### b") == "<h4>a</h4>\n<h6>b</h6>\n"


def test_tables_keep_their_alignment_without_styles():
    html = markdown("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<td class="align-center">1</td>' in html
    assert '<td class="align-end">2</td>' in html


@pytest.mark.parametrize("slow", ["[" * 20_000, "_a__" * 8_000, "`" * 30_000, "|" * 30_000, "x" * 40_000])
def test_text_that_would_take_long_is_not_read_as_markdown(slow):
    assert not is_readable_markdown(slow)


@pytest.mark.parametrize("mark", ["[", "_", "*", "`", "|", "<", "![", "> ", "- ", "a\n"])
def test_what_is_read_as_markdown_takes_no_time(mark):
    text = mark * 1_400
    assert is_readable_markdown(text)
    started = time.process_time()
    markdown(text)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("a\x1bb", "a⟨U+001B⟩b"),
        ("a\0b\ud800", "a\ufffdb\ufffd"),
        ("p\u200day", "p⟨U+200D⟩ay"),
        ("👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"),
        ("tab\tline\n한국어", "tab\tline\n한국어"),
    ],
)
def test_invisible_characters_are_shown(hidden, shown):
    assert visible(hidden) == shown


@given(st.text())
def test_every_text_can_be_shown(text):
    visible(text).encode()
    markdown(text).encode()
    coloured_json(text).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('abc{}[],:"\\ 한', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"', max_size=3), inner, max_size=3),
)


@given(JSON)
def test_coloured_json_changes_nothing_but_space(value):
    text = json.dumps(value, ensure_ascii=False)
    html = str(coloured_json(text)).replace("</span>", "")
    for kind in ("key", "string", "mark", "word"):
        html = html.replace(f'<span class="json-{kind}">', "")
    for escaped, plain in (("&quot;", '"'), ("&lt;", "<"), ("&gt;", ">"), ("&#x27;", "'"), ("&amp;", "&")):
        html = html.replace(escaped, plain)
    assert html == json.dumps(value, ensure_ascii=False, indent=2)


def test_numbers_keep_their_spelling():
    assert '<span class="json-word">4944116822809979520' in coloured_json('{"seed":4944116822809979520}')
    assert '<span class="json-word">1.0E+2' in coloured_json('{"x":1.0E+2}')
