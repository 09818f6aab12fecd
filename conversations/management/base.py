"""What all of Daehwa's commands share."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.errors import DaehwaError


class DaehwaCommand(BaseCommand):
    """Takes ``--data-dir`` (which manage.py reads before Django starts) and says errors in one sentence."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """A parser that knows ``--data-dir``."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument(
            "--data-dir", help="Where Daehwa keeps its files (default: DATA_DIR, or .data beside manage.py)."
        )
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, turning what was refused into the command's own error."""
        try:
            return super().execute(*args, **options)
        except DaehwaError as error:
            raise CommandError(error.message) from error
