"""The page about usage in a real browser: for every reader, without JavaScript, and with the form swapped in place."""

import pytest
from playwright.sync_api import expect
from pytest_playwright_axe import OPTIONS_WCAG_22AA, Axe

from tests.dashboard.browser import sign_in, watched
from tests.factories import days_ago, make_completed, make_failed, make_response_body

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = ("/usage/", "/usage/?group=user&split=modality&user=ada", "/usage/?user=nobody&step=decade")


@pytest.fixture
def seen(page, context, live_server, admin_user):
    """A page of a signed-in reader, watched."""
    page.set_default_timeout(10_000)
    sign_in(context, live_server.url, admin_user)
    yield from watched(page, live_server.url)


@pytest.fixture
def records(project):
    """Usage that is known, huge, missing and failed, in this range and in the one before."""
    huge = {"prompt_tokens": 2**62, "completion_tokens": 2**61, "total_tokens": 2**62 + 2**61}
    for day in (0, 1, 5, 35):
        make_completed(project, received_at=days_ago(day), finished_at=days_ago(day - 0.001), end_user="ada")
        make_completed(project, received_at=days_ago(day), response_body=make_response_body(usage=huge, model="m" * 90))
        make_completed(project, received_at=days_ago(day), response_body=make_response_body(usage=None))
    make_failed(project)


def _faults(page):
    found = Axe().run(page, options=OPTIONS_WCAG_22AA, html_report_generated=False, json_report_generated=False)
    return [(fault["id"], [node["html"][:150] for node in fault["nodes"]]) for fault in found["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_meets_wcag_2_2_aa_with_its_tables_open(seen, live_server, records, scheme):
    seen.emulate_media(color_scheme=scheme)
    for path in PAGES:
        seen.goto(live_server.url + path)
        for summary in seen.locator(".over-time summary").all():
            summary.click()
        assert _faults(seen) == [], path


@pytest.mark.parametrize("language", ["en", "ko", "zh-hans"])
@pytest.mark.parametrize("width", [320, 1440])
def test_no_state_scrolls_sideways(seen, context, live_server, records, language, width):
    context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    seen.set_viewport_size({"width": width, "height": 800})
    for path in PAGES:
        seen.goto(live_server.url + path)
        for summary in seen.locator(".over-time summary").all():
            summary.click()
        assert seen.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_change_of_the_form_is_swapped_in_and_kept_in_the_address(seen, live_server, records):
    seen.goto(f"{live_server.url}/usage/?group=user")
    seen.get_by_label("Step").select_option("week")
    expect(seen).to_have_url(f"{live_server.url}/usage/?step=week&group=user")
    seen.get_by_role("link", name="Last 7 days").click()
    expect(seen).to_have_url(f"{live_server.url}/usage/?range=7d&group=user")
    seen.go_back()
    expect(seen.get_by_label("Step")).to_have_value("week")


def test_a_column_of_the_chart_opens_its_conversations(seen, live_server, records):
    seen.goto(f"{live_server.url}/usage/")
    seen.locator("#figure-tokens svg a").last.click()
    expect(seen.locator("h1")).to_have_text("Conversations")
    expect(seen.locator("tbody#rows tr")).to_have_count(4)


def test_everything_works_without_javascript(browser, live_server, records, admin_user):
    context = browser.new_context(java_script_enabled=False)
    sign_in(context, live_server.url, admin_user)
    page = context.new_page()
    page.goto(f"{live_server.url}/usage/?range=7d")
    page.get_by_label("Step").select_option("hour")
    page.locator("#usage-zone").fill("Asia/Seoul")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".review-head")).to_contain_text("Asia/Seoul")
    expect(page.get_by_label("Step")).to_have_value("hour")
    page.get_by_role("link", name="API key").click()
    page.get_by_text("Data table").first.click()
    page.locator("#figure-tokens td a").first.click()
    expect(page.locator("h1")).to_have_text("Conversations")
    context.close()
