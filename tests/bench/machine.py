"""What a measurement was made on, and how it is printed."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path


def facts() -> str:
    """Describe the machine: a figure without it says nothing."""
    return f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def processor_seconds(pid: int) -> float:
    """Tell what a process has used so far, in its own code and the kernel's."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, key: str = "VmRSS") -> float:
    """MiB of a process: `VmRSS` are resident, `VmHWM` were at most."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return int(dict(line.split(":", 1) for line in lines)[key].split()[0]) / 1024


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out; the first column is text, the others are numbers."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
