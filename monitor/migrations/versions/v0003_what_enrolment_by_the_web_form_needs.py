"""what enrolment by the web form needs. There is no way back but a backup: sealed rows that were dropped do not come again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0003"
down_revision = "v0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.add_column("subject_key", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("lease", sa.Column("gallery_seq", sa.BigInteger(), nullable=True))
    op.create_table("login_use",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_login_use"))
    )
    with op.batch_alter_table("login_use", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_use_expires_at"), ["expires_at"], unique=False)

    op.create_table("operator_account",
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("token_digest", sa.String(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint("name", name=op.f("pk_operator_account"))
    )
    op.create_table("rate_count",
    sa.Column("lookup", sa.String(), nullable=False),
    sa.Column("window", sa.DateTime(timezone=True), nullable=False),
    sa.Column("count", sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint("lookup", "window", name=op.f("pk_rate_count"))
    )
    op.create_table("seen_clip",
    sa.Column("lookup", sa.String(), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("lookup", name=op.f("pk_seen_clip"))
    )
    with op.batch_alter_table("seen_clip", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_seen_clip_expires_at"), ["expires_at"], unique=False)

    op.create_table("account",
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("email_lookup", sa.String(), nullable=False),
    sa.Column("language", sa.String(), nullable=False),
    sa.Column("phone_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("told_from", sa.DateTime(timezone=True), nullable=True),
    sa.Column("proved_until", sa.DateTime(timezone=True), nullable=True),
    sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_account_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_account")),
    sa.UniqueConstraint("email_lookup", name=op.f("uq_account_email_lookup"))
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_proved_until"), ["proved_until"], unique=False)
        batch_op.create_index(batch_op.f("ix_account_seen_at"), ["seen_at"], unique=False)

    op.create_table("consent",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("purpose", sa.String(), nullable=False),
    sa.Column("version", sa.String(), nullable=False),
    sa.Column("given", sa.Boolean(), nullable=False),
    sa.Column("record", sa.String(), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_consent_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_consent"))
    )
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consent_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_consent_purpose"), ["purpose"], unique=False)
        batch_op.create_index(batch_op.f("ix_consent_subject_id"), ["subject_id"], unique=False)

    op.create_table("delegate",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("email_lookup", sa.String(), nullable=False),
    sa.Column("delegate_id", sa.String(), nullable=True),
    sa.Column("sealed", sa.LargeBinary(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("invited_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(["delegate_id"], ["subject_key.subject_id"], name=op.f("fk_delegate_delegate_id"), ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_delegate_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_delegate")),
    sa.UniqueConstraint("subject_id", "email_lookup", name=op.f("uq_delegate_subject_id_email_lookup"))
    )
    with op.batch_alter_table("delegate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delegate_delegate_id"), ["delegate_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_delegate_email_lookup"), ["email_lookup"], unique=False)
        batch_op.create_index(batch_op.f("ix_delegate_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_delegate_subject_id"), ["subject_id"], unique=False)

    op.create_table("export",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("blob_ids", sa.String(), nullable=False),
    sa.Column("size_bytes", sa.BigInteger(), nullable=False),
    sa.Column("tries", sa.Integer(), nullable=False),
    sa.Column("making_since", sa.DateTime(timezone=True), nullable=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_export_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_export"))
    )
    with op.batch_alter_table("export", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_export_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_export_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_export_subject_id"), ["subject_id"], unique=False)

    op.create_table("hold",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("reasons", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("sealed_report", sa.LargeBinary(), nullable=True),
    sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("acted_at", sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_hold_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_hold"))
    )
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hold_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_hold_subject_id"), ["subject_id"], unique=False)

    op.create_table("letter",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=True),
    sa.Column("kind", sa.String(), nullable=False),
    sa.Column("channel", sa.String(), nullable=False),
    sa.Column("sealed", sa.LargeBinary(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("reason", sa.String(), nullable=False),
    sa.Column("tries", sa.Integer(), nullable=False),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("sending_since", sa.DateTime(timezone=True), nullable=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_letter_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_letter"))
    )
    with op.batch_alter_table("letter", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_letter_due_at"), ["due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_letter_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_letter_subject_id"), ["subject_id"], unique=False)

    op.create_table("one_time_code",
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("purpose", sa.String(), nullable=False),
    sa.Column("lookup", sa.String(), nullable=False),
    sa.Column("sealed", sa.LargeBinary(), nullable=False),
    sa.Column("tries", sa.Integer(), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_one_time_code_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("subject_id", "purpose", name=op.f("pk_one_time_code"))
    )
    with op.batch_alter_table("one_time_code", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_one_time_code_expires_at"), ["expires_at"], unique=False)

    op.create_table("passkey",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("public_key", sa.LargeBinary(), nullable=False),
    sa.Column("sign_count", sa.Integer(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_passkey_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey"))
    )
    with op.batch_alter_table("passkey", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passkey_subject_id"), ["subject_id"], unique=False)

    op.create_table("web_session",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("browser", sa.String(), nullable=False),
    sa.Column("second_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_web_session_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_web_session"))
    )
    with op.batch_alter_table("web_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_web_session_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_web_session_subject_id"), ["subject_id"], unique=False)

    op.create_table("challenge",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("drawn", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("blob_id", sa.String(), nullable=True),
    sa.Column("sealed_report", sa.LargeBinary(), nullable=True),
    sa.Column("tries", sa.Integer(), nullable=False),
    sa.Column("judging_since", sa.DateTime(timezone=True), nullable=True),
    sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_challenge_blob_id"), ondelete="SET NULL"),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_challenge_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_challenge"))
    )
    with op.batch_alter_table("challenge", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_challenge_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_challenge_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_challenge_subject_id"), ["subject_id"], unique=False)

    op.create_table("given_sample",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("modality", sa.String(), nullable=False),
    sa.Column("blob_id", sa.String(), nullable=True),
    sa.Column("clip_lookup", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("code", sa.String(), nullable=False),
    sa.Column("sealed_said", sa.LargeBinary(), nullable=True),
    sa.Column("sealed_vector", sa.LargeBinary(), nullable=True),
    sa.Column("model_id", sa.String(), nullable=False),
    sa.Column("quality", sa.Float(), nullable=False),
    sa.Column("tries", sa.Integer(), nullable=False),
    sa.Column("judging_since", sa.DateTime(timezone=True), nullable=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_given_sample_blob_id"), ondelete="SET NULL"),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_given_sample_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_given_sample"))
    )
    with op.batch_alter_table("given_sample", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_given_sample_clip_lookup"), ["clip_lookup"], unique=False)
        batch_op.create_index(batch_op.f("ix_given_sample_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_given_sample_subject_id"), ["subject_id"], unique=False)

    op.create_table("hold_vote",
    sa.Column("hold_id", sa.String(), nullable=False),
    sa.Column("operator", sa.String(), nullable=False),
    sa.Column("approve", sa.Boolean(), nullable=False),
    sa.Column("sealed_why", sa.LargeBinary(), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name=op.f("fk_hold_vote_hold_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("hold_id", "operator", name=op.f("pk_hold_vote"))
    )

