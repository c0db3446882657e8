"""Links that can be revoked"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "link_revocations",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("customer_id", _KEY, nullable=False),
        sa.Column("invoice_id", _KEY, nullable=True),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_link_revocations_customer_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_link_revocations_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_revocations")),
    )
    op.create_index(
        op.f("ix_link_revocations_customer_id_invoice_id"),
        "link_revocations",
        ["customer_id", "invoice_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_link_revocations_customer_id_invoice_id"), table_name="link_revocations")
    op.drop_table("link_revocations")
