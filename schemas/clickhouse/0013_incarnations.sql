-- Topics that were deleted and made again, and records that left their topic before they were stored.

CREATE TABLE topic_incarnations
(
    topic LowCardinality(String) COMMENT 'The topic, by its name',
    number UInt32 COMMENT 'How many topics of that name there were before; _offset is the broker''s offset plus 2^40 times this',
    topic_id String COMMENT 'What the broker calls it, in base 64',
    noted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When a sink first wrote of it'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, number)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Which topics the rows come from: one that was deleted and made again is another one';

CREATE TABLE log_gaps
(
    reader LowCardinality(String) COMMENT 'Who had not read the records: worker (the states lack them) or sink (the tables do)',
    topic LowCardinality(String) COMMENT 'Their topic',
    partition UInt16 COMMENT 'Their partition',
    first UInt64 COMMENT 'Offset of the first of them, counted as _offset',
    below UInt64 COMMENT 'Offset behind the last of them',
    accepted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When an operator went on without them'
)
ENGINE = ReplacingMergeTree(accepted_at)
ORDER BY (reader, topic, partition, first)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Records that left their topic before they were read, and were given up';
