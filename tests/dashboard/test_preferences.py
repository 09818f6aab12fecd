"""Signing in and out, language and theme, and the pages for what goes wrong."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from conversations.dashboard.views.errors import server_error
from tests.factories import make_completed


class TestLogin:
    def test_the_page_is_ours_and_open_to_strangers(self, client, db):
        page = client.get("/login/").content.decode()
        assert 'class="sheet sign-in"' in page
        assert "any-id" not in page

    def test_signing_in_leads_to_where_one_wanted_to_go(self, client, admin_user):
        form = {"username": "admin", "password": "correct horse battery staple", "next": "/stored/?response_id=x"}
        assert client.post("/login/", form)["Location"] == "/stored/?response_id=x"

    def test_another_site_is_never_led_to(self, client, admin_user):
        form = {"username": "admin", "password": "correct horse battery staple", "next": "https://evil.example/"}
        assert client.post("/login/", form)["Location"] == "/"

    def test_a_wrong_password_is_said_in_the_reader_s_language(self, client, admin_user):
        client.cookies.load({"django_language": "ko"})
        page = client.post("/login/", {"username": "admin", "password": "x"}).content.decode()
        assert 'role="alert"' in page
        assert "로그인" in page

    def test_who_is_signed_in_is_led_on(self, reader):
        assert reader.get("/login/")["Location"] == "/"

    def test_hostile_names_are_inert(self, client, db):
        page = client.post("/login/", {"username": '"><script>\0', "password": "\0"}).content.decode()
        assert "<script>" not in page.replace("<script src", "")


class TestLogout:
    def test_signing_out_is_a_post_and_ends_the_session(self, client, admin_user):
        client.force_login(admin_user)
        assert client.get("/logout/").status_code == 405
        assert client.post("/logout/")["Location"] == "/login/"
        assert client.get("/")["Location"].startswith("/login/")


class TestSetPreference:
    @pytest.mark.parametrize("theme", ["auto", "light", "dark"])
    def test_the_choice_is_kept_and_leads_back(self, client, theme):
        response = client.post("/preferences/theme/", {"theme": theme, "next": "/deferred/?request_id=a"})
        assert response["Location"] == "/deferred/?request_id=a"
        assert response.cookies["theme"].value == theme

    def test_other_themes_and_other_sites_are_not_taken(self, client):
        response = client.post("/preferences/theme/", {"theme": "<b>", "next": "//evil.example/"})
        assert response["Location"] == "/"
        assert "theme" not in response.cookies

    def test_it_is_a_post_with_a_token(self, reader):
        assert reader.get("/preferences/theme/").status_code == 405
        assert reader.post("/preferences/theme/", {"theme": "dark"}).status_code == 403

    def test_a_forged_cookie_is_no_theme(self, client, db):
        client.cookies.load({"theme": '"><script>'})
        assert 'data-theme="auto"' in client.get("/login/").content.decode()

    @pytest.mark.parametrize("name", ["language", "sessionid", "THEME", "x"])
    def test_what_is_no_preference_sets_no_cookie(self, client, name):
        response = client.post(f"/preferences/{name}/", {name: "on"})
        assert response.status_code == 404
        assert name not in response.cookies

    def test_shortcuts_stay_off(self, reader):
        reader.cookies.load({"shortcuts": "off"})
        page = reader.get("/").content.decode()
        assert 'data-shortcuts="off"' in page
        assert 'value="on">Turn them on' in page

    def test_times_are_told_in_the_chosen_zone(self, reader, project):
        record = make_completed(project, received_at=dt.datetime(2026, 11, 1, 20, tzinfo=dt.UTC), is_sample=True)
        reader.cookies.load({"zone": "Asia/Seoul"})
        page = reader.get(f"/requests/{record.request_id}").content.decode()
        assert '<time datetime="2026-11-01T20:00:00+00:00" data-moment>2026-11-02 05:00:00 KST</time>' in page
        assert "<option selected>Asia/Seoul</option>" in page

    @pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "\u202e"])
    def test_what_is_no_zone_is_not_taken(self, client, zone):
        assert "zone" not in client.post("/preferences/zone/", {"zone": zone}).cookies

    def test_a_chosen_zone_is_kept(self, client):
        assert client.post("/preferences/zone/", {"zone": "Asia/Seoul"}).cookies["zone"].value == "Asia/Seoul"


class TestSetLanguage:
    @pytest.mark.parametrize(("language", "word"), [("ko", "로그인"), ("zh-hans", "登录"), ("en", "Sign in")])
    def test_strangers_may_choose_too(self, client, db, language, word):
        client.post("/i18n/setlang/", {"language": language, "next": "/login/"})
        assert word in client.get("/login/").content.decode()

    def test_the_browser_s_wish_is_heard(self, client, db):
        page = client.get("/login/", headers={"accept-language": "ko-KR,ko;q=0.9"}).content.decode()
        assert '<html lang="ko"' in page


class TestErrorPages:
    def test_no_such_page(self, reader):
        response = reader.get("/nothing/here")
        assert response.status_code == 404
        assert "There is no such page" in response.content.decode()

    def test_a_form_without_its_token_is_told_kindly(self, reader):
        page = reader.post("/logout/")
        assert page.status_code == 403
        assert "This form was not accepted" in page.content.decode()

    def test_a_fault_of_ours_needs_no_database(self):
        request = RequestFactory().get("/")
        request.request_id = "req_1"
        page = server_error(request)
        assert page.status_code == 500
        assert "req_1" in page.content.decode()

    def test_a_fault_of_ours_is_shown_with_its_id(self, admin_user, monkeypatch):
        monkeypatch.setattr("conversations.dashboard.views.lookup.find_by_any_id", lambda *_: 1 / 0)
        browser = Client(raise_request_exception=False)
        browser.force_login(User.objects.get())
        response = browser.get("/lookup/?id=x")
        assert response.status_code == 500
        assert response["x-request-id"] in response.content.decode()
