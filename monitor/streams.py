"""Standard input, output and error that somebody closed.

Whatever is opened next would take their numbers: a media file as "standard error" is written over, and a
database is written into by whoever prints.
"""

from __future__ import annotations

import os

STDERR = 2


def fill_closed() -> None:
    """Put /dev/null in the place of standard streams that are closed. For the first line of a process."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - the signature of os
    os.close(descriptor)
