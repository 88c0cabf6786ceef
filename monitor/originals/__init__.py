"""Authentic media that people gave so that changed copies of it can be known, and what was changed shown."""
