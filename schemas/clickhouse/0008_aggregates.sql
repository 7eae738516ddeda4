-- Aggregates by day, exact under retries and under events that were produced twice.
--
-- Three layers:
-- 1. `..._daily`: what was inserted, per record. Fed by materialized views; every target remembers tokens, so that a
--    batch that is written again counts once.
-- 2. `found_repeats_of_...`: records that repeat an earlier event (same customer, same event id, higher offset). The
--    sink looks for them once a minute and writes down in `repeats_searched` how far it looked.
--    `new_repeats_of_...` finds, at query time, those beyond that; `repeats_of_...` is both.
-- 3. `..._by_day`: what analysts read, aggregate minus repeats: every event once, at any moment, as its first record
--    told it. A batch that is being written this very moment may be in the raw table and not yet in the aggregate.
--
-- Two records are taken for the same event when customer and a 64-bit hash of customer and event id agree. That two
-- different events of one customer do is a chance of 5e-20 per pair; before a repeat is written down, the ids
-- themselves are compared.
--
-- A materialized view says what its columns mean when it is created, never by ALTER: until the next start of the server
-- an altered view derives other tokens, and a batch that is repeated after it would count twice.
--
-- Filling from rows that are there already is no statement here: whoever applies a migration fills the target of
-- every new materialized view through the view's own query.

CREATE TABLE repeats_searched
(
    `table` LowCardinality(String) COMMENT 'The table of records',
    topic LowCardinality(String) COMMENT 'Topic of the records',
    partition UInt16 COMMENT 'Partition of the records',
    below UInt64 COMMENT 'Repeats below this offset are found',
    searched_at DateTime('UTC') DEFAULT now('UTC') COMMENT 'When that was done'
)
ENGINE = ReplacingMergeTree(below)
ORDER BY (`table`, topic, partition)
COMMENT 'How far repeated records were looked for; read the highest offset of each partition';

-- 1. What identifies an event, in a column that is quick to look through.

ALTER TABLE raw_purchases
    ADD COLUMN IF NOT EXISTS _event UInt64 MATERIALIZED cityHash64(customer_id, event_id) COMMENT 'Hash of what identifies the event; a record with the hash of an earlier one repeats it' CODEC(NONE);

ALTER TABLE raw_service_contacts
    ADD COLUMN IF NOT EXISTS _event UInt64 MATERIALIZED cityHash64(customer_id, event_id) COMMENT 'Hash of what identifies the event; a record with the hash of an earlier one repeats it' CODEC(NONE);

ALTER TABLE raw_survey_responses
    ADD COLUMN IF NOT EXISTS _event UInt64 MATERIALIZED cityHash64(customer_id, event_id) COMMENT 'Hash of what identifies the event; a record with the hash of an earlier one repeats it' CODEC(NONE);

ALTER TABLE raw_alert_outcomes
    ADD COLUMN IF NOT EXISTS _event UInt64 MATERIALIZED cityHash64(customer_id, event_id) COMMENT 'Hash of what identifies the event; a record with the hash of an earlier one repeats it' CODEC(NONE);

ALTER TABLE alert_messages
    ADD COLUMN IF NOT EXISTS _event UInt64 MATERIALIZED cityHash64(alert_id, transition, status, severity, caused_by_event, occurred_at) COMMENT 'Hash of what identifies the message; a record with the hash of an earlier one repeats it' CODEC(NONE);

ALTER TABLE raw_purchases MATERIALIZE COLUMN _event;

ALTER TABLE raw_service_contacts MATERIALIZE COLUMN _event;

ALTER TABLE raw_survey_responses MATERIALIZE COLUMN _event;

ALTER TABLE raw_alert_outcomes MATERIALIZE COLUMN _event;

ALTER TABLE alert_messages MATERIALIZE COLUMN _event;

-- 2. Targets, and the materialized views that feed them.

CREATE TABLE sales_daily
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    records SimpleAggregateFunction(sum, Int64) COMMENT 'Records of the log: the sum over a table is the number of its raw rows',
    purchases SimpleAggregateFunction(sum, Int64) COMMENT 'Purchases',
    refunds SimpleAggregateFunction(sum, Int64) COMMENT 'Refunds',
    spent SimpleAggregateFunction(sum, Decimal(38, 4)) COMMENT 'Sum of purchases',
    refunded SimpleAggregateFunction(sum, Decimal(38, 4)) COMMENT 'Sum of refunds, as a positive amount',
    customers AggregateFunction(uniqExact, String) COMMENT 'Customers who bought: a state, read with uniqExactMerge'
)
ENGINE = AggregatingMergeTree
ORDER BY (day, channel, currency)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Sales by day, channel and currency, per record; read sales_by_day';

CREATE MATERIALIZED VIEW sales_daily_fed TO sales_daily
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    records UInt64 COMMENT 'Records of the log: the sum over a table is the number of its raw rows',
    purchases UInt64 COMMENT 'Purchases',
    refunds UInt64 COMMENT 'Refunds',
    spent Decimal(38, 4) COMMENT 'Sum of purchases',
    refunded Decimal(38, 4) COMMENT 'Sum of refunds, as a positive amount',
    customers AggregateFunction(uniqExact, String) COMMENT 'Customers who bought: a state, read with uniqExactMerge'
)
AS
SELECT
    toDate(occurred_at) AS day,
    channel,
    currency,
    count() AS records,
    countIf(refund_of = '') AS purchases,
    countIf(refund_of != '') AS refunds,
    sumIf(amount, refund_of = '') AS spent,
    -sumIf(amount, refund_of != '') AS refunded,
    uniqExactStateIf(customer_id, refund_of = '') AS customers
FROM raw_purchases
GROUP BY day, channel, currency
COMMENT 'Feeds sales_daily';

CREATE TABLE sales_daily_by_category
(
    day Date COMMENT 'Day of the event, UTC',
    category LowCardinality(String) COMMENT 'Category, empty when the purchase names none',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    records SimpleAggregateFunction(sum, Int64) COMMENT 'Records of the log, each counted in its first category only: the sum over the table is the number of raw rows',
    purchases SimpleAggregateFunction(sum, Int64) COMMENT 'Purchases with this category',
    refunds SimpleAggregateFunction(sum, Int64) COMMENT 'Refunds with this category',
    items SimpleAggregateFunction(sum, Int64) COMMENT 'Quantity in purchases',
    spent SimpleAggregateFunction(sum, Decimal(38, 4)) COMMENT 'Whole amount of the purchases with this category: it cannot be added up over categories',
    refunded SimpleAggregateFunction(sum, Decimal(38, 4)) COMMENT 'Whole amount of the refunds with this category, positive: it cannot be added up either',
    customers AggregateFunction(uniqExact, String) COMMENT 'Customers who bought the category: a state, read with uniqExactMerge'
)
ENGINE = AggregatingMergeTree
ORDER BY (day, category, channel, currency)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Sales by day, category, channel and currency, per record; read sales_by_day_and_category';

