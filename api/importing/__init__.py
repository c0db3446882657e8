"""Open invoices from another system, as a CSV file: read, checked row by row, and issued through the API.

    source.py    bytes become records: encoding, delimiter, quotes, limits
    columns.py   which column means what
    amounts.py   decimal comma or decimal point, decided for the whole file
    dates.py     day or month first, decided for the whole file
    contacts.py  emails, phone numbers, time zones, customer codes
    model.py     what a file says, and what a person says about it
    row.py       one record with its cells by field
    rows.py      a record becomes an open invoice, or a reason why not
    load.py      invoices go to the API, several at once; safe to run again
    report.py    what was not taken, as a CSV file that can be put right and imported itself

Everything but `load.py` and `report.py` is pure. What holds for the whole file and cannot be decided from it (a
separator, a day that may be a month) stops the import before anything is issued; what is wrong with one row rejects
that row.
"""
