"""What the eyes need from those who know people, without knowing any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from crawlers.platforms.interfaces import Terms
    from monitor.values import SourceId


class TermBook(Protocol):
    """Gives what people asked us to look for. Enrolment keeps it; monitor/watching.py joins the two."""

    def terms(self, source_id: SourceId) -> Terms | None:
        """Give the names, handles and hashtags of everybody who is watched for, each once and of nobody.

        None where there are none. Their key for tags is the same for each crawl of a source.
        """