CREATE MATERIALIZED VIEW sales_daily_by_category_fed TO sales_daily_by_category
(
    day Date COMMENT 'Day of the event, UTC',
    category String COMMENT 'Category, empty when the purchase names none',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    records UInt64 COMMENT 'Records of the log, each counted in its first category only: the sum over the table is the number of raw rows',
    purchases UInt64 COMMENT 'Purchases with this category',
    refunds UInt64 COMMENT 'Refunds with this category',
    items Int64 COMMENT 'Quantity in purchases',
    spent Decimal(38, 4) COMMENT 'Whole amount of the purchases with this category: it cannot be added up over categories',
    refunded Decimal(38, 4) COMMENT 'Whole amount of the refunds with this category, positive: it cannot be added up either',
    customers AggregateFunction(uniqExact, String) COMMENT 'Customers who bought the category: a state, read with uniqExactMerge'
)
AS
SELECT
    toDate(occurred_at) AS day,
    category,
    channel,
    currency,
    countIf(place = 1) AS records,
    countIf(refund_of = '') AS purchases,
    countIf(refund_of != '') AS refunds,
    sumIf(arraySum(arrayMap((c, q) -> if(c = category, toInt64(q), 0), categories, quantities)), refund_of = '') AS items,
    sumIf(amount, refund_of = '') AS spent,
    -sumIf(amount, refund_of != '') AS refunded,
    uniqExactStateIf(customer_id, refund_of = '') AS customers
FROM raw_purchases
ARRAY JOIN if(empty(categories), [''], arrayDistinct(categories)) AS category, arrayEnumerate(if(empty(categories), [''], arrayDistinct(categories))) AS place
GROUP BY day, category, channel, currency
COMMENT 'Feeds sales_daily_by_category';

CREATE TABLE contacts_daily
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'How the customer reached us',
    origin LowCardinality(String) COMMENT 'Where the problem comes from',
    kind LowCardinality(String) COMMENT 'complaint, question, repair, cancellation or information',
    stage LowCardinality(String) COMMENT 'opened, updated or resolved',
    records SimpleAggregateFunction(sum, Int64) COMMENT 'Records of the log: the sum over a table is the number of its raw rows',
    resolved SimpleAggregateFunction(sum, Int64) COMMENT 'Of these, solved as the agent sees it',
    waiting_ms SimpleAggregateFunction(sum, Int64) COMMENT 'Waiting, milliseconds',
    transfers SimpleAggregateFunction(sum, Int64) COMMENT 'Times passed on',
    information_repeated SimpleAggregateFunction(sum, Int64) COMMENT 'Records in which the customer had to say it again',
    self_service_first SimpleAggregateFunction(sum, Int64) COMMENT 'Records in which the customer had tried to help themselves'
)
ENGINE = AggregatingMergeTree
ORDER BY (day, channel, origin, kind, stage)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Stages of contacts by day, channel, origin, kind and stage, per record; read contacts_by_day';

CREATE MATERIALIZED VIEW contacts_daily_fed TO contacts_daily
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'How the customer reached us',
    origin LowCardinality(String) COMMENT 'Where the problem comes from',
    kind LowCardinality(String) COMMENT 'complaint, question, repair, cancellation or information',
    stage LowCardinality(String) COMMENT 'opened, updated or resolved',
    records UInt64 COMMENT 'Records of the log: the sum over a table is the number of its raw rows',
    resolved UInt64 COMMENT 'Of these, solved as the agent sees it',
    waiting_ms Int64 COMMENT 'Waiting, milliseconds',
    transfers Int64 COMMENT 'Times passed on',
    information_repeated UInt64 COMMENT 'Records in which the customer had to say it again',
    self_service_first UInt64 COMMENT 'Records in which the customer had tried to help themselves'
)
AS
SELECT
    toDate(occurred_at) AS day,
    channel,
    origin,
    kind,
    stage,
    count() AS records,
    countIf(resolved) AS resolved,
    sum(toInt64(round(waiting_seconds * 1000))) AS waiting_ms,
    sum(toInt64(transfers)) AS transfers,
    countIf(information_repeated) AS information_repeated,
    countIf(self_service_first) AS self_service_first
FROM raw_service_contacts
GROUP BY day, channel, origin, kind, stage
COMMENT 'Feeds contacts_daily';

CREATE TABLE survey_answers_daily
(
    day Date COMMENT 'Day of the event, UTC',
    instrument LowCardinality(String) COMMENT 'nps, ces1, ces2, csat or repurchase_intent',
    question_version LowCardinality(String) COMMENT 'Version of the question, empty when not stated',
    scale_min UInt8 COMMENT 'Lowest possible answer',
    scale_max UInt8 COMMENT 'Highest possible answer',
    touchpoint LowCardinality(String) COMMENT 'What it refers to: contact, order or none',
    score UInt8 COMMENT 'The answer',
    records SimpleAggregateFunction(sum, Int64) COMMENT 'Records of the log: the sum over a table is the number of its raw rows'
)
ENGINE = AggregatingMergeTree
ORDER BY (day, instrument, question_version, scale_min, scale_max, touchpoint, score)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Survey answers by day, question, touchpoint and score, per record; read survey_answers_by_day';

CREATE MATERIALIZED VIEW survey_answers_daily_fed TO survey_answers_daily
(
    day Date COMMENT 'Day of the event, UTC',
    instrument LowCardinality(String) COMMENT 'nps, ces1, ces2, csat or repurchase_intent',
    question_version LowCardinality(String) COMMENT 'Version of the question, empty when not stated',
    scale_min UInt8 COMMENT 'Lowest possible answer',
    scale_max UInt8 COMMENT 'Highest possible answer',
    touchpoint String COMMENT 'What it refers to: contact, order or none',
    score UInt8 COMMENT 'The answer',
    records UInt64 COMMENT 'Records of the log: the sum over a table is the number of its raw rows'
)
AS
SELECT
    toDate(occurred_at) AS day,
    instrument,
    question_version,
    scale_min,
    scale_max,
    multiIf(contact_id != '', 'contact', order_id != '', 'order', 'none') AS touchpoint,
    score,
    count() AS records
FROM raw_survey_responses
GROUP BY day, instrument, question_version, scale_min, scale_max, touchpoint, score
COMMENT 'Feeds survey_answers_daily';

CREATE TABLE outcomes_daily
(
    day Date COMMENT 'Day of the event, UTC',
    action LowCardinality(String) COMMENT 'What the desk did',
    result LowCardinality(String) COMMENT 'What came of it',
    desk LowCardinality(String) COMMENT 'Which desk, empty when not stated',
    records SimpleAggregateFunction(sum, Int64) COMMENT 'Records of the log: the sum over a table is the number of its raw rows'
)
ENGINE = AggregatingMergeTree
ORDER BY (day, action, result, desk)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Outcomes by day, action, result and desk, per record; read outcomes_by_day';

CREATE MATERIALIZED VIEW outcomes_daily_fed TO outcomes_daily
(
    day Date COMMENT 'Day of the event, UTC',
    action LowCardinality(String) COMMENT 'What the desk did',
    result LowCardinality(String) COMMENT 'What came of it',
    desk LowCardinality(String) COMMENT 'Which desk, empty when not stated',
    records UInt64 COMMENT 'Records of the log: the sum over a table is the number of its raw rows'
)
AS
SELECT
    toDate(occurred_at) AS day,
    action,
    result,
    desk,
    count() AS records
FROM raw_alert_outcomes
GROUP BY day, action, result, desk
COMMENT 'Feeds outcomes_daily';

CREATE TABLE alerts_daily
(
    day Date COMMENT 'Day of the message in event time, UTC',
    rule LowCardinality(String) COMMENT 'The rule that raised it',
    transition LowCardinality(String) COMMENT 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    severity LowCardinality(String) COMMENT 'medium, high or critical',
    held_out Bool COMMENT 'Nobody acts on it, to measure what acting does',
    backfill Bool COMMENT 'For the record, not for the desk: the issue is known from imported history only',
    records SimpleAggregateFunction(sum, Int64) COMMENT 'Records of the log: the sum over a table is the number of its raw rows'
)
ENGINE = AggregatingMergeTree
ORDER BY (day, rule, transition, severity, held_out, backfill)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Messages to the desk by day, rule, transition and severity, per record; read alerts_by_day';

