"""Pages that a customer sees behind a signed link; server-rendered, without a script."""
