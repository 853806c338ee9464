"""What this machine can do at best at this moment: each figure is printed beside the probe that is nearest to it.

Inside of a process the probe is a plain Python object with `__slots__`; over the network it is a ping-pong of two C++
programs over TLS 1.3 on loopback, 100 bytes each way (probe.cpp).
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NETWORK_PROBE = Path(__file__).resolve().parents[1] / "build" / "core-release" / "bench_probe"
NETWORK_PROBE_TIMEOUT_S = 60.0


class PlainPair:
    """What a client without a database would hold."""

    __slots__ = ("number", "text")

    def __init__(self, number: int, text: str):
        self.number = number
        self.text = text


@dataclass(frozen=True)
class RoundTrips:
    per_s: float
    p50_us: float
    p99_us: float


history: list[RoundTrips] = []  # of this run


def round_trips() -> RoundTrips | None:
    """Run the network probe; None when it is not built (make bench builds it)."""
    if not NETWORK_PROBE.exists():
        return None
    done = subprocess.run(
        [str(NETWORK_PROBE)], capture_output=True, text=True, timeout=NETWORK_PROBE_TIMEOUT_S, check=True
    )
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    history.append(RoundTrips(figures["round_trips_per_s"], figures["p50_us"], figures["p99_us"]))
    return history[-1]


class Bracket:
    """Probes right before and right after what stands in the `with`, so that a machine that changes its mind shows."""

    def __init__(self) -> None:
        self.taken: list[RoundTrips] = []

    def __enter__(self) -> Bracket:
        self._take()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self._take()

    def _take(self) -> None:
        taken = round_trips()
        if taken is not None:
            self.taken.append(taken)

    @property
    def per_s(self) -> list[float]:
        return [taken.per_s for taken in self.taken]

    @property
    def p50_us(self) -> list[float]:
        return [taken.p50_us for taken in self.taken]

    @property
    def p99_us(self) -> list[float]:
        return [taken.p99_us for taken in self.taken]
