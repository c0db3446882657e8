"""What is owed and what was said: the record. It guesses nothing of what happens next; that is the workflow's."""
