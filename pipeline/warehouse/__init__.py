"""ClickHouse: the client, the schema and its migrations, what was there before a view, versions on record."""