CREATE MATERIALIZED VIEW alerts_daily_fed TO alerts_daily
(
    day Date COMMENT 'Day of the message in event time, UTC',
    rule LowCardinality(String) COMMENT 'The rule that raised it',
    transition LowCardinality(String) COMMENT 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    severity LowCardinality(String) COMMENT 'medium, high or critical',
    held_out Bool COMMENT 'Nobody acts on it, to measure what acting does',
    backfill Bool COMMENT '',
    records UInt64 COMMENT 'Records of the log: the sum over a table is the number of its raw rows'
)
AS
SELECT
    toDate(occurred_at) AS day,
    rule,
    transition,
    severity,
    held_out,
    backfill,
    count() AS records
FROM alert_messages
GROUP BY day, rule, transition, severity, held_out, backfill
COMMENT 'Feeds alerts_daily';

-- 3. Repeated records.

CREATE TABLE found_repeats_of_purchases
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    refund Bool COMMENT 'A refund, no purchase',
    amount Decimal(18, 4) COMMENT 'What was paid; negative for a refund',
    categories Array(LowCardinality(String)) COMMENT 'Category of each line',
    quantities Array(UInt32) COMMENT 'Quantity of each line',
    contradicts Bool COMMENT 'Differs from the first record of the event in day, channel, currency, kind or categories',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'Identity of the event',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset)
COMMENT 'Repeated records among purchases and refunds, up to where they were looked for; a line that stands there twice means the same';

CREATE VIEW new_repeats_of_purchases
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    refund Bool COMMENT 'A refund, no purchase',
    amount Decimal(18, 4) COMMENT 'What was paid; negative for a refund',
    categories Array(LowCardinality(String)) COMMENT 'Category of each line',
    quantities Array(UInt32) COMMENT 'Quantity of each line',
    contradicts Bool COMMENT 'Differs from the first record of the event in day, channel, currency, kind or categories',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'Identity of the event',
    same Bool COMMENT 'The ids themselves agree, not only their hash',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH
    (
        SELECT (groupArray(partition), groupArray(reached))
        FROM (SELECT partition, max(below) AS reached FROM repeats_searched WHERE `table` = 'raw_purchases' GROUP BY partition)
    ) AS searched,
    _offset >= transform(_partition, searched.1, searched.2, toUInt64(0)) AS beyond
SELECT
    day, channel, currency, refund, amount, categories, quantities,
    (day, channel, currency, refund, arraySort(arrayDistinct(categories))) != told_first AS contradicts,
    customer_id,
    event_id,
    same,
    _partition,
    _offset
FROM
(
    SELECT
        toDate(occurred_at) AS day,
        channel,
        currency,
        refund_of != '' AS refund,
        amount,
        categories,
        quantities,
        customer_id,
        event_id,
        event_id = first_value(event_id) OVER event AS same,
        row_number() OVER event AS nth,
        _partition,
        _offset,
        first_value((toDate(occurred_at), channel, currency, refund_of != '', arraySort(arrayDistinct(categories)))) OVER event AS told_first
    FROM raw_purchases
    WHERE _event IN
    (
        SELECT _event FROM raw_purchases
        WHERE _event IN (SELECT _event FROM raw_purchases WHERE beyond)
        GROUP BY _event HAVING count() > 1
    )
    WINDOW event AS (PARTITION BY customer_id, _event ORDER BY _offset)
)
WHERE nth > 1 AND beyond
COMMENT 'Repeated records among purchases and refunds beyond where they were looked for, found at query time';

CREATE VIEW repeats_of_purchases
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    refund Bool COMMENT 'A refund, no purchase',
    amount Decimal(18, 4) COMMENT 'What was paid; negative for a refund',
    categories Array(LowCardinality(String)) COMMENT 'Category of each line',
    quantities Array(UInt32) COMMENT 'Quantity of each line',
    contradicts Bool COMMENT 'Differs from the first record of the event in day, channel, currency, kind or categories',
    customer_id String COMMENT 'The customer',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH (SELECT groupArray((day, channel, currency, refund, amount, categories, quantities, contradicts, customer_id, _partition, _offset)) FROM new_repeats_of_purchases) AS beyond
SELECT day, channel, currency, refund, amount, categories, quantities, contradicts, customer_id, _partition, _offset
FROM
(
    SELECT day, channel, currency, refund, amount, categories, quantities, contradicts, customer_id, _partition, _offset FROM found_repeats_of_purchases
    UNION ALL
    SELECT record.1, record.2, record.3, record.4, record.5, record.6, record.7, record.8, record.9, record.10, record.11 FROM (SELECT arrayJoin(beyond) AS record)
)
LIMIT 1 BY _partition, _offset
COMMENT 'Repeated records among purchases and refunds, all of them, each once';

CREATE TABLE found_repeats_of_service_contacts
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'How the customer reached us',
    origin LowCardinality(String) COMMENT 'Where the problem comes from',
    kind LowCardinality(String) COMMENT 'complaint, question, repair, cancellation or information',
    stage LowCardinality(String) COMMENT 'opened, updated or resolved',
    resolved Bool COMMENT 'Solved, as the agent sees it',
    waiting_ms Int64 COMMENT 'How long the customer waited, milliseconds',
    transfers UInt32 COMMENT 'How often the customer was passed on',
    information_repeated Bool COMMENT 'The customer had to say it again',
    self_service_first Bool COMMENT 'The customer tried to help themselves first',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'Identity of the event',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset)
COMMENT 'Repeated records among stages of service contacts, up to where they were looked for; a line that stands there twice means the same';

CREATE VIEW new_repeats_of_service_contacts
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'How the customer reached us',
    origin LowCardinality(String) COMMENT 'Where the problem comes from',
    kind LowCardinality(String) COMMENT 'complaint, question, repair, cancellation or information',
    stage LowCardinality(String) COMMENT 'opened, updated or resolved',
    resolved Bool COMMENT 'Solved, as the agent sees it',
    waiting_ms Int64 COMMENT 'How long the customer waited, milliseconds',
    transfers UInt32 COMMENT 'How often the customer was passed on',
    information_repeated Bool COMMENT 'The customer had to say it again',
    self_service_first Bool COMMENT 'The customer tried to help themselves first',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'Identity of the event',
    same Bool COMMENT 'The ids themselves agree, not only their hash',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH
    (
        SELECT (groupArray(partition), groupArray(reached))
        FROM (SELECT partition, max(below) AS reached FROM repeats_searched WHERE `table` = 'raw_service_contacts' GROUP BY partition)
    ) AS searched,
    _offset >= transform(_partition, searched.1, searched.2, toUInt64(0)) AS beyond
SELECT
    day, channel, origin, kind, stage, resolved, waiting_ms, transfers, information_repeated, self_service_first,
    customer_id,
    event_id,
    same,
    _partition,
    _offset
FROM
(
    SELECT
        toDate(occurred_at) AS day,
        channel,
        origin,
        kind,
        stage,
        resolved,
        toInt64(round(waiting_seconds * 1000)) AS waiting_ms,
        transfers,
        information_repeated,
        self_service_first,
        customer_id,
        event_id,
        event_id = first_value(event_id) OVER event AS same,
        row_number() OVER event AS nth,
        _partition,
        _offset
    FROM raw_service_contacts
    WHERE _event IN
    (
        SELECT _event FROM raw_service_contacts
        WHERE _event IN (SELECT _event FROM raw_service_contacts WHERE beyond)
        GROUP BY _event HAVING count() > 1
    )
    WINDOW event AS (PARTITION BY customer_id, _event ORDER BY _offset)
)
WHERE nth > 1 AND beyond
COMMENT 'Repeated records among stages of service contacts beyond where they were looked for, found at query time';

