"""``manage.py worker``: run deferred conversations."""

import asyncio
from typing import Any

from conversations.management.base import DaehwaCommand
from conversations.tasks import run_worker


class Command(DaehwaCommand):
    """Runs deferred conversations until it is told to stop. Any number of workers may run, on any machines."""

    help = "Run deferred conversations. Any number of workers may run, on any number of machines."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or Ctrl-C."""
        self.stdout.write("Worker is ready.")
        asyncio.run(run_worker())
