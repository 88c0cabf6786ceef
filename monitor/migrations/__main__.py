"""`python -m monitor.migrations "what changed"`: write the migration from the last one to today's tables."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from monitor.db import open_engine
from monitor.migrations import config


def main(message: str) -> None:
    """Upgrade an empty SQLite file to the last migration and write down what is missing from there."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'empty.db'}")
        with engine.begin() as connection:
            alembic = config(connection)
            script = ScriptDirectory.from_config(alembic)
            command.upgrade(alembic, "head")
            number = len(list(script.walk_revisions())) + 1
            revision = f"v{number:04}"
            command.revision(alembic, message, autogenerate=True, rev_id=revision)
            for path in Path(script.versions).glob(f"{revision}_*.py"):
                tidy(path)
        engine.dispose()


def tidy(path: Path) -> None:
    """Take out alembic's own remarks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if "# ###" not in line) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
