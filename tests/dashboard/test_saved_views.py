"""Views of the list that readers keep."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conversations.models import SavedView


@pytest.fixture
def keeper(admin_user):
    """A signed-in browser whose forms are its own."""
    browser = Client()
    browser.force_login(admin_user)
    return browser


@pytest.fixture
def other(db):
    """Somebody else's browser."""
    browser = Client()
    browser.force_login(User.objects.create_superuser("other"))
    return browser


def save(browser, name="Mine", query="state=failed&since=24h", **more):
    """Keep a view."""
    return browser.post("/conversations/views/", {"name": name, "query": query} | more)


def names(browser, query=""):
    """The views that are offered, less the built-in ones."""
    views = browser.get(f"/conversations/?{query}").context["views"]
    return [str(view.name) for view in views][5:]


class TestSavedViews:
    def test_a_view_is_kept_with_its_filters_and_its_relative_time(self, keeper):
        response = save(keeper)
        assert response["Location"] == "/conversations/?state=failed&since=24h"
        [view] = [view for view in keeper.get(response["Location"]).context["views"] if view.is_current]
        assert (view.name, view.address) == ("Mine", response["Location"])

    def test_own_views_are_private_unless_they_are_shared(self, keeper, other):
        save(keeper)
        save(keeper, name="Ours", is_shared="on")
        assert names(keeper) == ["Mine", "Ours"]
        assert names(other) == ["Ours"]
        assert "admin" in other.get("/conversations/").content.decode()

    def test_the_same_name_again_replaces_the_search(self, keeper):
        save(keeper)
        save(keeper, query="mode=deferred")
        assert [view.query for view in SavedView.objects.all()] == ["mode=deferred"]

    def test_only_its_owner_can_delete_a_view(self, keeper, other):
        save(keeper, is_shared="on")
        path = f"/conversations/views/{SavedView.objects.get().pk}/delete/"
        assert other.post(path).status_code == 404
        assert keeper.get(path).status_code == 405
        assert keeper.post(path).status_code == 302
        assert names(keeper) == []

    @pytest.mark.parametrize(
        ("name", "query"), [("", ""), ("x" * 101, ""), ("a\0", ""), ("x", "state=nope"), ("x", "q=" + "%41" * 501)]
    )
    def test_what_cannot_be_kept_is_refused_in_words(self, keeper, name, query):
        response = save(keeper, name=name, query=query)
        assert response.status_code == 400
        assert "This view cannot be saved." in response.content.decode()
        assert not SavedView.objects.exists()

    def test_a_name_is_only_text(self, keeper, other):
        save(keeper, name="<script>alert(1)</script>", is_shared="on")
        assert "<script>alert" not in other.get("/conversations/").content.decode()

    def test_built_in_views_are_there_for_everybody_and_know_when_they_are_open(self, keeper):
        views = keeper.get("/conversations/").context["views"]
        assert [str(view.name) for view in views] == ["All", "Failed", "In progress", "Deferred", "Big"]
        for view in views:
            page = keeper.get(view.address)
            assert [str(now.name) for now in page.context["views"] if now.is_current] == [str(view.name)]

    def test_a_forged_form_changes_nothing(self, reader):
        assert save(reader).status_code == 403
        assert not SavedView.objects.exists()
