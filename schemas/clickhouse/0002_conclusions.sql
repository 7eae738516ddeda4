-- What the worker concluded: customers as they are now, alerts and their messages, dead letters.

CREATE TABLE customer_states
(
    customer_id String COMMENT 'The customer',
    prospect Bool COMMENT 'No purchase yet',
    first_purchase_at Nullable(DateTime64(3, 'UTC')) COMMENT 'First purchase',
    last_purchase_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Last purchase',
    purchases UInt32 COMMENT 'Purchases, refunds not counted',
    refunds UInt32 COMMENT 'Refunds',
    incentivised UInt32 COMMENT 'Purchases with a coupon or discount',
    obligated UInt32 COMMENT 'Purchases under obligation',
    repeat_occasions UInt32 COMMENT 'x: days with a voluntary purchase after the first such day',
    recency_days UInt32 COMMENT 't_x: days from the first to the last voluntary purchase',
    spent Map(LowCardinality(String), Decimal(38, 4)) COMMENT 'Spent, by currency',
    refunded Map(LowCardinality(String), Decimal(38, 4)) COMMENT 'Refunded, by currency',
    channels Map(LowCardinality(String), UInt32) COMMENT 'Purchases by channel',
    categories Array(LowCardinality(String)) COMMENT 'Categories bought, the first 64',
    contact_events UInt32 COMMENT 'Stages of service contacts',
    open_issues UInt16 COMMENT 'Issues whose newest contact is not solved',
    survey_answers UInt32 COMMENT 'Survey answers',
    latest_nps Nullable(UInt8) COMMENT 'Newest recommendation score, 0 to 10',
    latest_ease Nullable(Float64) COMMENT 'Newest effort answer as ease, 0 to 1',
    open_alerts UInt16 COMMENT 'Alerts that wait for the desk',
    last_event_at DateTime64(3, 'UTC') COMMENT 'Newest event of any kind',
    events UInt32 COMMENT 'Events folded',
    synthetic_events UInt32 COMMENT 'Of these, generated ones',
    state String COMMENT 'The whole state as JSON, see customer_state.v1.json' CODEC(ZSTD(3)),
    deleted UInt8 COMMENT '1 when the customer was erased',
    _appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received the record' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Topic of the record',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record: with topic and partition the identity of the row' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_offset, deleted)
ORDER BY customer_id
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'The newest state of every customer; read the view customers';

CREATE VIEW customers AS
SELECT * EXCEPT (state, deleted, _appended_at, _topic, _partition, _offset)
FROM customer_states FINAL
COMMENT 'Every customer as they are now';

CREATE TABLE alert_messages
(
    alert_id String COMMENT 'Identity of the alert: a hash of rule, customer and issue',
    customer_id String COMMENT 'The customer',
    issue_id String COMMENT 'The issue',
    rule LowCardinality(String) COMMENT 'The rule that raised it',
    rule_version LowCardinality(String) COMMENT 'Version of its coefficients',
    transition LowCardinality(String) COMMENT 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    status LowCardinality(String) COMMENT 'open, resolved, closed or withdrawn',
    severity LowCardinality(String) COMMENT 'medium, high or critical',
    churn_risk_0_1 Float64 COMMENT 'Churn risk after the contact, 0 to 1',
    churn_risk_before_0_1 Float64 COMMENT 'Churn risk without the contact, 0 to 1',
    terms Array(LowCardinality(String)) COMMENT 'Terms of the score',
    logits Array(Float64) COMMENT 'What each term adds to the logit',
    reasons Array(String) COMMENT 'Why, in words',
    recommended_action String COMMENT 'What to do next',
    history String COMMENT 'The contacts about the issue in one line',
    contact_ids Array(String) COMMENT 'The contacts it rests on',
    caused_by_event String COMMENT 'The event that led to this message',
    raised_at DateTime64(3, 'UTC') COMMENT 'When the risk first crossed the threshold, in event time',
    occurred_at DateTime64(3, 'UTC') COMMENT 'Event time of this message',
    synthetic Bool COMMENT 'Rests on generated contacts',
    _appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received the record' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Topic of the record',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record: with topic and partition the identity of the row' CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYear(occurred_at)
ORDER BY (customer_id, alert_id, _offset)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Every message to the desk, in order';

CREATE TABLE alert_states
(
    alert_id String COMMENT 'Identity of the alert: a hash of rule, customer and issue',
    customer_id String COMMENT 'The customer',
    issue_id String COMMENT 'The issue',
    rule LowCardinality(String) COMMENT 'The rule that raised it',
    rule_version LowCardinality(String) COMMENT 'Version of its coefficients',
    transition LowCardinality(String) COMMENT 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    status LowCardinality(String) COMMENT 'open, resolved, closed or withdrawn',
    severity LowCardinality(String) COMMENT 'medium, high or critical',
    churn_risk_0_1 Float64 COMMENT 'Churn risk after the contact, 0 to 1',
    churn_risk_before_0_1 Float64 COMMENT 'Churn risk without the contact, 0 to 1',
    terms Array(LowCardinality(String)) COMMENT 'Terms of the score',
    logits Array(Float64) COMMENT 'What each term adds to the logit',
    reasons Array(String) COMMENT 'Why, in words',
    recommended_action String COMMENT 'What to do next',
    history String COMMENT 'The contacts about the issue in one line',
    contact_ids Array(String) COMMENT 'The contacts it rests on',
    caused_by_event String COMMENT 'The event that led to this message',
    raised_at DateTime64(3, 'UTC') COMMENT 'When the risk first crossed the threshold, in event time',
    occurred_at DateTime64(3, 'UTC') COMMENT 'Event time of this message',
    synthetic Bool COMMENT 'Rests on generated contacts',
    _appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received the record' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Topic of the record',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record: with topic and partition the identity of the row' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_offset)
ORDER BY (customer_id, alert_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'The newest message of every alert; read the view alerts';

CREATE VIEW alerts AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset), _appended_at AS told_at
FROM alert_states FINAL
WHERE status != 'withdrawn'
COMMENT 'Every alert as it stands now';

CREATE TABLE dead_letters
(
    source_topic LowCardinality(String) COMMENT 'Topic the record came from',
    source_partition UInt16 COMMENT 'Its partition',
    source_offset UInt64 COMMENT 'Its offset',
    source_appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received it',
    reason LowCardinality(String) COMMENT 'Why it was rejected, from a closed list',
    detail String COMMENT 'Which field and which rule; never the value',
    version LowCardinality(String) COMMENT 'Version of the program that rejected it',
    key String COMMENT 'The original key',
    value String COMMENT 'The original bytes' CODEC(ZSTD(3)),
    _appended_at DateTime64(3, 'UTC') COMMENT 'When the broker received the record' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Topic of the record',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record: with topic and partition the identity of the row' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_offset)
ORDER BY (source_topic, source_partition, source_offset)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Records that could not be used; read with FINAL';
