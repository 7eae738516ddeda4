"""Facts are kept: topics into ClickHouse. The only importer of the ClickHouse driver."""
