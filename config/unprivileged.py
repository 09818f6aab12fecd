"""Runs PostgreSQL's programs as an account that they accept, since they refuse root and users without a name.

An ordinary user stays what it is. Root becomes the owner of the cluster; where no account can reach the directories,
the program stays root outside and sees itself as ``nobody`` from inside a user namespace. This file is also the small
program that changes to the account first, and imports nothing but the standard library.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

LAST_LINES = 5
# Our environment holds secrets, and its PG* variables would change what the server does.
PASSED_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
NO_ACCOUNT = (
    "PostgreSQL runs neither as root nor as a user without a name, no other user can reach the data directory and "
    "the programs, and user namespaces are not allowed here. Use an ordinary user, or directories that all can reach."
)


class ProgramError(Exception):
    """A program ended badly; the message has its name and the last lines that it wrote."""


class Account(NamedTuple):
    """Who runs a program; ``mapped`` means that we stay who we are and only look like this from inside."""

    uid: int
    gid: int
    mapped: bool


def find_account(cluster: Path) -> Account:
    """Who can run a cluster: its owner, unless that is root or has no name."""
    owner = cluster.stat()
    try:
        pwd.getpwuid(owner.st_uid)
    except KeyError:
        named = False
    else:
        named = True
    if owner.st_uid and named:
        return Account(owner.st_uid, owner.st_gid, mapped=False)
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid, mapped=True)


def give_away(cluster: Path, needed: Sequence[Path]) -> None:
    """As root, give a new directory to the first account that can reach it and all that is needed, if there is one."""
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam("nobody")
    around = cluster.parent.parent.stat()
    reach: list[Path | str] = ["/bin/sh", "-c", 'for path; do test -x "$path" || exit 1; done', "sh", cluster, *needed]
    for uid, gid in ((nobody.pw_uid, nobody.pw_gid), (around.st_uid, around.st_gid)):
        os.chown(cluster, uid, gid)
        try:
            run(find_account(cluster), reach)
        except ProgramError:
            os.chown(cluster, 0, 0)
        else:
            return


def run(account: Account, command: Sequence[Path | str], *, stdin: str = "") -> str:
    """Run a program to its end and return its standard output. Raises ProgramError."""
    ended = subprocess.run(  # noqa: S603  (our own command)
        _with_account(account, command, background=False),
        input=stdin,
        env=_environment(),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise ProgramError(f"{Path(command[0]).name} failed:\n{last_lines(ended.stdout + ended.stderr)}")
    return ended.stdout


def launch(account: Account, command: Sequence[Path | str], log: BinaryIO, inherited: int) -> None:
    """Start a program in a session of its own, as nobody's child, with one more open file as an inheritance."""
    subprocess.run(  # noqa: S603  (our own command)
        _with_account(account, command, background=True),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=_environment(),
        cwd="/",
        pass_fds=[inherited],
        check=True,
    )


def last_lines(text: str) -> str:
    """The end of what a program wrote."""
    return "\n".join(text.splitlines()[-LAST_LINES:])


def _environment() -> dict[str, str]:
    return {"LC_ALL": "C"} | {name: os.environ[name] for name in PASSED_ENVIRONMENT if name in os.environ}


def _with_account(account: Account, command: Sequence[Path | str], *, background: bool) -> list[Path | str]:
    flags = [str(int(value)) for value in (*account, background)]
    return [sys.executable, "-I", "-S", __file__, *flags, *command]


def _become(uid: int, gid: int, *, mapped: bool) -> None:
    """Change this process to an account; where it is mapped, only as seen from inside a user namespace."""
    if mapped:
        outside = os.geteuid(), os.getegid()
        try:
            os.unshare(os.CLONE_NEWUSER)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {outside[0]} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {outside[1]} 1")
        except (AttributeError, OSError):
            sys.exit(NO_ACCOUNT)
    elif os.geteuid() != uid:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def _main(arguments: list[str]) -> None:
    """Become an account and a command: ``UID GID MAPPED BACKGROUND COMMAND...``."""
    uid, gid, mapped, background = (int(argument) for argument in arguments[:4])
    if background:
        os.setsid()
        if os.fork():
            # What was started belongs to init now, which reaps it whoever of us is left.
            return
    _become(uid, gid, mapped=bool(mapped))
    os.execv(arguments[4], arguments[4:])  # noqa: S606  (our own command)


if __name__ == "__main__":
    _main(sys.argv[1:])
