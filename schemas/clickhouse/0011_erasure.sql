-- Erasure: who must not come back, and the receipts. Neither holds the id of a customer.

CREATE TABLE suppressions
(
    customer_sha256 String COMMENT 'SHA-256 of the id of the customer who was erased, in hexadecimal',
    suppressed_at DateTime64(3, 'UTC') COMMENT 'When they were put on the list; 1970 where the entry cannot be read',
    reason LowCardinality(String) COMMENT 'Why, as a code',
    receipt_id String COMMENT 'The receipt of the erasure',
    _appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received the record' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Topic of the record',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record: with topic and partition the identity of the row' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_offset)
ORDER BY (customer_sha256, _partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Customers who were erased; every entry stands there once for each partition of its topic';

CREATE TABLE erasures
(
    receipt_id String COMMENT 'The receipt: a hash of the customer''s id',
    suppressed_at DateTime64(3, 'UTC') COMMENT 'When the customer was put on the list of erased ones',
    reason LowCardinality(String) COMMENT 'Why, as a code',
    place String COMMENT 'Where something was found: a table, or a topic',
    found UInt64 COMMENT 'Rows or records found there',
    left UInt64 COMMENT 'Of these, still there when this was noted',
    noted_at DateTime64(3, 'UTC') COMMENT 'When this was noted; a receipt has the most that was found and the last that was left'
)
ENGINE = MergeTree
ORDER BY (receipt_id, place, noted_at)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'What every erasure found and left';
