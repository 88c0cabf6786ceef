"""what known originals need. There is no way back but a backup: sealed rows that were dropped do not come again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0005"
down_revision = "v0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table("known_original",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("kind", sa.String(), nullable=False),
    sa.Column("lookup", sa.String(), nullable=False),
    sa.Column("blob_id", sa.String(), nullable=True),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("code", sa.String(), nullable=False),
    sa.Column("tries", sa.Integer(), nullable=False),
    sa.Column("judging_since", sa.DateTime(timezone=True), nullable=True),
    sa.Column("sealed_said", sa.LargeBinary(), nullable=False),
    sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
    sa.Column("sealed_marks", sa.LargeBinary(), nullable=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_known_original_blob_id"), ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_known_original_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_known_original")),
    sa.UniqueConstraint("blob_id", name=op.f("uq_known_original_blob_id")),
    sa.UniqueConstraint("subject_id", "lookup", name=op.f("uq_known_original_subject_id_lookup"))
    )
    with op.batch_alter_table("known_original", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_known_original_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_known_original_subject_id"), ["subject_id"], unique=False)
