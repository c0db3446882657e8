"""Payment instruments: what their providers call them, and which balance they settle"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)
_BEFORE = "id, invoice_id, method, reference, amount_minor, instructions, url, created_at, expires_at, voided_at"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _set_aside()
        _create(*_columns_before(), *_columns())
        op.execute(
            f"INSERT INTO offers ({_BEFORE}, maker, covers_minor, ready_at) "  # noqa: S608 - our own names
            f"SELECT {_BEFORE}, method, amount_minor, created_at FROM offers_before"
        )
        op.drop_table("offers_before")
    else:
        for column in _columns():
            column.nullable = True
            op.add_column("offers", column)
        op.execute("UPDATE offers SET maker = method, covers_minor = amount_minor, ready_at = created_at")
        op.alter_column("offers", "maker", nullable=False)
        op.alter_column("offers", "covers_minor", nullable=False)
        op.create_unique_constraint(op.f("uq_offers_claim"), "offers", ["claim"])
    op.create_index(op.f("ix_offers_provider_id"), "offers", ["provider_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_offers_provider_id"), table_name="offers")
    # What no provider has answered yet was unknown to this schema, and cannot be paid.
    if op.get_bind().dialect.name == "sqlite":
        _set_aside()
        _create(*_columns_before())
        op.execute(
            f"INSERT INTO offers ({_BEFORE}) "  # noqa: S608 - our own names
            f"SELECT {_BEFORE} FROM offers_before WHERE ready_at IS NOT NULL"
        )
        op.drop_table("offers_before")
    else:
        op.execute("DELETE FROM offers WHERE ready_at IS NULL")
        op.drop_constraint(op.f("uq_offers_claim"), "offers", type_="unique")
        for column in _columns():
            op.drop_column("offers", column.name)


def _set_aside() -> None:
    op.drop_index(op.f("ix_offers_invoice_id"), table_name="offers")
    op.rename_table("offers", "offers_before")


def _create(*columns: sa.Column[object]) -> None:
    claims = (
        [sa.UniqueConstraint("claim", name=op.f("uq_offers_claim"))] if any(c.name == "claim" for c in columns) else []
    )
    op.create_table(
        "offers",
        *columns,
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_offers_amount_is_positive")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_offers_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers")),
        sa.UniqueConstraint("method", "reference", name=op.f("uq_offers_method_reference")),
        *claims,
    )
    op.create_index(op.f("ix_offers_invoice_id"), "offers", ["invoice_id"], unique=False)


def _columns_before() -> list[sa.Column[object]]:
    return [
        sa.Column("id", _KEY, nullable=False),
        sa.Column("invoice_id", _KEY, nullable=False),
        sa.Column("method", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("amount_minor", _KEY, nullable=False),
        sa.Column("instructions", sa.JSON(), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=True),
        sa.Column("voided_at", _MOMENT, nullable=True),
    ]


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("maker", sa.String(length=80), nullable=False),
        sa.Column("covers_minor", _KEY, nullable=False),
        sa.Column("ready_at", _MOMENT, nullable=True),
        sa.Column("provider_id", sa.String(length=200), nullable=True),
        sa.Column("qr", sa.Text(), nullable=True),
        sa.Column("failure", sa.String(length=80), nullable=True),
        sa.Column("claim", sa.String(length=60), nullable=True),
    ]
