"""``manage.py check_usage``: prove that the sums of usage are those of the records."""

from typing import Any

from django.core.management import CommandError

from conversations.management.base import DaehwaCommand
from conversations.services.usage import check_usage


class Command(DaehwaCommand):
    """Compares every cell of the sums with its records, and ends with 1 when one differs."""

    help = "Prove that the sums of usage equal the records that they sum, and say which do not."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each cell that differs, with what is kept and what the records say."""
        discrepancies = check_usage()
        for discrepancy in discrepancies:
            cell = " ".join(f"{name}={value!r}" for name, value in discrepancy.cell.items())
            for column, (kept, counted) in discrepancy.differences.items():
                self.stdout.write(f"{cell}: {column} is {kept}, but its records make {counted}")
        if discrepancies:
            raise CommandError(f"{len(discrepancies)} sums differ from their records.")
        self.stdout.write("The sums of usage equal the records.")