CREATE VIEW repeats_of_service_contacts
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'How the customer reached us',
    origin LowCardinality(String) COMMENT 'Where the problem comes from',
    kind LowCardinality(String) COMMENT 'complaint, question, repair, cancellation or information',
    stage LowCardinality(String) COMMENT 'opened, updated or resolved',
    resolved Bool COMMENT 'Solved, as the agent sees it',
    waiting_ms Int64 COMMENT 'How long the customer waited, milliseconds',
    transfers UInt32 COMMENT 'How often the customer was passed on',
    information_repeated Bool COMMENT 'The customer had to say it again',
    self_service_first Bool COMMENT 'The customer tried to help themselves first',
    customer_id String COMMENT 'The customer',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH (SELECT groupArray((day, channel, origin, kind, stage, resolved, waiting_ms, transfers, information_repeated, self_service_first, customer_id, _partition, _offset)) FROM new_repeats_of_service_contacts) AS beyond
SELECT day, channel, origin, kind, stage, resolved, waiting_ms, transfers, information_repeated, self_service_first, customer_id, _partition, _offset
FROM
(
    SELECT day, channel, origin, kind, stage, resolved, waiting_ms, transfers, information_repeated, self_service_first, customer_id, _partition, _offset FROM found_repeats_of_service_contacts
    UNION ALL
    SELECT record.1, record.2, record.3, record.4, record.5, record.6, record.7, record.8, record.9, record.10, record.11, record.12, record.13 FROM (SELECT arrayJoin(beyond) AS record)
)
LIMIT 1 BY _partition, _offset
COMMENT 'Repeated records among stages of service contacts, all of them, each once';

CREATE TABLE found_repeats_of_survey_responses
(
    day Date COMMENT 'Day of the event, UTC',
    instrument LowCardinality(String) COMMENT 'nps, ces1, ces2, csat or repurchase_intent',
    question_version LowCardinality(String) COMMENT 'Version of the question, empty when not stated',
    scale_min UInt8 COMMENT 'Lowest possible answer',
    scale_max UInt8 COMMENT 'Highest possible answer',
    touchpoint LowCardinality(String) COMMENT 'What it refers to: contact, order or none',
    score UInt8 COMMENT 'The answer',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'Identity of the event',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset)
COMMENT 'Repeated records among survey answers, up to where they were looked for; a line that stands there twice means the same';

