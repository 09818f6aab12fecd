"""One conversation in a real browser: its tokens, its JSON, its thread, its copies, and every shortcut."""

import base64
import math
import re
import struct
import zlib

import pytest
from playwright.sync_api import expect
from pytest_playwright_axe import OPTIONS_WCAG_22AA, Axe

from tests.dashboard.browser import sign_in, watched
from tests.factories import days_ago, make_completed, make_request_body, make_response_body

pytestmark = pytest.mark.django_db(transaction=True)


def _png() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 14)) + chunk(b"IEND", b"")


def _entry(token: str, probability: float, *others: str) -> dict[str, object]:
    alternatives = [{"token": other, "logprob": math.log(0.05), "bytes": None} for other in others]
    return {"token": token, "logprob": math.log(probability), "bytes": None, "top_logprobs": alternatives}


HOSTILE = "<i hx-get='/logout/' hx-trigger='load'>x</i><script>document.title='pwned'</script> \u202e " + "W" * 300
CALL = {"id": "call_1", "type": "function", "function": {"name": "find_order", "arguments": '{"order_id":"A-1042"}'}}
MESSAGES = [
    {"role": "system", "content": "You find orders."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": HOSTILE},
            {
                "type": "image_url",
                "image_url": {"url": "data:image/png;base64," + base64.b64encode(_png()).decode()},
            },
            {"type": "image_url", "image_url": {"url": "http://example.org/beacon.png"}},
        ],
    },
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": '{"state":"in_transit","eta":"2026-11-22"}'},
]
CHOICES = [
    {
        "index": 0,
        "message": {"role": "assistant", "content": "On its way."},
        "finish_reason": "stop",
        "logprobs": {"content": [_entry("On", 0.99), _entry(" its", 0.6, " the"), _entry(" way.", 0.04, " desk.")]},
    },
    {"index": 1, "message": {"role": "assistant", "content": None, "refusal": HOSTILE}, "finish_reason": "stop"},
]


@pytest.fixture
def seen(page, context, live_server, admin_user):
    """A page of a signed-in reader, watched."""
    page.set_default_timeout(10_000)
    sign_in(context, live_server.url, admin_user)
    yield from watched(page, live_server.url)


@pytest.fixture
def talk(project):
    """A conversation with everything in it, and one that goes on from it."""
    first = make_completed(
        project,
        request_body=make_request_body(messages=MESSAGES, n=2),
        response_body=make_response_body(choices=CHOICES),
        received_at=days_ago(0.2),
    )
    more = [*MESSAGES, CHOICES[0]["message"], {"role": "user", "content": "고마워요"}]
    second = make_completed(project, request_body=make_request_body(messages=more), received_at=days_ago(0.1))
    return first, second


@pytest.fixture
def addresses(talk):
    """Every page for reading."""
    first, second = (f"/requests/{record.request_id}" for record in talk)
    return {
        "conversation": first,
        "thread": f"{second}/thread",
        "diff": f"/diff/?a={talk[0].request_id}&b={talk[1].request_id}",
        "tree": f"{first}?tab=request&view=tree",
        "node": f"{first}?tab=request&ptr=/messages/1/content/0/text",
        "text": f"{first}?tab=request",
        "replay": f"{first}?tab=replay",
    }


def test_a_token_tells_its_alternatives_by_keyboard_and_hides_them_again(seen, live_server, addresses):
    seen.goto(live_server.url + addresses["conversation"])
    seen.locator(".heat > summary").click()
    token = seen.locator(".token").nth(2)
    token.focus()
    expect(token.locator(".others")).to_be_visible()
    expect(token.locator(".others")).to_contain_text("desk. 5.0 %")
    seen.keyboard.press("Escape")
    expect(token.locator(".others")).to_be_hidden()
    token.hover()
    expect(token.locator(".others")).to_be_visible()


def test_a_picture_inside_the_record_is_loaded_and_one_elsewhere_is_not(seen, live_server, addresses):
    seen.goto(live_server.url + addresses["conversation"])
    picture = seen.locator("img.picture")
    expect(picture).to_have_count(1)
    picture.scroll_into_view_if_needed()
    seen.wait_for_function("document.querySelector('img.picture').naturalWidth === 2")


def test_json_is_opened_node_by_node_and_asked_for_once(seen, live_server, addresses):
    asked = []
    seen.on("request", lambda request: asked.append(request.url) if "/nodes/" in request.url else None)
    seen.goto(live_server.url + addresses["tree"])
    messages = seen.locator(".tree > ul > li").filter(has_text="messages")
    messages.locator("summary").first.click()
    expect(messages.locator("> details > ul > li")).to_have_count(4)
    for _ in range(2):
        messages.locator("summary").first.click()
    messages.locator("> details > ul > li").nth(3).locator("summary").click()
    expect(messages).to_contain_text("in_transit")
    assert len(asked) == 2
    messages.get_by_role("link", name="tool_call_id").click()
    expect(seen).to_have_url(re.compile("ptr=/messages/3/tool_call_id".replace("/", "(/|%2F)")))
    expect(seen.locator(".tree")).to_contain_text("call_1")


