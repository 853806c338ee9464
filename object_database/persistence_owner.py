"""Who owns a store: what a server writes down for the next one to read, and whether it can still be alive."""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

__all__ = ["Owner"]


class Owner(NamedTuple):
    host: str
    pid: int
    since: str  # UTC, to the second
    token: str  # of persistence_interface.Held
    machine: str  # this boot of this machine and its namespace of process ids: where `pid` means something
    started: str  # when the process started: a pid is given away again

    @classmethod
    def this_process(cls, token: str) -> Owner:
        since = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        return cls(socket.gethostname(), os.getpid(), since, token, _machine(), _started("self"))

    def to_json(self) -> str:
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> Owner:
        """Whatever can be read of it: these are words of a stranger, and only shown to people."""
        try:
            found = json.loads(text)
            return cls(
                *(str(found[name]) if name != "pid" else int(found[name]) for name in cls._fields)  # type: ignore[arg-type]
            )
        except (ValueError, TypeError, KeyError):
            return cls("?", 0, "?", "", "", "")

    def is_gone(self) -> bool:
        """True when its process has certainly ended. False when it lives, or nobody can tell from here."""
        if not self.started or not self.machine or self.machine != _machine():
            return False
        return _started(str(self.pid)) != self.started


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(process: str) -> str:
    """Start of a process in clock ticks since boot; "" when there is no such process, or it has ended and waits."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat[stat.rindex(")") + 2 :].split()  # the name of a program may hold spaces and parentheses
    return "" if fields[0] in "ZX" else fields[19]
