"""What sums of usage cost at N records: from the rollups, against a scan of the records."""

import datetime as dt

from bench.records import DAYS, count_asked, milliseconds, records


def main() -> None:
    """Print a line for each way to group, and what the check of all sums takes."""
    count = count_asked()
    with records(count):
        from conversations.models import Project, UsageRollup
        from conversations.search import RequestSearch
        from conversations.services.usage import check_usage, sum_usage

        projects = list(Project.objects.all())
        until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        span = {"since": until - dt.timedelta(days=DAYS + 1), "until": until}
        everything = RequestSearch(state=("completed", "failed"))
        print(f"{count} records in {UsageRollup.objects.count()} cells")
        for step, group_by in ((None, None), ("day", None), ("day", "model"), ("hour", None), (None, "user")):
            how = {"step": step, "group_by": group_by}
            rolled = milliseconds(lambda how=how: sum_usage(projects, **span, **how))
            scanned = milliseconds(lambda how=how: sum_usage(projects, **span, **how, search=everything), times=3)
            print(
                f"{step!s:<6} {group_by!s:<6} rollups {rolled:8.1f} ms  scan {scanned:8.1f} ms  x{scanned / rolled:.1f}"
            )
        print(f"check_usage {milliseconds(check_usage, times=1):.0f} ms, {len(check_usage())} differences")


if __name__ == "__main__":
    main()
