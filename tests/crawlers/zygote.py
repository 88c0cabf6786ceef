"""A process that has imported everything a crawl needs, and forks one crawl per request.

Starting Python with Scrapy and the database layer takes most of the time of a small crawl. The tests of
the scheduler start crawls the long way.

Reads lines of JSON: `{"start": {environment, arguments, out, err}}` answers with a process id,
`{"wait": id}` with the exit status as subprocess has it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Zygote:
    """The tests' end of it."""

    def __init__(self) -> None:
        """Start the process that forks."""
        command = [sys.executable, "-W", "error", "-m", "tests.crawlers.zygote"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, question: dict[str, Any]) -> int:
        """Send one question and read its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(
        self, arguments: list[str], environment: dict[str, str], folder: Path, stdin: str = ""
    ) -> Crawl:
        """Fork one crawl. `stdin` is what it reads from its standard input, through a pipe."""
        name = f"crawl-{time.monotonic_ns()}"
        out, err = folder / f"{name}.out", folder / f"{name}.err"
        asked = {
            "arguments": arguments,
            "environment": environment,
            "out": str(out),
            "err": str(err),
            "stdin": stdin,
        }
        return Crawl(self, self.ask({"start": asked}), out, err)

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)


class Crawl:
    """One crawl under way; as much of subprocess.Popen as the tests use."""

    def __init__(self, zygote: Zygote, pid: int, out: Path, err: Path) -> None:
        """Keep a handle that says when it has ended."""
        self._zygote, self.pid, self._out, self._err = zygote, pid, out, err
        self._handle = os.pidfd_open(pid)
        self.returncode: int | None = None

    def poll(self, seconds: float = 0) -> int | None:
        """Give the exit status, or None while it runs."""
        if self.returncode is None and select.select([self._handle], [], [], seconds)[0]:
            os.close(self._handle)
            self.returncode = self._zygote.ask({"wait": self.pid})
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for its end and give what it said."""
        if self.poll(timeout) is None:
            self.send_signal(signal.SIGKILL)
            self.poll(timeout)
            raise TimeoutError(self._err.read_text())
        return self._out.read_text(), self._err.read_text()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        signal.pidfd_send_signal(self._handle, number)


def main() -> int:
    """Import everything, then fork as asked until the input ends."""
    from scrapy.crawler import AsyncCrawlerProcess  # noqa: F401, PLC0415

    import crawlers.handler  # noqa: PLC0415 - only in the process that forks
    import crawlers.middlewares  # noqa: PLC0415
    import crawlers.pipelines  # noqa: PLC0415
    import crawlers.spiders.archive  # noqa: PLC0415
    import crawlers.spiders.commoncrawl  # noqa: PLC0415
    import crawlers.spiders.platform  # noqa: PLC0415
    import crawlers.spiders.site  # noqa: PLC0415
    import crawlers.spiders.stream  # noqa: F401, PLC0415
    from crawlers.__main__ import main as crawl  # noqa: PLC0415

    _load_parts()
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            answer = os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                _become(**question["start"])
                return crawl()
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    return 0


def _load_parts() -> None:
    """Import what Scrapy imports by name when a crawl begins: half of the time that a small crawl takes."""
    from scrapy.settings import Settings, default_settings  # noqa: PLC0415 - only in the process that forks
    from scrapy.utils.misc import load_object  # noqa: PLC0415 - as above

    named = [
        value
        for name, value in vars(default_settings).items()
        if name.isupper() and isinstance(value, str) and value.startswith("scrapy.")
    ]
    for kind in ("DOWNLOADER_MIDDLEWARES", "SPIDER_MIDDLEWARES", "EXTENSIONS"):
        named += Settings().getwithbase(kind)
    for path in named:
        load_object(path)


def _become(arguments: list[str], environment: dict[str, str], out: str, err: str, stdin: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["crawlers", *arguments]
    reading, writing = os.pipe()
    os.write(writing, stdin.encode())  # as much as a pipe holds, 64 KiB, is plenty
    os.close(writing)
    os.dup2(reading, 0)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), number)


if __name__ == "__main__":
    sys.exit(main())
