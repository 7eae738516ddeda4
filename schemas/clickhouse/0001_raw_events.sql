-- Raw events: one row per accepted record of the four input topics.
-- A year per partition: with event times from 1970 to tomorrow no insert can touch the 100 partitions at which it would fail.

CREATE TABLE raw_purchases
(
    event_id String COMMENT 'Identity of the event, given by its producer',
    customer_id String COMMENT 'The customer',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the source' CODEC(Delta, ZSTD(1)),
    order_id String COMMENT 'The order',
    amount Decimal(18, 4) COMMENT 'What was paid; negative for a refund',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    categories Array(LowCardinality(String)) COMMENT 'Category of each line',
    quantities Array(UInt32) COMMENT 'Quantity of each line',
    incentivised Bool COMMENT 'Bought with a coupon or discount',
    obligated Bool COMMENT 'Bought under obligation, such as a renewal: no evidence of loyalty',
    refund_of String COMMENT 'The order a refund refers to, empty for a purchase',
    source LowCardinality(String) COMMENT 'The system the event comes from, empty when it did not say',
    synthetic Bool COMMENT 'Generated, not observed',
    raw String COMMENT 'The original bytes when they hold fields the contract does not know; empty otherwise' CODEC(ZSTD(3)),
    _appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received the record' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Topic of the record',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record: with topic and partition the identity of the row' CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYear(occurred_at)
ORDER BY (customer_id, occurred_at, event_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Purchases and refunds; one row per record of the log, so an event that was produced twice stands here twice';

CREATE VIEW purchases AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM (SELECT * FROM raw_purchases ORDER BY _offset LIMIT 1 BY customer_id, event_id)
COMMENT 'Purchases and refunds, each event once';

CREATE TABLE raw_service_contacts
(
    event_id String COMMENT 'Identity of the event, given by its producer',
    customer_id String COMMENT 'The customer',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the source' CODEC(Delta, ZSTD(1)),
    contact_id String COMMENT 'The contact; its stages share it',
    issue_id String COMMENT 'The issue; contacts about the same problem share it',
    stage LowCardinality(String) COMMENT 'opened, updated or resolved',
    opened_at DateTime64(3, 'UTC') COMMENT 'When the contact began',
    closed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the contact ended',
    channel LowCardinality(String) COMMENT 'How the customer reached us',
    kind LowCardinality(String) COMMENT 'complaint, question, repair, cancellation or information',
    origin LowCardinality(String) COMMENT 'Where the problem comes from',
    resolved Bool COMMENT 'Solved, as the agent sees it',
    waiting_seconds Float64 COMMENT 'How long the customer waited',
    transfers UInt32 COMMENT 'How often the customer was passed on',
    promised_callback_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a call back was promised for',
    self_service_first Bool COMMENT 'The customer tried to help themselves first',
    information_repeated Bool COMMENT 'The customer had to say it again',
    source LowCardinality(String) COMMENT 'The system the event comes from, empty when it did not say',
    synthetic Bool COMMENT 'Generated, not observed',
    raw String COMMENT 'The original bytes when they hold fields the contract does not know; empty otherwise' CODEC(ZSTD(3)),
    _appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received the record' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Topic of the record',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record: with topic and partition the identity of the row' CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYear(occurred_at)
ORDER BY (customer_id, occurred_at, event_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Stages of service contacts; one row per record of the log, so an event that was produced twice stands here twice';

CREATE VIEW service_contacts AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM (SELECT * FROM raw_service_contacts ORDER BY _offset LIMIT 1 BY customer_id, event_id)
COMMENT 'Stages of service contacts, each event once';

CREATE TABLE raw_survey_responses
(
    event_id String COMMENT 'Identity of the event, given by its producer',
    customer_id String COMMENT 'The customer',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the source' CODEC(Delta, ZSTD(1)),
    instrument LowCardinality(String) COMMENT 'nps, ces1, ces2, csat or repurchase_intent',
    score UInt8 COMMENT 'The answer',
    scale_min UInt8 COMMENT 'Lowest possible answer',
    scale_max UInt8 COMMENT 'Highest possible answer',
    question_version LowCardinality(String) COMMENT 'Version of the question, empty when not stated',
    verbatim String COMMENT 'What the customer wrote' CODEC(ZSTD(3)),
    contact_id String COMMENT 'The contact it refers to, or empty',
    order_id String COMMENT 'The order it refers to, or empty',
    source LowCardinality(String) COMMENT 'The system the event comes from, empty when it did not say',
    synthetic Bool COMMENT 'Generated, not observed',
    raw String COMMENT 'The original bytes when they hold fields the contract does not know; empty otherwise' CODEC(ZSTD(3)),
    _appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received the record' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Topic of the record',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record: with topic and partition the identity of the row' CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYear(occurred_at)
ORDER BY (customer_id, occurred_at, event_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Survey answers; one row per record of the log, so an event that was produced twice stands here twice';

CREATE VIEW survey_responses AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM (SELECT * FROM raw_survey_responses ORDER BY _offset LIMIT 1 BY customer_id, event_id)
COMMENT 'Survey answers, each event once';

CREATE TABLE raw_alert_outcomes
(
    event_id String COMMENT 'Identity of the event, given by its producer',
    customer_id String COMMENT 'The customer',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the source' CODEC(Delta, ZSTD(1)),
    alert_id String COMMENT 'The alert',
    action LowCardinality(String) COMMENT 'What the desk did',
    result LowCardinality(String) COMMENT 'What came of it',
    desk LowCardinality(String) COMMENT 'Which desk, empty when not stated',
    note String COMMENT 'A note of the desk' CODEC(ZSTD(3)),
    source LowCardinality(String) COMMENT 'The system the event comes from, empty when it did not say',
    synthetic Bool COMMENT 'Generated, not observed',
    raw String COMMENT 'The original bytes when they hold fields the contract does not know; empty otherwise' CODEC(ZSTD(3)),
    _appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received the record' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Topic of the record',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record: with topic and partition the identity of the row' CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYear(occurred_at)
ORDER BY (customer_id, occurred_at, event_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'What desks did about alerts; one row per record of the log, so an event that was produced twice stands here twice';

CREATE VIEW alert_outcomes AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM (SELECT * FROM raw_alert_outcomes ORDER BY _offset LIMIT 1 BY customer_id, event_id)
COMMENT 'What desks did about alerts, each event once';
