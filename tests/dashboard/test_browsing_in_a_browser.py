"""The list in a real browser: looking into, walking, scrolling, following, and all of it without JavaScript."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect
from pytest_playwright_axe import OPTIONS_WCAG_22AA, Axe

from conversations.dashboard.views import conversations as view
from conversations.models import ChatRequest, SearchText
from conversations.wire.grams import grams_of
from tests.dashboard.browser import sign_in, watched
from tests.factories import days_ago, make_completed, make_failed, make_request

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = "<i hx-get='/logout/' hx-trigger='load'>x</i> \u202e " + "W" * 300


@pytest.fixture
def seen(page, context, live_server, admin_user):
    """A page of a signed-in reader with room beside the list, watched."""
    page.set_default_timeout(10_000)
    page.set_viewport_size({"width": 1440, "height": 900})
    sign_in(context, live_server.url, admin_user)
    yield from watched(page, live_server.url)


@pytest.fixture
def records(project):
    """Conversations of every sort, the newest first."""
    names = {"metadata": {"team": "x" * 60}, "end_user": "user-" + "y" * 60}
    made = [
        make_completed(project, received_at=days_ago(0.1), preview="first"),
        make_failed(project, received_at=days_ago(0.2), preview="second", **names),
        make_completed(project, received_at=days_ago(0.3), preview=HOSTILE, model="z" * 200, is_sample=True),
        make_request(project, received_at=days_ago(0.4), preview="fourth"),
        make_completed(project, received_at=days_ago(0.5), content_kept=False, stored=False),
    ]
    SearchText.objects.create(request=made[0], said="the first word", grams=grams_of("the first word"))
    return made


def test_a_row_opens_beside_the_list_and_one_walks_on_from_it(seen, live_server, records):
    seen.goto(f"{live_server.url}/conversations/")
    seen.get_by_role("link", name="first", exact=True).click()
    expect(seen.locator("#peek")).to_contain_text(records[0].request_id)
    expect(seen.locator("#rows a[aria-current]")).to_have_text("first")
    seen.locator("#peek-older").focus()
    seen.keyboard.press("Enter")
    expect(seen.locator("#peek")).to_contain_text(records[1].request_id)
    expect(seen.locator("#rows a[aria-current]")).to_have_text("second")
    expect(seen.locator("#peek-older")).to_be_focused()
    seen.go_back()
    expect(seen.locator("#peek")).to_contain_text(records[0].request_id)
    seen.locator("#peek-close").click()
    expect(seen.locator("#peek")).to_be_hidden()
    expect(seen).to_have_url(f"{live_server.url}/conversations/")


def test_a_row_opens_in_a_tab_of_its_own_when_that_is_asked_for(seen, context, live_server, records):
    seen.goto(f"{live_server.url}/conversations/")
    with context.expect_page() as opened:
        seen.get_by_role("link", name="first", exact=True).click(modifiers=["ControlOrMeta"])
    expect(opened.value).to_have_url(f"{live_server.url}/requests/{records[0].request_id}")
    expect(seen.locator("#peek")).to_be_hidden()


def test_a_row_leads_to_its_page_where_there_is_no_room_beside_the_list(seen, live_server, records):
    seen.set_viewport_size({"width": 500, "height": 900})
    seen.goto(f"{live_server.url}/conversations/")
    seen.get_by_role("link", name="first", exact=True).click()
    expect(seen).to_have_url(f"{live_server.url}/requests/{records[0].request_id}")


def test_filters_are_chosen_and_dropped_and_back_leads_back(seen, live_server, records):
    seen.goto(f"{live_server.url}/conversations/")
    seen.locator("#panel > summary").click()
    seen.locator("#facets").get_by_role("link", name="failed 1").click()
    expect(seen.locator("#rows tr")).to_have_count(1)
    expect(seen.locator("#facets").get_by_role("link", name="failed 1")).to_have_attribute("aria-current", "true")
    seen.get_by_role("searchbox").fill("nothing")
    seen.keyboard.press("Enter")
    expect(seen.locator("#list")).to_contain_text("No conversation matches.")
    expect(seen).to_have_url(re.compile(r"\?(?=.*state=failed)(?=.*q=nothing)"))
    seen.go_back()
    expect(seen.locator("#rows tr")).to_have_count(1)
    seen.get_by_role("link", name="State failed").click()
    expect(seen.locator("#rows tr")).to_have_count(5)


def test_scrolling_brings_five_pages_and_the_button_the_rest(seen, live_server, project, monkeypatch):
    monkeypatch.setattr(view, "PAGE", 20)
    for _ in range(125):
        make_completed(project)
    seen.goto(f"{live_server.url}/conversations/")
    for loaded in (40, 60, 80, 100):
        seen.locator("#rows tr").last.scroll_into_view_if_needed()
        expect(seen.locator("#rows tr:not(.more)")).to_have_count(loaded)
    seen.get_by_role("link", name="Show older ones").click()
    expect(seen.locator("#rows tr:not(.more)")).to_have_count(120)
    seen.get_by_role("link", name="Show older ones").click()
    expect(seen.locator("#rows tr")).to_have_count(125)
    assert len({row.get_attribute("id") for row in seen.locator("#rows tr").all()}) == 125


def test_new_and_ended_conversations_appear_while_they_are_followed(seen, live_server, records, project):
    seen.goto(f"{live_server.url}/conversations/")
    seen.get_by_role("link", name="Follow new ones").click()
    expect(seen).to_have_url(f"{live_server.url}/conversations/?live=on")
    make_completed(project, preview="the newest")
    expect(seen.locator("#rows tr").first).to_contain_text("the newest")
    expect(seen.locator("#rows tr")).to_have_count(6)
    ChatRequest.objects.filter(pk=records[3].pk).update(state="failed", finished_at=timezone.now())
    expect(seen.locator(f"#row-{records[3].pk}")).to_contain_text("failed")
    expect(seen.locator("#rows tr")).to_have_count(6)


def test_a_hidden_tab_asks_for_nothing(seen, live_server, records, project):
    seen.goto(f"{live_server.url}/conversations/?live=on")
    seen.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    make_completed(project, preview="the newest")
    seen.wait_for_timeout(3_000)
    expect(seen.locator("#rows tr")).to_have_count(5)
    seen.evaluate("delete document.hidden")
    expect(seen.locator("#rows tr")).to_have_count(6)


def test_a_bar_of_the_histogram_is_its_range(seen, live_server, records):
    seen.goto(f"{live_server.url}/conversations/")
    seen.locator("#volume summary").click()
    seen.locator("#volume tbody a").first.click()
    expect(seen).to_have_url(re.compile("since=.*until="))
    expect(seen.locator("#rows tr")).to_have_count(1)


def test_many_ids_are_looked_up_in_place_and_downloaded(seen, live_server, records):
    seen.goto(f"{live_server.url}/lookup/many/")
    seen.get_by_label("IDs", exact=True).fill(f"{records[0].request_id}\nreq_nope")
    seen.get_by_role("button", name="Look up").click()
    expect(seen.locator("#bulk_result")).to_contain_text("1 of 2 found")
    with seen.expect_download() as download:
        seen.get_by_role("button", name="CSV").click()
    assert "req_nope,no,never_seen" in download.value.path().read_text()


def test_everything_works_without_javascript(browser, live_server, records, admin_user):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900})
    sign_in(context, live_server.url, admin_user)
    page = context.new_page()
    page.goto(f"{live_server.url}/conversations/")
    page.locator("#panel > summary").click()
    page.get_by_role("link", name="Count the values").click()
    page.locator("#facets").get_by_role("link", name="failed 1").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    page.locator(".keep > summary").click()
    page.get_by_label("Name").fill("Mine")
    page.get_by_role("button", name="Save these filters").click()
    page.get_by_role("link", name="All", exact=True).click()
    page.get_by_role("link", name="Mine").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_role("link", name="Clear all").first.click()
    page.get_by_role("searchbox").fill("word")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("mark")).to_have_text("word")
    page.get_by_role("link", name="first", exact=True).click()
    expect(page).to_have_url(f"{live_server.url}/requests/{records[0].request_id}")
    context.close()


PLACES = ("/conversations/?panel=counts", "/conversations/?peek={}&q=word", "/conversations/?state=failed&user=nobody")
PLACES += ("/conversations/?state=nope", "/conversations/?live=on", "/lookup/many/")


@pytest.mark.parametrize("language", ["en", "ko", "zh-hans"])
def test_no_page_scrolls_sideways_at_320_pixels(seen, context, live_server, records, language):
    context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    seen.set_viewport_size({"width": 320, "height": 640})
    for place in PLACES[:3] + PLACES[4:]:
        seen.goto(live_server.url + place.format(records[0].request_id))
        seen.wait_for_load_state("networkidle")
        assert seen.evaluate("document.documentElement.scrollWidth") <= 320, place


@pytest.mark.parametrize("width", [320, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_meets_wcag_2_2_aa(page, context, live_server, admin_user, records, scheme, width):
    sign_in(context, live_server.url, admin_user)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    for place in PLACES:
        page.goto(live_server.url + place.format(records[0].request_id))
        page.wait_for_load_state("networkidle")
        assert _faults(page) == [], place
    page.locator("#ids").fill(f"{records[0].request_id} req_nope")
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("#bulk_result")).to_contain_text("1 of 2 found")
    assert _faults(page) == []


def _faults(page):
    """What axe finds on a page: each rule with the elements that break it."""
    found = Axe().run(page, options=OPTIONS_WCAG_22AA, html_report_generated=False, json_report_generated=False)
    return [(fault["id"], [node["html"][:150] for node in fault["nodes"]]) for fault in found["violations"]]
