"""Payment providers: what they tell us (a module per dialect, pure) and what we ask of them (a client each)."""