CREATE VIEW new_repeats_of_survey_responses
(
    day Date COMMENT 'Day of the event, UTC',
    instrument LowCardinality(String) COMMENT 'nps, ces1, ces2, csat or repurchase_intent',
    question_version LowCardinality(String) COMMENT 'Version of the question, empty when not stated',
    scale_min UInt8 COMMENT 'Lowest possible answer',
    scale_max UInt8 COMMENT 'Highest possible answer',
    touchpoint LowCardinality(String) COMMENT 'What it refers to: contact, order or none',
    score UInt8 COMMENT 'The answer',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'Identity of the event',
    same Bool COMMENT 'The ids themselves agree, not only their hash',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH
    (
        SELECT (groupArray(partition), groupArray(reached))
        FROM (SELECT partition, max(below) AS reached FROM repeats_searched WHERE `table` = 'raw_survey_responses' GROUP BY partition)
    ) AS searched,
    _offset >= transform(_partition, searched.1, searched.2, toUInt64(0)) AS beyond
SELECT
    day, instrument, question_version, scale_min, scale_max, touchpoint, score,
    customer_id,
    event_id,
    same,
    _partition,
    _offset
FROM
(
    SELECT
        toDate(occurred_at) AS day,
        instrument,
        question_version,
        scale_min,
        scale_max,
        multiIf(contact_id != '', 'contact', order_id != '', 'order', 'none') AS touchpoint,
        score,
        customer_id,
        event_id,
        event_id = first_value(event_id) OVER event AS same,
        row_number() OVER event AS nth,
        _partition,
        _offset
    FROM raw_survey_responses
    WHERE _event IN
    (
        SELECT _event FROM raw_survey_responses
        WHERE _event IN (SELECT _event FROM raw_survey_responses WHERE beyond)
        GROUP BY _event HAVING count() > 1
    )
    WINDOW event AS (PARTITION BY customer_id, _event ORDER BY _offset)
)
WHERE nth > 1 AND beyond
COMMENT 'Repeated records among survey answers beyond where they were looked for, found at query time';

CREATE VIEW repeats_of_survey_responses
(
    day Date COMMENT 'Day of the event, UTC',
    instrument LowCardinality(String) COMMENT 'nps, ces1, ces2, csat or repurchase_intent',
    question_version LowCardinality(String) COMMENT 'Version of the question, empty when not stated',
    scale_min UInt8 COMMENT 'Lowest possible answer',
    scale_max UInt8 COMMENT 'Highest possible answer',
    touchpoint LowCardinality(String) COMMENT 'What it refers to: contact, order or none',
    score UInt8 COMMENT 'The answer',
    customer_id String COMMENT 'The customer',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH (SELECT groupArray((day, instrument, question_version, scale_min, scale_max, touchpoint, score, customer_id, _partition, _offset)) FROM new_repeats_of_survey_responses) AS beyond
SELECT day, instrument, question_version, scale_min, scale_max, touchpoint, score, customer_id, _partition, _offset
FROM
(
    SELECT day, instrument, question_version, scale_min, scale_max, touchpoint, score, customer_id, _partition, _offset FROM found_repeats_of_survey_responses
    UNION ALL
    SELECT record.1, record.2, record.3, record.4, record.5, record.6, record.7, record.8, record.9, record.10 FROM (SELECT arrayJoin(beyond) AS record)
)
LIMIT 1 BY _partition, _offset
COMMENT 'Repeated records among survey answers, all of them, each once';

CREATE TABLE found_repeats_of_alert_outcomes
(
    day Date COMMENT 'Day of the event, UTC',
    action LowCardinality(String) COMMENT 'What the desk did',
    result LowCardinality(String) COMMENT 'What came of it',
    desk LowCardinality(String) COMMENT 'Which desk, empty when not stated',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'Identity of the event',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset)
COMMENT 'Repeated records among outcomes of alerts, up to where they were looked for; a line that stands there twice means the same';

CREATE VIEW new_repeats_of_alert_outcomes
(
    day Date COMMENT 'Day of the event, UTC',
    action LowCardinality(String) COMMENT 'What the desk did',
    result LowCardinality(String) COMMENT 'What came of it',
    desk LowCardinality(String) COMMENT 'Which desk, empty when not stated',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'Identity of the event',
    same Bool COMMENT 'The ids themselves agree, not only their hash',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH
    (
        SELECT (groupArray(partition), groupArray(reached))
        FROM (SELECT partition, max(below) AS reached FROM repeats_searched WHERE `table` = 'raw_alert_outcomes' GROUP BY partition)
    ) AS searched,
    _offset >= transform(_partition, searched.1, searched.2, toUInt64(0)) AS beyond
SELECT
    day, action, result, desk,
    customer_id,
    event_id,
    same,
    _partition,
    _offset
FROM
(
    SELECT
        toDate(occurred_at) AS day,
        action,
        result,
        desk,
        customer_id,
        event_id,
        event_id = first_value(event_id) OVER event AS same,
        row_number() OVER event AS nth,
        _partition,
        _offset
    FROM raw_alert_outcomes
    WHERE _event IN
    (
        SELECT _event FROM raw_alert_outcomes
        WHERE _event IN (SELECT _event FROM raw_alert_outcomes WHERE beyond)
        GROUP BY _event HAVING count() > 1
    )
    WINDOW event AS (PARTITION BY customer_id, _event ORDER BY _offset)
)
WHERE nth > 1 AND beyond
COMMENT 'Repeated records among outcomes of alerts beyond where they were looked for, found at query time';

CREATE VIEW repeats_of_alert_outcomes
(
    day Date COMMENT 'Day of the event, UTC',
    action LowCardinality(String) COMMENT 'What the desk did',
    result LowCardinality(String) COMMENT 'What came of it',
    desk LowCardinality(String) COMMENT 'Which desk, empty when not stated',
    customer_id String COMMENT 'The customer',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH (SELECT groupArray((day, action, result, desk, customer_id, _partition, _offset)) FROM new_repeats_of_alert_outcomes) AS beyond
SELECT day, action, result, desk, customer_id, _partition, _offset
FROM
(
    SELECT day, action, result, desk, customer_id, _partition, _offset FROM found_repeats_of_alert_outcomes
    UNION ALL
    SELECT record.1, record.2, record.3, record.4, record.5, record.6, record.7 FROM (SELECT arrayJoin(beyond) AS record)
)
LIMIT 1 BY _partition, _offset
COMMENT 'Repeated records among outcomes of alerts, all of them, each once';

CREATE TABLE found_repeats_of_alert_messages
(
    day Date COMMENT 'Day of the message in event time, UTC',
    rule LowCardinality(String) COMMENT 'The rule that raised it',
    transition LowCardinality(String) COMMENT 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    severity LowCardinality(String) COMMENT 'medium, high or critical',
    held_out Bool COMMENT 'Nobody acts on it, to measure what acting does',
    backfill Bool COMMENT 'For the record, not for the desk: the issue is known from imported history only',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'The alert',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset)
COMMENT 'Repeated records among messages to the desk, up to where they were looked for; a line that stands there twice means the same';

CREATE VIEW new_repeats_of_alert_messages
(
    day Date COMMENT 'Day of the message in event time, UTC',
    rule LowCardinality(String) COMMENT 'The rule that raised it',
    transition LowCardinality(String) COMMENT 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    severity LowCardinality(String) COMMENT 'medium, high or critical',
    held_out Bool COMMENT 'Nobody acts on it, to measure what acting does',
    backfill Bool COMMENT 'For the record, not for the desk: the issue is known from imported history only',
    customer_id String COMMENT 'The customer',
    event_id String COMMENT 'The alert',
    same Bool COMMENT 'The ids themselves agree, not only their hash',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH
    (
        SELECT (groupArray(partition), groupArray(reached))
        FROM (SELECT partition, max(below) AS reached FROM repeats_searched WHERE `table` = 'alert_messages' GROUP BY partition)
    ) AS searched,
    _offset >= transform(_partition, searched.1, searched.2, toUInt64(0)) AS beyond
SELECT
    day, rule, transition, severity, held_out, backfill,
    customer_id,
    event_id,
    same,
    _partition,
    _offset
FROM
(
    SELECT
        toDate(occurred_at) AS day,
        rule,
        transition,
        severity,
        held_out,
        backfill,
        customer_id,
        alert_id AS event_id,
        (alert_id, transition, status, severity, caused_by_event, occurred_at) = first_value((alert_id, transition, status, severity, caused_by_event, occurred_at)) OVER event AS same,
        row_number() OVER event AS nth,
        _partition,
        _offset
    FROM alert_messages
    WHERE _event IN
    (
        SELECT _event FROM alert_messages
        WHERE _event IN (SELECT _event FROM alert_messages WHERE beyond)
        GROUP BY _event HAVING count() > 1
    )
    WINDOW event AS (PARTITION BY customer_id, _event ORDER BY _offset)
)
WHERE nth > 1 AND beyond
COMMENT 'Repeated records among messages to the desk beyond where they were looked for, found at query time';

CREATE VIEW repeats_of_alert_messages
(
    day Date COMMENT 'Day of the message in event time, UTC',
    rule LowCardinality(String) COMMENT 'The rule that raised it',
    transition LowCardinality(String) COMMENT 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    severity LowCardinality(String) COMMENT 'medium, high or critical',
    held_out Bool COMMENT 'Nobody acts on it, to measure what acting does',
    backfill Bool COMMENT 'For the record, not for the desk: the issue is known from imported history only',
    customer_id String COMMENT 'The customer',
    _partition UInt16 COMMENT 'Partition of the record',
    _offset UInt64 COMMENT 'Offset of the record'
)
AS
WITH (SELECT groupArray((day, rule, transition, severity, held_out, backfill, customer_id, _partition, _offset)) FROM new_repeats_of_alert_messages) AS beyond
SELECT day, rule, transition, severity, held_out, backfill, customer_id, _partition, _offset
FROM
(
    SELECT day, rule, transition, severity, held_out, backfill, customer_id, _partition, _offset FROM found_repeats_of_alert_messages
    UNION ALL
    SELECT record.1, record.2, record.3, record.4, record.5, record.6, record.7, record.8, record.9 FROM (SELECT arrayJoin(beyond) AS record)
)
LIMIT 1 BY _partition, _offset
COMMENT 'Repeated records among messages to the desk, all of them, each once';

-- 4. What analysts read: every event once.

CREATE VIEW sales_by_day
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    purchases Int64 COMMENT 'Purchases',
    refunds Int64 COMMENT 'Refunds',
    spent Decimal(38, 4) COMMENT 'Sum of purchases',
    refunded Decimal(38, 4) COMMENT 'Sum of refunds, as a positive amount',
    net Decimal(38, 4) COMMENT 'Spent minus refunded',
    customers Int64 COMMENT 'Different customers who bought; it cannot be added up over rows'
)
AS
WITH
    phantoms AS
    (
        SELECT day, channel, currency, count() AS unseen
        FROM
        (
            SELECT day, channel, currency, customer_id
            FROM
            (
                SELECT toDate(occurred_at) AS day, channel, currency, customer_id, 1 AS left
                FROM raw_purchases
                WHERE refund_of = '' AND customer_id IN (SELECT customer_id FROM repeats_of_purchases WHERE contradicts)
                UNION ALL
                SELECT day, channel, currency, customer_id, -1 AS left
                FROM repeats_of_purchases
                WHERE NOT refund
            )
            GROUP BY day, channel, currency, customer_id
            HAVING countIf(left = 1) > 0 AND sum(left) = 0
        )
        GROUP BY day, channel, currency
    )
SELECT day, channel, currency, sum(purchases) AS purchases, sum(refunds) AS refunds, sum(spent) AS spent, sum(refunded) AS refunded, spent - refunded AS net, sum(customers) AS customers
FROM
(
    SELECT day, channel, currency, sum(purchases) AS purchases, sum(refunds) AS refunds, sum(spent) AS spent, sum(refunded) AS refunded, toInt64(uniqExactMerge(customers)) AS customers
    FROM sales_daily
    GROUP BY day, channel, currency
    UNION ALL
    SELECT day, channel, currency, -countIf(NOT refund) AS purchases, -countIf(refund) AS refunds, -sumIf(amount, NOT refund) AS spent, sumIf(amount, refund) AS refunded, 0 AS customers
    FROM repeats_of_purchases
    GROUP BY day, channel, currency
    UNION ALL
    SELECT day, channel, currency, 0, 0, 0, 0, -toInt64(unseen) AS customers FROM phantoms
)
GROUP BY day, channel, currency
HAVING purchases != 0 OR refunds != 0
COMMENT 'Sales by day, channel and currency, each event once as its first record told it';

CREATE VIEW sales_by_day_and_category
(
    day Date COMMENT 'Day of the event, UTC',
    category LowCardinality(String) COMMENT 'Category, empty when the purchase names none',
    channel LowCardinality(String) COMMENT 'Where it was bought',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    purchases Int64 COMMENT 'Purchases with this category',
    refunds Int64 COMMENT 'Refunds with this category',
    items Int64 COMMENT 'Quantity in purchases',
    spent Decimal(38, 4) COMMENT 'Sum of purchases, whole purchases: it cannot be added up over categories',
    refunded Decimal(38, 4) COMMENT 'Sum of refunds, as a positive amount',
    net Decimal(38, 4) COMMENT 'Spent minus refunded',
    customers Int64 COMMENT 'Different customers who bought; it cannot be added up over rows'
)
AS
WITH
    phantoms AS
    (
        SELECT day, category, channel, currency, count() AS unseen
        FROM
        (
            SELECT day, category, channel, currency, customer_id
            FROM
            (
                SELECT toDate(occurred_at) AS day, category, channel, currency, customer_id, 1 AS left
                FROM raw_purchases
    ARRAY JOIN if(empty(categories), [''], arrayDistinct(categories)) AS category
                WHERE refund_of = '' AND customer_id IN (SELECT customer_id FROM repeats_of_purchases WHERE contradicts)
                UNION ALL
                SELECT day, category, channel, currency, customer_id, -1 AS left
                FROM repeats_of_purchases
    ARRAY JOIN if(empty(categories), [''], arrayDistinct(categories)) AS category
                WHERE NOT refund
            )
            GROUP BY day, category, channel, currency, customer_id
            HAVING countIf(left = 1) > 0 AND sum(left) = 0
        )
        GROUP BY day, category, channel, currency
    )
SELECT day, category, channel, currency, sum(purchases) AS purchases, sum(refunds) AS refunds, sum(items) AS items, sum(spent) AS spent, sum(refunded) AS refunded, spent - refunded AS net, sum(customers) AS customers
FROM
(
    SELECT day, category, channel, currency, sum(purchases) AS purchases, sum(refunds) AS refunds, sum(items) AS items, sum(spent) AS spent, sum(refunded) AS refunded, toInt64(uniqExactMerge(customers)) AS customers
    FROM sales_daily_by_category
    GROUP BY day, category, channel, currency
    UNION ALL
    SELECT day, category, channel, currency, -countIf(NOT refund) AS purchases, -countIf(refund) AS refunds, -sumIf(arraySum(arrayMap((c, q) -> if(c = category, toInt64(q), 0), categories, quantities)), NOT refund) AS items, -sumIf(amount, NOT refund) AS spent, sumIf(amount, refund) AS refunded, 0 AS customers
    FROM repeats_of_purchases
    ARRAY JOIN if(empty(categories), [''], arrayDistinct(categories)) AS category
    GROUP BY day, category, channel, currency
    UNION ALL
    SELECT day, category, channel, currency, 0, 0, 0, 0, 0, -toInt64(unseen) AS customers FROM phantoms
)
GROUP BY day, category, channel, currency
HAVING purchases != 0 OR refunds != 0
COMMENT 'Sales by day, category, channel and currency, each event once as its first record told it';

CREATE VIEW contacts_by_day
(
    day Date COMMENT 'Day of the event, UTC',
    channel LowCardinality(String) COMMENT 'How the customer reached us',
    origin LowCardinality(String) COMMENT 'Where the problem comes from',
    kind LowCardinality(String) COMMENT 'complaint, question, repair, cancellation or information',
    stage LowCardinality(String) COMMENT 'opened, updated or resolved',
    events Int64 COMMENT 'Stages of contacts; where the stage is opened, this is the number of contacts',
    resolved Int64 COMMENT 'Of these, solved as the agent sees it',
    waiting_seconds Float64 COMMENT 'Waiting, seconds; a later stage of a contact states it again, so add up within a stage only',
    transfers Int64 COMMENT 'Times passed on; the same holds',
    information_repeated Int64 COMMENT 'Stages in which the customer had to say it again',
    self_service_first Int64 COMMENT 'Stages in which the customer had tried to help themselves'
)
AS
SELECT day, channel, origin, kind, stage, events, resolved, waiting_ms / 1000 AS waiting_seconds, transfers, information_repeated, self_service_first
FROM
(
    SELECT day, channel, origin, kind, stage, sum(records) AS events, sum(resolved) AS resolved, sum(waiting_ms) AS waiting_ms, sum(transfers) AS transfers, sum(information_repeated) AS information_repeated, sum(self_service_first) AS self_service_first
    FROM
    (
        SELECT day, channel, origin, kind, stage, sum(records) AS records, sum(resolved) AS resolved, sum(waiting_ms) AS waiting_ms, sum(transfers) AS transfers, sum(information_repeated) AS information_repeated, sum(self_service_first) AS self_service_first FROM contacts_daily GROUP BY day, channel, origin, kind, stage
        UNION ALL
        SELECT day, channel, origin, kind, stage, -toInt64(count()) AS records, -toInt64(countIf(resolved)) AS resolved, -sum(waiting_ms) AS waiting_ms, -toInt64(sum(transfers)) AS transfers, -toInt64(countIf(information_repeated)) AS information_repeated, -toInt64(countIf(self_service_first)) AS self_service_first FROM repeats_of_service_contacts GROUP BY day, channel, origin, kind, stage
    )
    GROUP BY day, channel, origin, kind, stage
    HAVING events != 0
)
COMMENT 'Contacts and effort by day, channel, origin, kind and stage, each event once';

CREATE VIEW survey_answers_by_day
(
    day Date COMMENT 'Day of the event, UTC',
    instrument LowCardinality(String) COMMENT 'nps, ces1, ces2, csat or repurchase_intent',
    question_version LowCardinality(String) COMMENT 'Version of the question, empty when not stated',
    scale_min UInt8 COMMENT 'Lowest possible answer',
    scale_max UInt8 COMMENT 'Highest possible answer',
    touchpoint LowCardinality(String) COMMENT 'What it refers to: contact, order or none',
    answers Int64 COMMENT 'Answers',
    promoters Int64 COMMENT 'nps: 9 and 10; 0 for other questions',
    passives Int64 COMMENT 'nps: 7 and 8',
    detractors Int64 COMMENT 'nps: 0 to 6',
    top_two Int64 COMMENT 'The two best answers of the scale',
    score_sum Int64 COMMENT 'Sum of the answers on their own scale',
    score_squares Int64 COMMENT 'Sum of their squares, for intervals'
)
AS
SELECT
    day, instrument, question_version, scale_min, scale_max, touchpoint,
    sum(events) AS answers,
    sumIf(events, instrument = 'nps' AND score >= 9) AS promoters,
    sumIf(events, instrument = 'nps' AND score BETWEEN 7 AND 8) AS passives,
    sumIf(events, instrument = 'nps' AND score <= 6) AS detractors,
    sumIf(events, score + 1 >= scale_max) AS top_two,
    sum(events * score) AS score_sum,
    sum(events * score * score) AS score_squares
FROM
(
    SELECT day, instrument, question_version, scale_min, scale_max, touchpoint, score, sum(records) AS events
    FROM
    (
        SELECT day, instrument, question_version, scale_min, scale_max, touchpoint, score, sum(records) AS records FROM survey_answers_daily GROUP BY day, instrument, question_version, scale_min, scale_max, touchpoint, score
        UNION ALL
        SELECT day, instrument, question_version, scale_min, scale_max, touchpoint, score, -toInt64(count()) AS records FROM repeats_of_survey_responses GROUP BY day, instrument, question_version, scale_min, scale_max, touchpoint, score
    )
    GROUP BY day, instrument, question_version, scale_min, scale_max, touchpoint, score
    HAVING events != 0
)
GROUP BY day, instrument, question_version, scale_min, scale_max, touchpoint
COMMENT 'Survey answers by day, question, scale and touchpoint, each event once; ces1 and ces2 are different questions and never pooled';

CREATE VIEW alerts_by_day
(
    day Date COMMENT 'Day of the message in event time, UTC',
    rule LowCardinality(String) COMMENT 'The rule that raised it',
    transition LowCardinality(String) COMMENT 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    severity LowCardinality(String) COMMENT 'medium, high or critical',
    held_out Bool COMMENT 'Nobody acts on it, to measure what acting does',
    messages Int64 COMMENT 'Messages'
)
AS
SELECT day, rule, transition, severity, held_out, events AS messages
FROM
(
    SELECT day, rule, transition, severity, held_out, sum(records) AS events
    FROM
    (
        SELECT day, rule, transition, severity, held_out, sum(records) AS records FROM alerts_daily WHERE NOT backfill GROUP BY day, rule, transition, severity, held_out
        UNION ALL
        SELECT day, rule, transition, severity, held_out, -toInt64(count()) AS records FROM repeats_of_alert_messages WHERE NOT backfill GROUP BY day, rule, transition, severity, held_out
    )
    GROUP BY day, rule, transition, severity, held_out
    HAVING events != 0
)
COMMENT 'Messages to the desk by day, rule, transition and severity, each once; none that stand for the record only';

CREATE VIEW outcomes_by_day
(
    day Date COMMENT 'Day of the event, UTC',
    action LowCardinality(String) COMMENT 'What the desk did',
    result LowCardinality(String) COMMENT 'What came of it',
    desk LowCardinality(String) COMMENT 'Which desk, empty when not stated',
    outcomes Int64 COMMENT 'Outcomes'
)
AS
SELECT day, action, result, desk, events AS outcomes
FROM
(
    SELECT day, action, result, desk, sum(records) AS events
    FROM
    (
        SELECT day, action, result, desk, sum(records) AS records FROM outcomes_daily GROUP BY day, action, result, desk
        UNION ALL
        SELECT day, action, result, desk, -toInt64(count()) AS records FROM repeats_of_alert_outcomes GROUP BY day, action, result, desk
    )
    GROUP BY day, action, result, desk
    HAVING events != 0
)
COMMENT 'What desks did about alerts by day, action, result and desk, each event once';

-- 5. The audit of the aggregates.

CREATE VIEW audit_aggregates
(
    aggregate String COMMENT 'The aggregate',
    source String COMMENT 'The table it counts',
    counted Int64 COMMENT 'Records it counted',
    rows Int64 COMMENT 'Rows of the table',
    difference Int64 COMMENT 'Must be 0 whenever no batch is being written'
)
AS
SELECT aggregate, source, counted, rows, counted - rows AS difference
FROM
(
    SELECT 'sales_daily' AS aggregate, 'raw_purchases' AS source, (SELECT toInt64(sum(records)) FROM sales_daily) AS counted, (SELECT toInt64(count()) FROM raw_purchases) AS rows
    UNION ALL SELECT 'sales_daily_by_category' AS aggregate, 'raw_purchases' AS source, (SELECT toInt64(sum(records)) FROM sales_daily_by_category) AS counted, (SELECT toInt64(count()) FROM raw_purchases) AS rows
    UNION ALL SELECT 'contacts_daily' AS aggregate, 'raw_service_contacts' AS source, (SELECT toInt64(sum(records)) FROM contacts_daily) AS counted, (SELECT toInt64(count()) FROM raw_service_contacts) AS rows
    UNION ALL SELECT 'survey_answers_daily' AS aggregate, 'raw_survey_responses' AS source, (SELECT toInt64(sum(records)) FROM survey_answers_daily) AS counted, (SELECT toInt64(count()) FROM raw_survey_responses) AS rows
    UNION ALL SELECT 'outcomes_daily' AS aggregate, 'raw_alert_outcomes' AS source, (SELECT toInt64(sum(records)) FROM outcomes_daily) AS counted, (SELECT toInt64(count()) FROM raw_alert_outcomes) AS rows
    UNION ALL SELECT 'alerts_daily' AS aggregate, 'alert_messages' AS source, (SELECT toInt64(sum(records)) FROM alerts_daily) AS counted, (SELECT toInt64(count()) FROM alert_messages) AS rows
)
COMMENT 'Whether every aggregate counted every row once';

-- Every event once, without putting the whole table in order: all records but the repeated ones.

CREATE OR REPLACE VIEW purchases AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM raw_purchases
WHERE (_partition, _offset) NOT IN (SELECT _partition, _offset FROM repeats_of_purchases)
COMMENT 'Purchases and refunds, each event once';

CREATE OR REPLACE VIEW service_contacts AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM raw_service_contacts
WHERE (_partition, _offset) NOT IN (SELECT _partition, _offset FROM repeats_of_service_contacts)
COMMENT 'Stages of service contacts, each event once';

CREATE OR REPLACE VIEW survey_responses AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM raw_survey_responses
WHERE (_partition, _offset) NOT IN (SELECT _partition, _offset FROM repeats_of_survey_responses)
COMMENT 'Survey answers, each event once';

CREATE OR REPLACE VIEW alert_outcomes AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM raw_alert_outcomes
WHERE (_partition, _offset) NOT IN (SELECT _partition, _offset FROM repeats_of_alert_outcomes)
COMMENT 'What desks did about alerts, each event once';

-- 6. What the columns of views mean that only repeat a table's. A view that is made anew needs these again.

ALTER TABLE purchases
    COMMENT COLUMN event_id 'Identity of the event, given by its producer',
    COMMENT COLUMN customer_id 'The customer',
    COMMENT COLUMN occurred_at 'When it happened, by the clock of the source',
    COMMENT COLUMN order_id 'The order',
    COMMENT COLUMN amount 'What was paid; negative for a refund',
    COMMENT COLUMN currency 'ISO 4217',
    COMMENT COLUMN channel 'Where it was bought',
    COMMENT COLUMN categories 'Category of each line',
    COMMENT COLUMN quantities 'Quantity of each line',
    COMMENT COLUMN incentivised 'Bought with a coupon or discount',
    COMMENT COLUMN obligated 'Bought under obligation, such as a renewal: no evidence of loyalty',
    COMMENT COLUMN refund_of 'The order a refund refers to, empty for a purchase',
    COMMENT COLUMN binding_kinds 'What binds the customer: situational, technical, contractual, economic, emotional',
    COMMENT COLUMN binding_ends 'When each binding ends; NULL: no end is known',
    COMMENT COLUMN binding_notices 'The last moment to give notice of each; NULL where it is no contract or not known',
    COMMENT COLUMN programme_member 'In the loyalty programme at this purchase; NULL: not said',
    COMMENT COLUMN referred_by 'The customer who recommended us, or empty',
    COMMENT COLUMN promised_delivery_at 'When delivery was promised for',
    COMMENT COLUMN delivered_at 'When it was delivered',
    COMMENT COLUMN survey_consent 'granted, withdrawn, existing_customer, or empty: not said',
    COMMENT COLUMN survey_consent_at 'When that was said, where not at occurred_at',
    COMMENT COLUMN source 'The system the event comes from, empty when it did not say',
    COMMENT COLUMN synthetic 'Generated, not observed',
    COMMENT COLUMN backfill 'Imported history: nobody was told anything because of it',
    COMMENT COLUMN raw 'The original bytes when they hold fields the contract does not know; empty otherwise';

ALTER TABLE service_contacts
    COMMENT COLUMN event_id 'Identity of the event, given by its producer',
    COMMENT COLUMN customer_id 'The customer',
    COMMENT COLUMN occurred_at 'When it happened, by the clock of the source',
    COMMENT COLUMN contact_id 'The contact; its stages share it',
    COMMENT COLUMN issue_id 'The issue; contacts about the same problem share it',
    COMMENT COLUMN stage 'opened, updated or resolved',
    COMMENT COLUMN opened_at 'When the contact began',
    COMMENT COLUMN closed_at 'When the contact ended',
    COMMENT COLUMN channel 'How the customer reached us',
    COMMENT COLUMN kind 'complaint, question, repair, cancellation or information',
    COMMENT COLUMN origin 'Where the problem comes from',
    COMMENT COLUMN resolved 'Solved, as the agent sees it',
    COMMENT COLUMN waiting_seconds 'How long the customer waited',
    COMMENT COLUMN transfers 'How often the customer was passed on',
    COMMENT COLUMN promised_callback_at 'When a call back was promised for',
    COMMENT COLUMN self_service_first 'The customer tried to help themselves first',
    COMMENT COLUMN information_repeated 'The customer had to say it again',
    COMMENT COLUMN called_back_at 'When the customer was called back',
    COMMENT COLUMN promised_answer_at 'By when an answer was promised',
    COMMENT COLUMN answered_at 'When the customer was answered',
    COMMENT COLUMN survey_consent 'granted, withdrawn, existing_customer, or empty: not said',
    COMMENT COLUMN survey_consent_at 'When that was said, where not at occurred_at',
    COMMENT COLUMN source 'The system the event comes from, empty when it did not say',
    COMMENT COLUMN synthetic 'Generated, not observed',
    COMMENT COLUMN backfill 'Imported history: nobody was told anything because of it',
    COMMENT COLUMN raw 'The original bytes when they hold fields the contract does not know; empty otherwise';

ALTER TABLE survey_responses
    COMMENT COLUMN event_id 'Identity of the event, given by its producer',
    COMMENT COLUMN customer_id 'The customer',
    COMMENT COLUMN occurred_at 'When it happened, by the clock of the source',
    COMMENT COLUMN instrument 'nps, ces1, ces2, csat or repurchase_intent',
    COMMENT COLUMN score 'The answer',
    COMMENT COLUMN scale_min 'Lowest possible answer',
    COMMENT COLUMN scale_max 'Highest possible answer',
    COMMENT COLUMN question_version 'Version of the question, empty when not stated',
    COMMENT COLUMN verbatim 'What the customer wrote',
    COMMENT COLUMN contact_id 'The contact it refers to, or empty',
    COMMENT COLUMN order_id 'The order it refers to, or empty',
    COMMENT COLUMN survey_consent 'granted, withdrawn, existing_customer, or empty: not said',
    COMMENT COLUMN survey_consent_at 'When that was said, where not at occurred_at',
    COMMENT COLUMN source 'The system the event comes from, empty when it did not say',
    COMMENT COLUMN synthetic 'Generated, not observed',
    COMMENT COLUMN backfill 'Imported history: nobody was told anything because of it',
    COMMENT COLUMN raw 'The original bytes when they hold fields the contract does not know; empty otherwise';

ALTER TABLE alert_outcomes
    COMMENT COLUMN event_id 'Identity of the event, given by its producer',
    COMMENT COLUMN customer_id 'The customer',
    COMMENT COLUMN occurred_at 'When it happened, by the clock of the source',
    COMMENT COLUMN alert_id 'The alert',
    COMMENT COLUMN action 'What the desk did',
    COMMENT COLUMN result 'What came of it',
    COMMENT COLUMN desk 'Which desk, empty when not stated',
    COMMENT COLUMN note 'A note of the desk',
    COMMENT COLUMN survey_consent 'granted, withdrawn, existing_customer, or empty: not said',
    COMMENT COLUMN survey_consent_at 'When that was said, where not at occurred_at',
    COMMENT COLUMN source 'The system the event comes from, empty when it did not say',
    COMMENT COLUMN synthetic 'Generated, not observed',
    COMMENT COLUMN backfill 'Imported history: nobody was told anything because of it',
    COMMENT COLUMN raw 'The original bytes when they hold fields the contract does not know; empty otherwise';

ALTER TABLE customers
    COMMENT COLUMN customer_id 'The customer',
    COMMENT COLUMN prospect 'No purchase yet',
    COMMENT COLUMN first_purchase_at 'First purchase',
    COMMENT COLUMN last_purchase_at 'Last purchase',
    COMMENT COLUMN purchases 'Purchases, refunds not counted',
    COMMENT COLUMN refunds 'Refunds',
    COMMENT COLUMN incentivised 'Purchases with a coupon or discount',
    COMMENT COLUMN obligated 'Purchases under obligation',
    COMMENT COLUMN repeat_occasions 'x: days with a voluntary purchase after the first such day',
    COMMENT COLUMN recency_days 't_x: days from the first to the last voluntary purchase',
    COMMENT COLUMN spent 'Spent, by currency',
    COMMENT COLUMN refunded 'Refunded, by currency',
    COMMENT COLUMN channels 'Purchases by channel',
    COMMENT COLUMN categories 'Categories bought, the first 64',
    COMMENT COLUMN contact_events 'Stages of service contacts',
    COMMENT COLUMN open_issues 'Issues whose newest contact is not solved',
    COMMENT COLUMN survey_answers 'Survey answers',
    COMMENT COLUMN latest_nps 'Newest recommendation score, 0 to 10',
    COMMENT COLUMN latest_ease 'Newest effort answer as ease, 0 to 1',
    COMMENT COLUMN open_alerts 'Alerts that wait for the desk',
    COMMENT COLUMN last_event_at 'Newest event of any kind',
    COMMENT COLUMN events 'Events folded',
    COMMENT COLUMN synthetic_events 'Of these, generated ones';

ALTER TABLE alerts
    COMMENT COLUMN alert_id 'Identity of the alert: a hash of rule, customer and issue',
    COMMENT COLUMN customer_id 'The customer',
    COMMENT COLUMN issue_id 'The issue',
    COMMENT COLUMN rule 'The rule that raised it',
    COMMENT COLUMN rule_version 'Version of its coefficients',
    COMMENT COLUMN transition 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    COMMENT COLUMN status 'open, resolved, closed or withdrawn',
    COMMENT COLUMN severity 'medium, high or critical',
    COMMENT COLUMN churn_risk_0_1 'Churn risk after the contact, 0 to 1',
    COMMENT COLUMN churn_risk_before_0_1 'Churn risk without the contact, 0 to 1',
    COMMENT COLUMN terms 'Terms of the score',
    COMMENT COLUMN logits 'What each term adds to the logit',
    COMMENT COLUMN reasons 'Why, in words',
    COMMENT COLUMN recommended_action 'What to do next',
    COMMENT COLUMN history 'The contacts about the issue in one line',
    COMMENT COLUMN contact_ids 'The contacts it rests on',
    COMMENT COLUMN evidence 'The events it rests on',
    COMMENT COLUMN held_out 'Nobody acts on it, to measure what acting does',
    COMMENT COLUMN backfill 'For the record, not for the desk: the issue is known from imported history only',
    COMMENT COLUMN caused_by_event 'The event that led to this message',
    COMMENT COLUMN raised_at 'When the risk first crossed the threshold, in event time',
    COMMENT COLUMN occurred_at 'Event time of this message',
    COMMENT COLUMN synthetic 'Rests on generated contacts',
    COMMENT COLUMN told_at 'When the broker received its newest message';
