"""ClickHouse: client, migrations, backfill of views, dictionary and picture of the tables, recorded model versions."""
