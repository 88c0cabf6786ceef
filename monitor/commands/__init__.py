"""The verbs of the `likeness` command that belong to the watch itself."""
