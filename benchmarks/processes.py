"""Servers and clients as processes of their own, spoken to over pipes, all ended by id.

A process runs one generator function of this folder (worker.py). What it yields first says that it is ready; after that
each ask() lets it go on to its next yield, whose value answer() returns. It ends when its standard input closes, so it
ends with this process too, however that ends.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORKER = Path(__file__).resolve().with_name("worker.py")
ANSWER_TIMEOUT_S = 300.0  # ten times the longest step on a slow machine: a million objects, loaded
END_TIMEOUT_S = 20.0


class ProcessFailed(Exception):
    """A process died or did not answer; carries the end of what it wrote to its standard error."""


class Process:
    def __init__(self, function: Callable[..., Any], arguments: dict[str, Any]):
        self.name = f"{function.__module__}:{function.__name__}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by end()
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), self.name, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,  # so that select() sees every byte that was not read
        )
        self.ready: Any = None

    def ask(self) -> None:
        """Let it take its next step, without waiting for it."""
        try:
            self._process.stdin.write(b"go\n")
        except BrokenPipeError:
            raise self._failure("ended early") from None

    def answer(self) -> Any:
        """What its step gave. Raises ProcessFailed."""
        line = b""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not line.endswith(b"\n"):
            is_readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not is_readable:
                raise self._failure(f"did not answer within {ANSWER_TIMEOUT_S:.0f} s")
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            if not piece:
                raise self._failure("ended early")
            line += piece
        return json.loads(line)

    def step(self) -> Any:
        self.ask()
        return self.answer()

    @property
    def resident_bytes(self) -> int:
        return resident_bytes(self._process.pid)

    def close_input(self) -> None:
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    def end(self) -> None:
        """Let it end by itself, or kill it when it does not. Idempotent."""
        self.close_input()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.stdout.close()
        self._errors.close()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _failure(self, what: str) -> ProcessFailed:
        self.kill()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        return ProcessFailed(f"{self.name} {what}" + (f":\n{said[-2000:]}" if said else ""))


class Processes:
    """All processes of one benchmark; `with` ends them, clients before servers."""

    def __init__(self) -> None:
        self._started: list[Process] = []

    def start(self, function: Callable[..., Any], /, **arguments: Any) -> Process:
        """Start a process and wait until it is ready."""
        process = Process(function, arguments)
        self._started.append(process)
        process.ready = process.answer()
        return process

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        for process in reversed(self._started):
            if kind is not None:
                process.kill()  # something went wrong: nobody waits for stuck clients one by one
            process.end()


def resident_bytes(pid: int | str = "self") -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


class MachineUse:
    """How many cores others used while this was open: figures taken beside other work are worth little."""

    def __enter__(self) -> MachineUse:
        self.cores_of_others = 0.0
        self._began = (time.monotonic(), *self._busy_s())
        return self

    def __exit__(self, *_: object) -> None:
        began, all_before, own_before = self._began
        all_after, own_after = self._busy_s()
        others_s = (all_after - all_before) - (own_after - own_before)
        self.cores_of_others = max(0.0, others_s / max(1e-3, time.monotonic() - began))

    @staticmethod
    def _busy_s() -> tuple[float, float]:
        """CPU seconds since boot of the whole machine, and of this process with the children that ended."""
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, _, _, interrupts, soft_interrupts, stolen = fields
        ticks = user + nice + system + interrupts + soft_interrupts + stolen
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        return ticks / os.sysconf("SC_CLK_TCK"), own
