"""All pages of enrolment, for the web process to include."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enrollment.web.account import AccountPages
from enrollment.web.begin import BeginPages
from enrollment.web.consent import ConsentPages
from enrollment.web.contact import ContactPages
from enrollment.web.coverage import CoveragePage
from enrollment.web.delegates import DelegatePages
from enrollment.web.drill import DrillPages
from enrollment.web.guide import GuidePage
from enrollment.web.leaving import LeavingPages
from enrollment.web.originals import OriginalPages
from enrollment.web.proof import ProofPages
from enrollment.web.review import ReviewPages
from enrollment.web.samples import SamplePages
from enrollment.web.search_terms import SearchTermPages
from enrollment.web.second import SecondPages
from enrollment.web.security import SecurityPages
from enrollment.web.start import StartPages
from enrollment.web.you import YouPages

if TYPE_CHECKING:
    from fastapi import APIRouter

    from enrollment.web.frame import Frame


def routers(frame: Frame) -> list[APIRouter]:
    """Give the routes of every page."""
    pages: list[APIRouter] = [
        BeginPages(frame).router(),
        SecurityPages(frame).router(),
        SecondPages(frame).router(),
        ProofPages(frame).router(),
        ReviewPages(frame).router(),
        StartPages(frame).router(),
    ]
    rights = (AccountPages, ConsentPages, ContactPages, DelegatePages, LeavingPages, YouPages)
    pages += [kind(frame).router() for kind in rights]
    pages += [CoveragePage(frame).router(), SearchTermPages(frame).router(), DrillPages(frame).router()]
    pages.append(OriginalPages(frame).router())
    return [*pages, SamplePages(frame).router(), GuidePage(frame).router()]
