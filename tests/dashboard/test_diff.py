"""Two records compared."""

import json
import random
import time

import pytest

from conversations.models import Body
from tests.factories import make_completed, make_failed, make_request_body, make_response_body


@pytest.fixture
def compare(reader):
    return lambda a, b: reader.get("/diff/", {"a": a.request_id, "b": b.request_id})


def answer(text, **changes):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return make_response_body(choices=[choice], **changes)


class TestDiff:
    def test_only_readers_may_look(self, refuses, db):
        refuses("/diff/")

    def test_parameters_that_differ_are_told_apart_from_those_that_do_not(self, compare, project):
        a = make_completed(project, request_body=make_request_body(temperature=0, seed=1))
        b = make_completed(project, request_body=make_request_body(temperature=1, top_p=0.5, seed=1))
        pairs = {pair.name: pair for pair in compare(a, b).context["diff"].parameters}
        assert (pairs["temperature"].a, pairs["temperature"].b, pairs["temperature"].is_same) == ("0", "1", False)
        assert (pairs["top_p"].a, pairs["seed"].is_same, "messages" in pairs) == ("", True, False)

    def test_what_changed_in_a_line_is_marked(self, compare, project):
        a = make_completed(project, response_body=answer("It will arrive on Monday morning."))
        b = make_completed(project, response_body=answer("It will arrive on Friday morning."))
        page = compare(a, b)
        gone, come = [line for line in page.context["diff"].answer if line.sign in "+-"]
        assert (gone.sign, gone.changed, come.sign, come.changed) == ("-", "Mon", "+", "Fri")
        assert '<td class="sign">−</td>' in page.content.decode()
        assert "<mark>Fri</mark>" in page.content.decode()

    def test_usage_has_its_difference(self, compare, project):
        usage = {"prompt_tokens": 20, "completion_tokens": 18, "total_tokens": 38}
        a, b = make_completed(project), make_completed(project, response_body=make_response_body(usage=usage))
        pairs = [(pair.a, pair.b, pair.difference) for pair in compare(a, b).context["diff"].usage]
        assert ("13", "20", "+7") in pairs
        assert ("18", "18", "") in pairs

    def test_the_same_record_has_no_difference(self, compare, project):
        record = make_completed(project)
        page = compare(record, record)
        assert page.context["diff"].messages == page.context["diff"].answer == []
        assert page.content.decode().count("No difference.") == 2

    def test_any_id_names_a_record(self, reader, project):
        a, b = make_completed(project), make_completed(project)
        query = {"a": f'"{a.completion.response_id}"', "b": f"https://x/requests/{b.request_id}"}
        assert reader.get("/diff/", query).context["diff"]

    def test_records_without_content_or_answer_are_compared_by_what_there_is(self, compare, project):
        bare, failed = make_completed(project, stored=False, content_kept=False), make_failed(project)
        assert compare(bare, failed).status_code == 200
        assert compare(failed, bare).status_code == 200

    @pytest.mark.parametrize("query", [{}, {"a": ""}, {"a": "", "b": " "}])
    def test_without_ids_it_asks_for_them(self, reader, db, query):
        page = reader.get("/diff/", query)
        assert page.status_code == 200
        assert "Paste two IDs" in page.content.decode()

    @pytest.mark.parametrize("bad", ["req_unknown", "\0", "<script>alert(1)</script>", "x" * 9_000, "\u202e"])
    def test_an_unknown_id_is_404_and_inert(self, reader, project, bad):
        page = reader.get("/diff/", {"a": bad, "b": make_completed(project).request_id})
        assert page.status_code == 404
        assert "<script>alert" not in page.content.decode()

    def test_another_s_record_does_not_exist(self, outsider, project):
        query = {"a": make_completed(project).request_id, "b": make_completed(project).request_id}
        assert outsider.get("/diff/", query).status_code == 404

    @pytest.mark.parametrize("repeats", [1, 2, 7, 8, 400])
    def test_long_texts_are_compared_in_part_and_fast(self, compare, project, repeats):
        lines = [f"line {number // repeats} " + "x" * 90 for number in range(5_000)]
        shuffled = random.Random(1).sample(lines, len(lines))
        a, b = (make_completed(project, response_body=answer("\n".join(text))) for text in (lines, shuffled))
        before = time.thread_time()
        page = compare(a, b)
        assert time.thread_time() - before < 1.5
        assert "only their beginnings are compared" in page.content.decode()

    @pytest.mark.parametrize("messages", [None, 7, [None, 1, {}], [{"role": [], "content": {"a": "<script>x"}}]])
    def test_odd_shapes_are_no_fault(self, compare, project, messages):
        a, b = make_completed(project), make_completed(project)
        Body.objects.filter(pk=a.pk).update(request_body=json.dumps({"messages": messages, "<b>": [1]}).encode())
        page = compare(a, b)
        assert page.status_code == 200
        assert "<script>x" not in page.content.decode()
