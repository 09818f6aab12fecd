"""Child processes: started quietly, restarted when they die, and never outliving their parent."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
STOP_SECONDS = 12.0

_PR_SET_PDEATHSIG = 1
# Loaded before the fork: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One child process in a process group of its own, with the arguments and environment to start it again."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._restart_at: float | None = None
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  the arguments are our own
            self._arguments,
            env=self._environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )

    def keep_alive(self) -> None:
        """Start it again, a second after it died; what it left behind in its group is killed first."""
        if self.process.poll() is None:
            return
        if self._restart_at is None:
            logger.warning("The %s ended with status %s; starting it again.", self.name, self.process.returncode)
            self._signal_group(signal.SIGKILL)
            self._restart_at = time.monotonic() + RESTART_SECONDS
        elif time.monotonic() >= self._restart_at:
            self._restart_at = None
            self.process = self._start()

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return


def stop_children(children: Sequence[Child]) -> None:
    """Ask all of them to stop, and kill what has not stopped after 12 seconds."""
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.warning("The %s did not stop in time and was killed.", child.name)
        child._signal_group(signal.SIGKILL)  # noqa: SLF001
