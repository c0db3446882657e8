"""What became of a provider's event"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)
_CURRENCIES = ("IDR", "USD", "EUR", "GBP", "SGD", "MYR", "AUD", "JPY")


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def upgrade() -> None:
    op.create_table(
        "provider_readings",
        sa.Column("event_id", _KEY, nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("kind", _words("kind", "paid", "reversed", "pending", "expired", "other"), nullable=False),
        sa.Column("state", _words("state", "waiting", "booked", "noted", "refused"), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("currency", _words("currency", *_CURRENCIES), nullable=True),
        sa.Column("amount_minor", _KEY, nullable=True),
        sa.Column("moved_on", sa.Date(), nullable=True),
        sa.Column("instruments", sa.JSON(), nullable=False),
        sa.Column("invoice", sa.String(length=64), nullable=True),
        sa.Column("reversal", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("tried_at", _MOMENT, nullable=True),
        sa.Column("booked_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["provider_events.id"], name=op.f("fk_provider_readings_event_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_provider_readings")),
    )
    op.create_index(
        "ix_provider_readings_provider_reference", "provider_readings", ["provider", "reference"], unique=False
    )
    op.create_index(
        "ix_provider_readings_waiting",
        "provider_readings",
        ["event_id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    op.drop_table("provider_readings")
