"""What is kept: PostgreSQL for runs, documents, source positions, revisions and dead letters; files for their rows."""
