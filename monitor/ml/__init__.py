"""Readers of faces and voices, behind the interfaces in interfaces.py."""
