"""A body's JSON, opened node by node."""

import json
import time
from urllib.parse import quote

import pytest

from conversations.dashboard.reading.json_tree import PAGE_LENGTH, open_node, parse_json
from conversations.models import Body
from tests.factories import make_completed, make_request_body


class TestOpenNode:
    @pytest.mark.parametrize(
        ("pointer", "text"),
        [("/a~1b", "1"), ("/m~0n", "2"), ("/", "3"), ("/list/1", "x"), ("/객체/키", "값"), ("/ ", "4"), ("/%25", "5")],
    )
    def test_a_pointer_leads_to_its_value(self, pointer, text):
        root = parse_json('{"a/b":1,"m~n":2,"":3,"list":[0,"x"],"객체":{"키":"값"}," ":4,"%25":5}')
        assert open_node(root, pointer).node.text == text

    @pytest.mark.parametrize("pointer", ["x", "/none", "/list/-", "/list/01", "/list/9", "/list/²", "/list/0/x", "/1"])
    def test_a_pointer_to_nothing_is_none(self, pointer):
        assert open_node(parse_json('{"list":[0]}'), pointer) is None

    @pytest.mark.parametrize("digits", ["1e0", "4944116822809979520", "0.10", "1e400", "9" * 5000])
    def test_numbers_keep_their_digits(self, digits):
        assert open_node(parse_json(f'{{"n":{digits}}}'), "").members[0].text == digits[:2000]

    def test_members_come_in_pages(self):
        root = list(range(2 * PAGE_LENGTH + 1))
        first, last = open_node(root, ""), open_node(root, "", 2 * PAGE_LENGTH)
        assert (len(first.members), first.following, first.left) == (PAGE_LENGTH, PAGE_LENGTH, PAGE_LENGTH + 1)
        assert (len(last.members), last.preceding, last.following) == (1, PAGE_LENGTH, None)
        assert last.members[0].pointer == "/200"

    def test_a_long_string_is_cut_beside_its_siblings_and_whole_by_itself(self):
        root = {"s": "x" * 10_000}
        assert (open_node(root, "").members[0].length, len(open_node(root, "").members[0].text)) == (10_000, 2000)
        assert (open_node(root, "/s").node.length, len(open_node(root, "/s").node.text)) == (0, 10_000)

    def test_a_key_that_no_address_can_hold_has_no_pointer(self):
        members = open_node({"k" * 3000: [1], "\ud800": [1]}, "").members
        assert [member.pointer for member in members] == ["", ""]
        assert not any(member.opens for member in members)


class TestJsonNodes:
    @pytest.fixture
    def record(self, project):
        messages = [{"role": "user", "content": f"message {n}"} for n in range(300)]
        return make_completed(project, request_body=make_request_body(messages=messages))

    def get(self, reader, record, query="", **headers):
        return reader.get(f"/requests/{record.request_id}/nodes/request{query}", headers=headers)

    def test_htmx_gets_bare_members(self, reader, record):
        page = self.get(reader, record, "?ptr=/messages", HX_Request="true").content.decode().strip()
        assert page.startswith("<li>")
        assert "<html" not in page
        assert page.count('class="key"') == PAGE_LENGTH
        assert "200 more" in page

    def test_a_browser_without_htmx_is_led_to_the_tab(self, reader, record):
        response = self.get(reader, record, "?ptr=/messages&from=100")
        page = reader.get(response["Location"]).content.decode()
        assert "ptr=/messages/100" in page.replace("%2F", "/")

    def test_a_node_has_an_address_of_its_own_with_the_way_to_it(self, reader, record):
        query = {"tab": "request", "ptr": "/messages/7/content"}
        page = reader.get(f"/requests/{record.request_id}", query).content.decode()
        assert "message 7" in page
        assert 'aria-label="Way to this value"' in page

    @pytest.mark.parametrize("query", ["?ptr=/nothing", "?ptr=x", "?ptr=/messages/999", "?ptr=%00"])
    def test_there_is_no_node_elsewhere(self, reader, record, query):
        assert self.get(reader, record, query).status_code == 404

    @pytest.mark.parametrize("start", ["-1", "x", "1e9", "99999999", "²"])
    def test_odd_positions_are_no_fault(self, reader, record, start):
        assert self.get(reader, record, f"?ptr=/messages&from={start}", HX_Request="true").status_code == 200

    def test_a_side_that_is_none_is_404(self, reader, record):
        assert reader.get(f"/requests/{record.request_id}/nodes/x?ptr=/id").status_code == 404

    def test_keys_and_values_are_inert_and_shown_with_what_they_hide(self, reader, record):
        hostile = {'"><i hx-get="/x" hx-trigger="load">': ["</script><script>alert(1)</script>", "\u202eabc"]}
        Body.objects.filter(pk=record.pk).update(request_body=json.dumps(hostile, ensure_ascii=False).encode())
        first = self.get(reader, record, HX_Request="true").content.decode()
        (key,) = hostile
        inner = self.get(reader, record, f"?ptr=/{quote(key.replace('/', '~1'), safe='')}", HX_Request="true")
        assert "<i hx-get" not in first
        assert "<script>" not in inner.content.decode()
        assert "⟨U+202E⟩" in inner.content.decode()

    def test_a_megabyte_takes_no_second_and_no_megabyte(self, reader, record):
        body = json.dumps({"messages": [{"role": "user", "content": "대화 " * 50}] * 5_000}).encode()
        Body.objects.filter(pk=record.pk).update(request_body=body)
        assert len(body) > 2**20
        before = time.thread_time()
        fragment = self.get(reader, record, "?ptr=/messages", HX_Request="true").content
        assert time.thread_time() - before < 1
        assert len(fragment) < 200_000

    @pytest.mark.parametrize("body", [b"[" * 20_000 + b"]" * 20_000, b"{" * 9, b"", b"\xff", b'"x"'])
    def test_what_is_no_tree_is_404_and_its_tab_is_shown(self, reader, record, body):
        Body.objects.filter(pk=record.pk).update(request_body=body)
        assert self.get(reader, record, "?ptr=/0").status_code == 404
        query = {"tab": "request", "ptr": "/0", "view": "tree"}
        assert reader.get(f"/requests/{record.request_id}", query).status_code == 200
