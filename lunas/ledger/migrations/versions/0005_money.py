"""Credit, charges and their rates"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "remittances",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("receipt_id", _KEY, nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("amount_minor", _KEY, nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_remittances_amount_is_positive")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipts.id"], name=op.f("fk_remittances_receipt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remittances")),
        sa.UniqueConstraint("receipt_id", "number", name=op.f("uq_remittances_receipt_id_number")),
    )
    op.create_index(op.f("ix_remittances_number"), "remittances", ["number"], unique=False)
    op.create_table(
        "payers",
        sa.Column("receipt_id", _KEY, nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipts.id"], name=op.f("fk_payers_receipt_id")),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_payers")),
    )
    op.create_index(op.f("ix_payers_customer"), "payers", ["customer"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("receipt_id", _KEY, nullable=False),
        sa.Column("amount_minor", _KEY, nullable=False),
        sa.Column("refunded_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refunds_amount_is_positive")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipts.id"], name=op.f("fk_refunds_receipt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("provider", "reference", name=op.f("uq_refunds_provider_reference")),
    )
    op.create_index(op.f("ix_refunds_receipt_id"), "refunds", ["receipt_id"], unique=False)
    op.create_table(
        "tolerances",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("invoice_id", _KEY, nullable=False),
        sa.Column("receipt_id", _KEY, nullable=True),
        sa.Column("amount_minor", _KEY, nullable=False),
        sa.Column("facts_version", _KEY, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_tolerances_amount_is_not_zero")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_tolerances_invoice_id")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipts.id"], name=op.f("fk_tolerances_receipt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tolerances")),
    )
    op.create_index(op.f("ix_tolerances_invoice_id"), "tolerances", ["invoice_id"], unique=False)
    op.create_table(
        "waivers",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("invoice_id", _KEY, nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("interest", "fee", name="kind", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("amount_minor", _KEY, nullable=False),
        sa.Column("waived_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_waivers_amount_is_positive")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_waivers_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waivers")),
        sa.UniqueConstraint("invoice_id", "reference", name=op.f("uq_waivers_invoice_id_reference")),
    )


def downgrade() -> None:
    op.drop_table("waivers")
    op.drop_index(op.f("ix_tolerances_invoice_id"), table_name="tolerances")
    op.drop_table("tolerances")
    op.drop_index(op.f("ix_refunds_receipt_id"), table_name="refunds")
    op.drop_table("refunds")
    op.drop_index(op.f("ix_payers_customer"), table_name="payers")
    op.drop_table("payers")
    op.drop_index(op.f("ix_remittances_number"), table_name="remittances")
    op.drop_table("remittances")
