"""``manage.py remove_samples``: delete the sample conversations."""

from typing import Any

from conversations.management.base import DaehwaCommand
from conversations.services.samples import remove_samples


class Command(DaehwaCommand):
    """Deletes what ``up`` loaded on the first run; real conversations stay."""

    help = "Delete the sample conversations."

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete them and say how many there were."""
        self.stdout.write(f"Removed {remove_samples()} sample conversations.")
