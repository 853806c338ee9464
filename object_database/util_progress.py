"""How a long piece of work goes on: a line that changes on a terminal, one line at the end elsewhere."""

from __future__ import annotations

import sys
import time

__all__ = ["Progress"]

_BAR = 24  # characters


class Progress:
    """Tell it how far the work is: progress(loaded, of how many). It writes to stderr.

        progress = Progress("loading", "objects")
        progress(5_000, 20_000)      loading [######                  ] 5,000 of 20,000 objects, 410,000/s, 0 s left
        progress(20_000, 20_000)     loading: 20,000 of 20,000 objects, 400,000/s

    Args: what: is being done.  unit: of the numbers.
    """

    EVERY_S = 0.2  # a terminal shows it this often

    def __init__(self, what: str = "loading", unit: str = "objects"):
        self._what, self._unit = what, unit
        self._began = time.monotonic()
        self._said_at = 0.0
        self._is_terminal = sys.stderr.isatty()
        self._is_open = False  # a line of the terminal holds a bar

    def __call__(self, done: int, count: int, seconds: float | None = None) -> None:
        """seconds: since the work began, by the clock of whoever works; ours otherwise."""
        if seconds is None:
            seconds = time.monotonic() - self._began
        is_last = done >= count
        if not (is_last or (self._is_terminal and seconds - self._said_at >= self.EVERY_S)):
            return
        self._said_at = seconds
        rate = done / max(seconds, 1e-6)
        line = f"{done:,} of {count:,} {self._unit}, {rate:,.0f}/s"
        if not is_last:
            bar = "#" * (_BAR * done // count)
            line = f"{self._what} [{bar:<{_BAR}}] {line}, {(count - done) / max(rate, 1.0):.0f} s left"
        else:
            line = f"{self._what}: {line}"
        self._is_open = not is_last
        print(
            f"\r\x1b[K{line}" if self._is_terminal else line, end="\n" if is_last else "", file=sys.stderr, flush=True
        )

    def end(self) -> None:
        """The work ended before its end: what is written next begins a line of its own."""
        if self._is_open:
            self._is_open = False
            print(file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()
