"""All pages of enrolment, for the web process to include."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

    from enrollment.web.frame import Frame


def routers(frame: Frame) -> list[APIRouter]:
    """Give the routes of every page."""
    del frame
    return []
