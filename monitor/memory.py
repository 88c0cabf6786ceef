"""How much memory a process ever held."""

from __future__ import annotations


def peak_memory_mb(pid: int) -> float | None:
    """Read the most memory that a running process ever held, in MiB; None where the system does not say.

    From Linux's /proc: what getrusage gives goes on counting from the process that started this one.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 - a file of the kernel
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        return None
    return None
