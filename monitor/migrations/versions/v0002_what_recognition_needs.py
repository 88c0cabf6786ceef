"""what recognition needs. There is no way back but a backup: sealed rows that were dropped do not come again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table("budget",
    sa.Column("id", sa.Integer(), nullable=False),
    sa.Column("false_alerts_per_month", sa.Float(), nullable=False),
    sa.Column("faces_per_day", sa.BigInteger(), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_budget"))
    )
    op.create_table("model_switch",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("from_pack", sa.String(), nullable=False),
    sa.Column("to_pack", sa.String(), nullable=False),
    sa.Column("from_model", sa.String(), nullable=False),
    sa.Column("to_model", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_model_switch"))
    )
    with op.batch_alter_table("model_switch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_model_switch_state"), ["state"], unique=False)

    op.create_table("not_renewed",
    sa.Column("switch_id", sa.String(), nullable=False),
    sa.Column("reference_id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("code", sa.String(), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_not_renewed_subject_id"), ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["switch_id"], ["model_switch.id"], name=op.f("fk_not_renewed_switch_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("switch_id", "reference_id", name=op.f("pk_not_renewed"))
    )
    with op.batch_alter_table("not_renewed", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_not_renewed_subject_id"), ["subject_id"], unique=False)

    op.create_table("score_count",
    sa.Column("day", sa.String(), nullable=False),
    sa.Column("modality", sa.String(), nullable=False),
    sa.Column("model_id", sa.String(), nullable=False),
    sa.Column("bin", sa.Integer(), nullable=False),
    sa.Column("count", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("day", "modality", "model_id", "bin", name=op.f("pk_score_count"))
    )
    op.create_table("subject_budget",
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("false_alerts_per_month", sa.Float(), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_subject_budget_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_subject_budget"))
    )
    op.create_table("dismissal",
    sa.Column("finding_id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("reason", sa.String(), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["finding_id"], ["finding.id"], name=op.f("fk_dismissal_finding_id"), ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_dismissal_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("finding_id", name=op.f("pk_dismissal"))
    )
    with op.batch_alter_table("dismissal", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dismissal_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_dismissal_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_dismissal_subject_id"), ["subject_id"], unique=False)

    op.create_table("lookalike",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("finding_id", sa.String(), nullable=False),
    sa.Column("modality", sa.String(), nullable=False),
    sa.Column("model_id", sa.String(), nullable=False),
    sa.Column("sealed", sa.LargeBinary(), nullable=False),
    sa.Column("wrapped", sa.LargeBinary(), nullable=False),
    sa.Column("kek_id", sa.String(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["finding_id"], ["finding.id"], name=op.f("fk_lookalike_finding_id"), ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_lookalike_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_lookalike"))
    )
    with op.batch_alter_table("lookalike", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lookalike_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_lookalike_finding_id"), ["finding_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_lookalike_kek_id"), ["kek_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_lookalike_subject_id"), ["subject_id"], unique=False)

    with op.batch_alter_table("subject", schema=None) as batch_op:
        batch_op.add_column(sa.Column("asked_for_pack", sa.String(), nullable=True))

    with op.batch_alter_table("template", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reference_id", sa.String(), nullable=True))
        batch_op.create_index(batch_op.f("ix_template_reference_id"), ["reference_id"], unique=False)


