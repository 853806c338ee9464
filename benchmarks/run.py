"""Measure this machine: `make bench`, `make bench ARGS="--only commits"`. README.md says how to read the output."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Sequence

import codec  # noqa: F401  the themes: importing one registers its benchmarks
import commits  # noqa: F401
import fairness  # noqa: F401
import hostile  # noqa: F401
import lookups  # noqa: F401
import memory  # noqa: F401
import probes
import reads  # noqa: F401
import report
import served_stores  # noqa: F401
import startup  # noqa: F401
import stores  # noqa: F401
import subscriptions  # noqa: F401
from processes import MachineUse, Processes, ProcessFailed
from registry import Benchmark, Run, Sample, benchmarks

REPETITIONS, QUICK_REPETITIONS = 7, 3
SECONDS, QUICK_SECONDS = 1.0, 0.3
THEMES = [
    "startup",
    "stores",
    "reads",
    "transactions",
    "codec",
    "lookups",
    "commits",
    "subscriptions",
    "fairness",
    "hostile",
    "stores",
    "memory",
]  # short ones first


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="benchmarks/run.py", description="Benchmarks, each beside a probe of this machine."
    )
    made.add_argument("--list", action="store_true", help="name the benchmarks, their bars and what they measure")
    made.add_argument(
        "--only", metavar="NAME", action="append", help="a benchmark (commits.one) or theme (commits); repeatable"
    )
    made.add_argument("--quick", action="store_true", help="small sizes, few repetitions: about two minutes")
    made.add_argument(
        "--big", action="store_true", help="also the sizes that take long: subscribing to a million objects"
    )
    made.add_argument("--dir", metavar="DIR", help="where stores keep their files: a disk, or /dev/shm to leave it out")
    made.add_argument("--json", metavar="FILE", help="write every figure with all its values to FILE")
    return made


def chosen(only: Sequence[str] | None) -> list[Benchmark]:
    """Raises ValueError with a sentence for the user."""
    ordered = sorted(benchmarks.values(), key=lambda each: THEMES.index(each.name.split(".")[0]))
    for wanted in only or ():
        if not any(each.matches(wanted) for each in ordered):
            raise ValueError(f"there is no benchmark {wanted!r}; --list names them")
    return [each for each in ordered if not only or any(each.matches(wanted) for wanted in only)]


def measure(benchmark: Benchmark, size: int, options: argparse.Namespace) -> Sample:
    with Processes() as processes:
        return benchmark.function(
            Run(
                size=size,
                repetitions=QUICK_REPETITIONS if options.quick else REPETITIONS,
                seconds=QUICK_SECONDS if options.quick else SECONDS,
                processes=processes,
                directory=options.dir,
            )
        )


def run_one(benchmark: Benchmark, options: argparse.Namespace) -> list[dict]:
    """Measure, at ten times the size too where that is asked, and print."""
    size = benchmark.quick_size if options.quick else benchmark.size
    larger = benchmark.growth_size(size, options.big)
    with MachineUse() as use:
        sample = measure(benchmark, size, options)
        grown = measure(benchmark, larger, options) if larger else None
    for figure in benchmark.figures:
        print(report.line(benchmark, figure, sample, grown, use.cores_of_others), flush=True)
    return report.record(benchmark, size, sample, grown, use.cores_of_others)


def print_list(selected: list[Benchmark]) -> None:
    for benchmark in selected:
        for figure in benchmark.figures:
            name = benchmark.name if figure is benchmark.figures[0] else ""
            bar = report.bar_text(figure.bar) if figure.bar else ""
            about = benchmark.about if name else figure.name
            print(f"{name:<28} {figure.unit:<14} {bar:<16} {about}")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        selected = chosen(options.only)
    except ValueError as error:
        parser().error(str(error))
    if options.list:
        print_list(selected)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that every process is ended
    began = time.monotonic()
    print(report.header(options.quick), flush=True)
    records: list[dict] = []
    broken: list[str] = []
    for benchmark in selected:
        try:
            records += run_one(benchmark, options)
        except Exception as error:
            broken.append(benchmark.name)
            print(f"{benchmark.name:<30} broken: {type(error).__name__}: {error}", flush=True)
            if not isinstance(error, ProcessFailed):
                traceback.print_exc()
    print(report.footer(time.monotonic() - began, probes.history))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(
                {"machine": report.machine(), "quick": options.quick, "figures": records, "broken": broken},
                file,
                indent=1,
            )
    return 1 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
