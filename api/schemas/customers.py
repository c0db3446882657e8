"""Customers and their contacts, as they are sent and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

from pydantic import Field, model_validator

from api.schemas.fields import Body, Code, Email, Person, Phone, PolicyName, View, ZoneName, line, lines
from lunas.ledger.customers import CustomerChanges, NewContact, NewCustomer
from lunas.ledger.kinds import AddressState, ContactSource, Language

Tongue = Annotated[Language, Field(strict=False, description="The language of messages")]
Name = Annotated[str, line(200, "A name, as messages address it")]
Role = Annotated[str, line(100, "What the contact is there for", examples=["accounts payable"])]
Address = Annotated[str, lines(1000, "The postal address, in lines")]
Website = Annotated[str, line(2000, "The customer's website, where research for a contact begins")]


class ContactBody(Body):
    """A person or desk at the customer; an email address, a telephone number, or both."""

    name: Name | None = None
    role: Role | None = None
    email: Email | None = None
    phone: Phone | None = None
    language: Tongue | None = None
    priority: int = Field(default=100, ge=1, le=1000, description="The lowest is tried first")

    @model_validator(mode="after")
    def _reaches_somebody(self) -> ContactBody:
        if self.email is None and self.phone is None:
            raise ValueError("a contact needs an email address or a telephone number")
        return self

    def new(self) -> NewContact:
        """For the ledger; what staff enters needs no approval."""
        return NewContact(
            name=self.name,
            role=self.role,
            email=self.email,
            phone=self.phone,
            language=self.language,
            source=ContactSource.STAFF,
            priority=self.priority,
        )


class CustomerBody(Body):
    """A customer."""

    code: Code
    name: Name
    language: Tongue = Language.INDONESIAN
    time_zone: ZoneName = "Asia/Jakarta"
    postal_address: Address | None = None
    website: Website | None = None
    policy: PolicyName | None = Field(
        default=None, description="The policy of this customer's invoices; else the default one"
    )
    contacts: list[ContactBody] = Field(default=[], max_length=50)

    def new(self) -> NewCustomer:
        """For the ledger."""
        return NewCustomer(
            code=self.code,
            name=self.name,
            language=self.language,
            time_zone=self.time_zone,
            postal_address=self.postal_address,
            website=self.website,
            policy_name=self.policy,
            contacts=tuple(contact.new() for contact in self.contacts),
        )


class CustomerChange(Body):
    """What is to change about a customer; null empties a field that may be empty."""

    name: Name | None = None
    language: Tongue | None = None
    time_zone: ZoneName | None = None
    postal_address: Address | None = None
    website: Website | None = None
    policy: PolicyName | None = None
    by: Person | None = None

    @model_validator(mode="after")
    def _keeps_what_must_be(self) -> CustomerChange:
        empty = [
            name
            for name in ("name", "language", "time_zone")
            if name in self.model_fields_set and not getattr(self, name)
        ]
        if empty:
            raise ValueError(f"{', '.join(empty)} cannot be empty: give a value, or leave it out")
        if not self.model_fields_set - {"by"}:
            raise ValueError("nothing would change: give at least one field")
        return self

    def changes(self) -> CustomerChanges:
        """For the ledger."""
        given = self.model_dump(exclude_unset=True, exclude={"by"})
        renamed = {"policy_name" if name == "policy" else name: value for name, value in given.items()}
        return cast(CustomerChanges, renamed)


class ContactChange(Body):
    """What is to be put right; a new address starts afresh, and a contact that was put right may be written to."""

    name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    by: Person | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> ContactChange:
        if self.name is None and self.email is None and self.phone is None:
            raise ValueError("nothing would change: give a name, an email address or a telephone number")
        return self


class ContactView(View):
    """A contact."""

    id: int
    name: str | None
    role: str | None
    email: str | None
    phone: str | None
    language: Language | None
    source: ContactSource
    approved: bool = Field(description="What research found is not written to until a person has approved it")
    email_state: AddressState
    phone_state: AddressState
    priority: int


class CustomerView(View):
    """A customer with its contacts, the first to be tried first."""

    code: str
    name: str
    language: Language
    time_zone: str
    postal_address: str | None
    website: str | None
    policy: str | None
    created_at: datetime
    contacts: list[ContactView]


class CustomerLine(View):
    """A customer in a list."""

    code: str
    name: str
    language: Language
    time_zone: str


class CustomerPage(View):
    """Customers by code."""

    customers: list[CustomerLine]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last")