def test_a_command_is_copied_and_said_to_be(seen, context, live_server, addresses):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    seen.goto(live_server.url + addresses["conversation"])
    seen.get_by_role("link", name="curl").click()
    expect(seen.locator("#announcement")).to_have_text("Copied")
    assert seen.evaluate("navigator.clipboard.readText()").startswith("curl http")
    expect(seen).to_have_url(live_server.url + addresses["conversation"])


def test_every_shortcut_does_what_the_dialog_says(seen, context, live_server, talk, addresses):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    seen.goto(live_server.url + addresses["conversation"])
    seen.keyboard.press("?")
    expect(seen.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    seen.keyboard.press("j")
    seen.keyboard.press("Escape")
    expect(seen.get_by_role("dialog")).to_be_hidden()
    seen.wait_for_function("!document.activeElement.closest('dialog')")
    for _ in range(2):
        seen.keyboard.press("j")
    expect(seen.locator("#m-1")).to_be_focused()
    seen.keyboard.press("k")
    expect(seen.locator("#m-0")).to_be_focused()
    seen.keyboard.press("c")
    expect(seen.locator("#announcement")).to_have_text("Copied")
    assert seen.evaluate("navigator.clipboard.readText()") == talk[0].request_id
    for key, place in {"d": "/deferred/", "s": "/stored/", "u": "/usage/", "c": "/conversations/"}.items():
        # Not from one of the pages to the next: they put the cursor into a box.
        seen.goto(live_server.url + addresses["conversation"])
        seen.keyboard.press("g")
        seen.keyboard.press(key)
        seen.wait_for_url(re.compile(place))
    seen.keyboard.press("j")
    expect(seen.locator("tbody tr:has(:focus)")).to_contain_text("고마워요")


def test_keys_count_neither_while_typing_nor_when_they_are_off(seen, live_server, addresses):
    seen.goto(live_server.url + addresses["conversation"])
    seen.locator("#any-id").focus()
    seen.keyboard.type("?gd/")
    expect(seen.locator("#any-id")).to_have_value("?gd/")
    expect(seen.get_by_role("dialog")).to_have_count(0)
    seen.locator("#main").focus()
    seen.keyboard.press("?")
    seen.get_by_role("button", name="Turn them off").click()
    expect(seen.locator("html")).to_have_attribute("data-shortcuts", "off")
    for key in ("?", "/", "j", "g", "d"):
        seen.keyboard.press(key)
    expect(seen).to_have_url(live_server.url + addresses["conversation"])
    expect(seen.get_by_role("dialog")).to_have_count(0)


def test_a_syllable_that_is_being_composed_is_no_shortcut(seen, live_server, addresses):
    seen.goto(live_server.url + addresses["conversation"])
    seen.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '?', isComposing: true, bubbles: true}))"
    )
    expect(seen.get_by_role("dialog")).to_have_count(0)


def test_reading_needs_no_javascript(browser, live_server, addresses, admin_user):
    context = browser.new_context(java_script_enabled=False)
    sign_in(context, live_server.url, admin_user)
    page = context.new_page()
    page.goto(live_server.url + addresses["tree"])
    page.get_by_role("link", name="messages").click()
    page.get_by_role("link", name="3", exact=True).click()
    expect(page.locator(".tree")).to_contain_text("in_transit")
    page.goto(live_server.url + addresses["conversation"])
    page.get_by_role("button", name="Plain").click()
    expect(page.locator(".call")).to_contain_text('{"order_id":"A-1042"}')
    page.get_by_role("link", name="Read the whole thread").click()
    expect(page.locator("main")).to_contain_text("고마워요")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_for_reading_meets_wcag_2_2_aa(seen, live_server, addresses, scheme):
    seen.emulate_media(color_scheme=scheme)
    for name, path in addresses.items():
        seen.goto(live_server.url + path)
        for summary in seen.locator(".heat > summary, .tree > ul > li > details > summary").all():
            summary.click()
        found = Axe().run(seen, options=OPTIONS_WCAG_22AA, html_report_generated=False, json_report_generated=False)
        faults = [(fault["id"], [node["html"][:150] for node in fault["nodes"]]) for fault in found["violations"]]
        assert faults == [], name
    assert seen.title() != "pwned"


@pytest.mark.parametrize("language", ["en", "ko", "zh-hans"])
def test_nothing_for_reading_scrolls_sideways_at_320_pixels(seen, context, live_server, addresses, language):
    context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    seen.set_viewport_size({"width": 320, "height": 640})
    for name, path in addresses.items():
        seen.goto(live_server.url + path)
        for summary in seen.locator(".heat > summary").all():
            summary.click()
        for token in seen.locator(".token").all():
            token.focus()
            assert seen.evaluate("document.documentElement.scrollWidth") <= 320, name
        assert seen.evaluate("document.documentElement.scrollWidth") <= 320, name
