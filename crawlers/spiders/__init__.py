"""The ways to walk a source."""
