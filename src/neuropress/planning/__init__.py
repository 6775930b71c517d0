"""From tables and raw headers to plans: which targets there are, what each will hold, what is stale."""
