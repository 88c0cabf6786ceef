"""All pages of enrolment, for the web process to include."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enrollment.web.begin import BeginPages
from enrollment.web.guide import GuidePage
from enrollment.web.proof import ProofPages
from enrollment.web.samples import SamplePages

if TYPE_CHECKING:
    from fastapi import APIRouter

    from enrollment.web.frame import Frame


def routers(frame: Frame) -> list[APIRouter]:
    """Give the routes of every page."""
    pages: list[APIRouter] = [BeginPages(frame).router(), ProofPages(frame).router()]
    if frame.settings.enrolment == "open":
        pages += [SamplePages(frame).router(), GuidePage(frame).router()]
    return pages
