"""What a child gives up before it touches a hostile file. Linux only.

In order: it dies with its parent; it leaves root; it limits its memory, CPU time and files; and it takes
a system-call filter under which it can compute, read and write what it already holds, and nothing else.
On processors other than x86-64 and ARM64 there is no filter; the limits alone already forbid a new
file, a new socket and a new process.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_EPERM = 0x00050001
SECCOMP_RET_KILL = 0x80000000
"""Names and numbers of linux/prctl.h and linux/seccomp.h."""

LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
"""The three instructions of classic BPF that the filter is made of."""

NOBODY = 65534
"""User and group that a child becomes when the service runs as root."""

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Names of processors in linux/audit.h: a call made under another convention kills the child."""

X86_64_CALLS = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
    "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17,
    "readv": 19, "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35,
    "getpid": 39, "exit": 60, "uname": 63, "getrusage": 98, "sysinfo": 99, "times": 100,
    "sigaltstack": 131, "gettid": 186, "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219,
    "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
    "getrandom": 318, "membarrier": 324, "rseq": 334,
}  # fmt: skip
"""Calls that a child may make. It cannot open, connect, start, signal or look up anything."""

AARCH64_CALLS = {
    "close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67,
    "ppoll": 73, "fstat": 80, "exit": 93, "exit_group": 94, "futex": 98, "nanosleep": 101,
    "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "sched_getaffinity": 123,
    "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134,
    "rt_sigprocmask": 135, "rt_sigreturn": 139, "times": 153, "uname": 160, "getrusage": 165,
    "getpid": 172, "gettid": 178, "sysinfo": 179, "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222,
    "mprotect": 226, "madvise": 233, "getrandom": 278, "membarrier": 283, "rseq": 293,
}  # fmt: skip
"""The same for ARM64."""

CALLS = {"x86_64": X86_64_CALLS, "aarch64": AARCH64_CALLS}

PAGE_BYTES = resource.getpagesize()

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def enter(*, keeper: int, memory_mb: int, cpu_seconds: float) -> None:
    """Give up everything but computing, and die with the process `keeper`. Nothing undoes it.

    Raises OSError if the kernel refuses, or if the keeper is already gone.
    """
    most_bytes = _mapped_bytes() + memory_mb * 2**20
    _leave_root()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        raise ProcessLookupError(keeper)
    _prctl(PR_SET_DUMPABLE, 0)
    _limit(most_bytes, max(1, round(cpu_seconds)))
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if _FILTER is not None:
        _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(_FILTER))


def _leave_root() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def _mapped_bytes() -> int:
    """Count what the imported libraries map already: the limit is on what comes on top of it."""
    fd = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(os.read(fd, 64).split()[0]) * PAGE_BYTES
    finally:
        os.close(fd)


def _limit(most_bytes: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        resource.setrlimit(limit, (0, 0))


def _instructions(arch: int, calls: tuple[int, ...]) -> bytes:
    """Say: another convention kills; a call on the list passes; any other is answered "not permitted"."""
    steps = [(LOAD_WORD, 0, 0, 4), (JUMP_EQUAL, 1, 0, arch), (RETURN, 0, 0, SECCOMP_RET_KILL)]
    steps.append((LOAD_WORD, 0, 0, 0))
    steps += [(JUMP_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)]
    steps += [(RETURN, 0, 0, SECCOMP_RET_EPERM), (RETURN, 0, 0, SECCOMP_RET_ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _prctl(option: int, first: int, second: int = 0) -> None:
    words = [ctypes.c_ulong(word) for word in (first, second, 0, 0)]
    if _libc.prctl(ctypes.c_int(option), *words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def _filter_for(machine: str) -> _Program | None:
    if machine not in CALLS:
        return None
    program = _instructions(AUDIT_ARCH[machine], tuple(CALLS[machine].values()))
    return _Program(len(program) // 8, program)


_FILTER = _filter_for(os.uname().machine)
"""Made once, before any fork: a child has milliseconds for all of this."""
