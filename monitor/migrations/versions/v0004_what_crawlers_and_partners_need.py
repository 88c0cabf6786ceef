"""what crawlers and partners need. There is no way back but a backup: sealed rows that were dropped do not come again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0004"
down_revision = "v0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table("partner",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("contact", sa.String(), nullable=False),
    sa.Column("contract", sa.String(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_partner")),
    sa.UniqueConstraint("name", name=op.f("uq_partner_name"))
    )
    op.create_table("retro_scan",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("upto_seq", sa.BigInteger(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("after_key", sa.String(), nullable=False),
    sa.Column("fetched", sa.Integer(), nullable=False),
    sa.Column("failed", sa.Integer(), nullable=False),
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_retro_scan"))
    )
    op.create_table("drill",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("path", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("asked_by", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("code", sa.String(), nullable=True),
    sa.Column("sha256", sa.String(), nullable=False),
    sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("planted_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("found_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_drill_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_drill"))
    )
    with op.batch_alter_table("drill", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_drill_sha256"), ["sha256"], unique=False)
        batch_op.create_index(batch_op.f("ix_drill_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_drill_subject_id"), ["subject_id"], unique=False)

    op.create_table("feed",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("partner_id", sa.String(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("way", sa.String(), nullable=False),
    sa.Column("sandbox", sa.Boolean(), nullable=False),
    sa.Column("enabled", sa.Boolean(), nullable=False),
    sa.Column("scopes", sa.String(), nullable=False),
    sa.Column("per_second", sa.Float(), nullable=False),
    sa.Column("burst", sa.Integer(), nullable=False),
    sa.Column("per_day", sa.BigInteger(), nullable=False),
    sa.Column("hosts", sa.String(), nullable=False),
    sa.Column("pull", sa.LargeBinary(), nullable=True),
    sa.Column("pull_every_s", sa.Integer(), nullable=False),
    sa.Column("cursor", sa.String(), nullable=False),
    sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("pull_failures", sa.Integer(), nullable=False),
    sa.Column("pull_said", sa.String(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_feed_partner_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_feed")),
    sa.UniqueConstraint("name", name=op.f("uq_feed_name"))
    )
    with op.batch_alter_table("feed", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_partner_id"), ["partner_id"], unique=False)

    op.create_table("media_hash",
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("media_id", sa.String(), nullable=False),
    sa.Column("kind", sa.String(), nullable=False),
    sa.Column("at_s", sa.Float(), nullable=True),
    sa.Column("hash", sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(["media_id"], ["media_item.id"], name=op.f("fk_media_hash_media_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("seq", name=op.f("pk_media_hash"))
    )
    with op.batch_alter_table("media_hash", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_media_hash_media_id"), ["media_id"], unique=False)

    op.create_table("search_term",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("subject_id", sa.String(), nullable=False),
    sa.Column("lookup", sa.String(), nullable=False),
    sa.Column("sealed", sa.LargeBinary(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["subject_id"], ["subject_key.subject_id"], name=op.f("fk_search_term_subject_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_search_term")),
    sa.UniqueConstraint("subject_id", "lookup", name=op.f("uq_search_term_subject_id_lookup"))
    )
    with op.batch_alter_table("search_term", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_search_term_subject_id"), ["subject_id"], unique=False)

    op.create_table("source_cursor",
    sa.Column("source_id", sa.String(), nullable=False),
    sa.Column("tag", sa.String(), nullable=False),
    sa.Column("value", sa.String(), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_source_cursor_source_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("source_id", "tag", name=op.f("pk_source_cursor"))
    )
    with op.batch_alter_table("source_cursor", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_source_cursor_source_id"), ["source_id"], unique=False)

    op.create_table("feed_count",
    sa.Column("feed_id", sa.String(), nullable=False),
    sa.Column("day", sa.String(), nullable=False),
    sa.Column("code", sa.String(), nullable=False),
    sa.Column("count", sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_count_feed_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("feed_id", "day", "code", name=op.f("pk_feed_count"))
    )
    with op.batch_alter_table("feed_count", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_count_feed_id"), ["feed_id"], unique=False)

    op.create_table("feed_item",
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("feed_id", sa.String(), nullable=False),
    sa.Column("item_key", sa.String(), nullable=False),
    sa.Column("body_sha256", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("code", sa.String(), nullable=True),
    sa.Column("url", sa.String(), nullable=True),
    sa.Column("page_url", sa.String(), nullable=True),
    sa.Column("title", sa.String(), nullable=True),
    sa.Column("media_id", sa.String(), nullable=True),
    sa.Column("sha256", sa.String(), nullable=True),
    sa.Column("attempts", sa.Integer(), nullable=False),
    sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_item_feed_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("seq", name=op.f("pk_feed_item")),
    sa.UniqueConstraint("feed_id", "item_key", name=op.f("uq_feed_item_feed_id_item_key")),
    sa.UniqueConstraint("id", name=op.f("uq_feed_item_id"))
    )
    with op.batch_alter_table("feed_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_item_at"), ["at"], unique=False)
        batch_op.create_index("ix_feed_item_due", ["state", "next_try_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_feed_item_feed_id"), ["feed_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_feed_item_media_id"), ["media_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_feed_item_sha256"), ["sha256"], unique=False)

    op.create_table("feed_key",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("feed_id", sa.String(), nullable=False),
    sa.Column("scheme", sa.String(), nullable=False),
    sa.Column("public", sa.LargeBinary(), nullable=True),
    sa.Column("wrapped", sa.LargeBinary(), nullable=True),
    sa.Column("kek_id", sa.String(), nullable=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_key_feed_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_key"))
    )
    with op.batch_alter_table("feed_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_key_feed_id"), ["feed_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_feed_key_kek_id"), ["kek_id"], unique=False)

    op.create_table("feed_message",
    sa.Column("feed_id", sa.String(), nullable=False),
    sa.Column("message_id", sa.String(), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_message_feed_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("feed_id", "message_id", name=op.f("pk_feed_message"))
    )
    with op.batch_alter_table("feed_message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_message_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_feed_message_feed_id"), ["feed_id"], unique=False)

    op.create_table("feed_upload",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("feed_id", sa.String(), nullable=False),
    sa.Column("item_key", sa.String(), nullable=False),
    sa.Column("size_bytes", sa.BigInteger(), nullable=False),
    sa.Column("offset", sa.BigInteger(), nullable=False),
    sa.Column("meta", sa.String(), nullable=False),
    sa.Column("blob_id", sa.String(), nullable=True),
    sa.Column("seal_state", sa.LargeBinary(), nullable=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_upload_feed_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_upload"))
    )
    with op.batch_alter_table("feed_upload", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_upload_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_feed_upload_feed_id"), ["feed_id"], unique=False)

    op.create_table("takedown",
    sa.Column("id", sa.String(), nullable=False),
    sa.Column("feed_id", sa.String(), nullable=False),
    sa.Column("item_key", sa.String(), nullable=False),
    sa.Column("status", sa.String(), nullable=False),
    sa.Column("note", sa.String(), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_takedown_feed_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_takedown"))
    )
    with op.batch_alter_table("takedown", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_takedown_feed_id"), ["feed_id"], unique=False)

    with op.batch_alter_table("crawl_run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("media_copies", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("requests", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("lag_s", sa.Float(), nullable=True))

    with op.batch_alter_table("media_item", schema=None) as batch_op:
        batch_op.add_column(sa.Column("copy_of", sa.String(), nullable=True))
        batch_op.create_index(batch_op.f("ix_media_item_copy_of"), ["copy_of"], unique=False)

    with op.batch_alter_table("source", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(), server_default="site", nullable=False))
        batch_op.add_column(sa.Column("options", sa.String(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("basis", sa.String(), server_default="robots", nullable=False))
        batch_op.add_column(sa.Column("basis_note", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("collects", sa.String(), server_default="image,video,audio", nullable=False))
        batch_op.add_column(sa.Column("keep_days", sa.Integer(), server_default="90", nullable=False))
        batch_op.add_column(sa.Column("interval_s", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
