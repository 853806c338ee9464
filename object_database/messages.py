"""The heartbeat of connections, by which each side notices that the other one is gone (D26)."""

from __future__ import annotations

import math
from typing import Any

from object_database import _core
from object_database.errors import InvalidArgumentError

__all__ = ["getHeartbeatInterval", "setHeartbeatInterval"]

_INTERVAL_S_MIN = 0.02  # four times the finest tick of the threads that send them (kTickUsMin)
_INTERVAL_S_MAX = 3600.0  # what a client takes from a server (ClientCore)

_interval_s: float = _core.HEARTBEAT_S


def getHeartbeatInterval() -> float:
    """Seconds between the heartbeats of servers that this process starts from now on; 5 unless it was set."""
    return _interval_s


def setHeartbeatInterval(interval: float) -> None:
    """Set the seconds between heartbeats for the servers that this process starts from now on.

    Clients, of whatever process, follow the server they connect to. A peer that says nothing for four intervals is given
    up, so one that is far below the hiccups of machine and network costs connections.

    Raises: InvalidArgumentError: it is no number from 0.02 to 3600.
    """
    global _interval_s
    _interval_s = _checked(interval)


def _checked(interval: Any) -> float:
    try:
        seconds = math.nan if isinstance(interval, (bool, str)) else float(interval)
    except (TypeError, ValueError):
        seconds = math.nan
    if not _INTERVAL_S_MIN <= seconds <= _INTERVAL_S_MAX:
        raise InvalidArgumentError(
            f"a heartbeat interval takes {_INTERVAL_S_MIN} to {_INTERVAL_S_MAX:.0f} seconds; {interval!r} was given"
        )
    return seconds
