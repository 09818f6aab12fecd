"""What pages, filters, text searches and counts cost at N records, against the first page of an unfiltered list."""

from bench.records import count_asked, milliseconds, records


def main() -> None:
    """Print a line for each."""
    count = count_asked()
    with records(count):
        from conversations.errors import SearchTooBroadError
        from conversations.models import ChatRequest, Project
        from conversations.search import RequestSearch
        from conversations.services.facets import count_facets, histogram
        from conversations.services.listing import list_requests, neighbours

        projects = list(Project.objects.all())
        nothing = RequestSearch()
        base = milliseconds(lambda: list_requests(projects, nothing, limit=25))

        def show(name: str, work: object) -> None:
            try:
                taken = milliseconds(work)  # type: ignore[arg-type]
                print(f"{name:<44} {taken:9.1f} ms  x{taken / base:.1f}")
            except SearchTooBroadError:
                print(f"{name:<44} given up")

        print(f"{count} records; the first page takes {base:.1f} ms")
        middle = ChatRequest.objects.get(request_id=f"req_{count // 2}")
        show("neighbours in the middle", lambda: neighbours(middle, projects, nothing))
        searches = {
            "common word, English": "model",
            "common part of a word, English": "ansport",
            "rare word, English": "zyzzyva",
            "no hit, English": "xylophone",
            "two words, one rare": "modeling zyzzyva",
            "quoted phrase": '"modeling transport"',
            "common, Korean (2 letters)": "대화",
            "rare, Korean": "뷁뷁",
            "no hit, Korean": "없는말이다",
            "common, Chinese (1 letter)": "国",
            "rare, Chinese": "龘靐",
            "emoji (no gram)": "🙂",
        }
        for name, text in searches.items():
            show(name, lambda text=text: list_requests(projects, RequestSearch(q=text), limit=25))
        filters = {
            "state=failed": RequestSearch(state=("failed",)),
            "answered_by": RequestSearch(answered_by=("gpt-5",)),
            "user": RequestSearch(user="user3"),
            "no such model": RequestSearch(model=("nothing",)),
            "no such error code": RequestSearch(error_code="nothing"),
            "has=refusal (none)": RequestSearch(has=("refusal",)),
        }
        for name, search in filters.items():
            show(name, lambda search=search: list_requests(projects, search, limit=25))
        show("facets", lambda: count_facets(projects, nothing))
        show("histogram", lambda: histogram(projects, nothing))
        show("histogram of 30 days", lambda: histogram(projects, RequestSearch(since="30d")))


if __name__ == "__main__":
    main()
