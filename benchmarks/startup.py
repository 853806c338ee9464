"""What a program pays before it does anything. Probe: the import of asyncio."""

from __future__ import annotations

import subprocess
import sys

from registry import Run, Sample, at_most, benchmark, figure

TIMED_IMPORT = "import time; began = time.perf_counter(); import {}; print((time.perf_counter() - began) * 1e3)"


def import_ms(module: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", TIMED_IMPORT.format(module)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@benchmark("startup.import", "import object_database, in a fresh interpreter")
@figure(unit="ms", bar=at_most(80))
def import_package(run: Run) -> Sample:
    import_ms("object_database")  # the files are in the cache of the machine
    values = [(import_ms("object_database"), import_ms("asyncio")) for _ in range(run.repetitions)]
    return Sample.of([ours for ours, _ in values], [asyncio for _, asyncio in values])
