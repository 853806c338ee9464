"""How results look, on the screen and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from probes import RoundTrips
from registry import GROWTH, Bar, Benchmark, Figure, Sample

STEADY_PROBE_RATIO = 1.5
BUSY_CORES = 0.2  # used by others; above it a line is marked
COLUMNS = "{name:<30} {median:>20}  {spread:<26} {bar:<16} {verdict:<12} {ratio:<9} {growth:<9}{mark}"


def number(value: float) -> str:
    """Three digits or more: 0.123, 1.23, 12.3, 123, 1,234."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def footer(seconds: float, probes: Sequence[RoundTrips]) -> str:
    lines = ["", f"{seconds:.0f} s.  x probe: the figure over its probe's.  at {GROWTH}x: cost at ten times the size."]
    if probes:
        rates = [probe.per_s for probe in probes]
        lines.append(f"network probe: {number(min(rates))} .. {number(max(rates))} round trips/s in {len(rates)} runs")
        if max(rates) > STEADY_PROBE_RATIO * min(rates):
            lines.append("the probe was unsteady, so ratios to it say little: other work, or cores that fall asleep")
    return "\n".join(lines)


def cost_ratio(figure: Figure, small: float, large: float) -> float | None:
    """How much more one piece of work costs at the larger size; above 1 is worse."""
    if small <= 0 or large <= 0:
        return None
    return small / large if figure.is_rate else large / small


def header(is_quick: bool) -> str:
    facts = machine()
    machine_line = (
        f"object_database {facts['version']}, Python {facts['python']}, {facts['processor']}, {facts['cores']} cores, "
        f"load {facts['load']:.1f}"
    )
    lines = [machine_line]
    if is_quick:
        lines.append("quick: small sizes and few repetitions; to see that everything runs, not to compare")
    lines += ["", columns_line(), "-" * 124]
    return "\n".join(lines)


def columns_line() -> str:
    return COLUMNS.format(
        name="",
        median="median",
        spread="spread",
        bar="bar",
        verdict="",
        ratio="x probe",
        growth=f"at {GROWTH}x",
        mark="",
    ).rstrip()


def line(benchmark: Benchmark, figure: Figure, sample: Sample, grown: Sample | None, cores_of_others: float) -> str:
    values, probe = sample.values[figure.name], sample.probe(figure.name)
    median = sample.median(figure.name)
    growth = cost_ratio(figure, median, grown.median(figure.name)) if grown else None
    is_first = figure is benchmark.figures[0]
    return COLUMNS.format(
        name=f"{benchmark.name} {figure.name}".rstrip() if is_first else f"  {figure.name}",
        median=f"{number(median)} {figure.unit}",
        spread=f"[{number(min(values))} .. {number(max(values))}]",
        bar="" if figure.bar is None else bar_text(figure.bar),
        verdict="" if figure.bar is None else figure.bar.verdict(median, probe),
        ratio="" if not probe else number(median / probe),
        growth="" if growth is None else f"{number(growth)} x",
        mark=f"  (others used {cores_of_others:.1f} cores)" if is_first and cores_of_others > BUSY_CORES else "",
    ).rstrip()


def bar_text(bar: Bar) -> str:
    sign = "<=" if bar.is_ceiling else ">="
    return f"{sign} {bar.goal:g} x probe" if bar.is_of_probe else f"{sign} {bar.goal:,.10g}"


def record(benchmark: Benchmark, size: int, sample: Sample, grown: Sample | None, cores_of_others: float) -> list[dict]:
    """The benchmark's figures for --json."""
    return [
        {
            "benchmark": benchmark.name,
            "figure": figure.name,
            "unit": figure.unit,
            "size": size,
            "median": sample.median(figure.name),
            "values": sample.values[figure.name],
            "probe": sample.probe(figure.name),
            "probe_values": sample.probes.get(figure.name, []),
            "bar": figure.bar and bar_text(figure.bar),
            "verdict": figure.bar and figure.bar.verdict(sample.median(figure.name), sample.probe(figure.name)),
            "at_10x": grown and grown.median(figure.name),
            "probe_at_10x": grown and grown.probe(figure.name),
            "cores_of_others": round(cores_of_others, 2),
        }
        for figure in benchmark.figures
    ]


def machine() -> dict[str, Any]:
    import object_database

    return {
        "version": object_database.__version__,
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }


def _processor() -> str:
    try:
        for entry in Path("/proc/cpuinfo").read_text().splitlines():
            if entry.startswith("model name"):
                return " ".join(entry.split(":", 1)[1].split())
    except OSError:
        pass
    return platform.machine()
