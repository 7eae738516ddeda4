-- The audit: what stands in the tables, by its place in the log. `loyalty audit` compares it with the log itself.

CREATE VIEW audit_places
(
    `table` String COMMENT 'The table',
    keeps_all Bool COMMENT 'It keeps a row per record; the others keep the newest row per key',
    topic String COMMENT 'Topic of the record',
    partition UInt16 COMMENT 'Partition of the record',
    place UInt64 COMMENT 'Offset of the record'
)
AS
SELECT 'raw_purchases' AS `table`, true AS keeps_all, _topic AS topic, _partition AS partition, _offset AS place FROM raw_purchases
UNION ALL SELECT 'raw_service_contacts', true, _topic, _partition, _offset FROM raw_service_contacts
UNION ALL SELECT 'raw_survey_responses', true, _topic, _partition, _offset FROM raw_survey_responses
UNION ALL SELECT 'raw_alert_outcomes', true, _topic, _partition, _offset FROM raw_alert_outcomes
UNION ALL SELECT 'alert_messages', true, _topic, _partition, _offset FROM alert_messages
UNION ALL SELECT 'alert_states', false, _topic, _partition, _offset FROM alert_states
UNION ALL SELECT 'customer_states', false, _topic, _partition, _offset FROM customer_states
UNION ALL SELECT 'dead_letters', false, _topic, _partition, _offset FROM dead_letters
COMMENT 'Every row of every table by its place in the log';

CREATE VIEW audit
(
    `table` String COMMENT 'The table',
    topic String COMMENT 'Topic of its records',
    partition UInt16 COMMENT 'Partition of its records',
    rows UInt64 COMMENT 'Rows',
    offsets UInt64 COMMENT 'Different offsets among them',
    first UInt64 COMMENT 'Lowest offset',
    last UInt64 COMMENT 'Highest offset',
    repeated UInt64 COMMENT 'Rows that stand there more than once: must be 0',
    gaps Nullable(UInt64) COMMENT 'Offsets between first and last without a row: dead letters, and nothing else; NULL where newer rows replace older ones'
)
AS
SELECT
    `table`,
    topic,
    partition,
    count() AS rows,
    uniqExact(place) AS offsets,
    min(place) AS first,
    max(place) AS last,
    rows - offsets AS repeated,
    if(any(keeps_all), last - first + 1 - offsets, NULL) AS gaps
FROM audit_places
GROUP BY `table`, topic, partition
COMMENT 'Rows by table, topic and partition; every record is there exactly once when repeated is 0 and gaps are dead letters';

CREATE VIEW audit_conclusions
(
    conclusion String COMMENT 'The table of conclusions',
    compared UInt64 COMMENT 'Keys compared',
    disagreeing UInt64 COMMENT 'Keys that contradict the tables they rest on: must be 0'
)
AS
WITH
    limits AS (SELECT _partition, max(_offset) AS reached FROM alert_states GROUP BY _partition),
    told AS
    (
        SELECT alert_id, max(_offset) + 1 AS newest
        FROM alert_messages INNER JOIN limits USING (_partition)
        WHERE _offset <= reached
        GROUP BY alert_id
    ),
    standing AS (SELECT alert_id, _offset + 1 AS stands FROM alert_states FINAL),
    bought AS (SELECT customer_id, uniqExact(event_id) AS events FROM raw_purchases GROUP BY customer_id),
    known AS (SELECT customer_id, purchases + refunds AS counted FROM customer_states FINAL)
SELECT 'alert_states' AS conclusion, count() AS compared, countIf(newest != stands) AS disagreeing
FROM told FULL OUTER JOIN standing USING (alert_id)
UNION ALL
SELECT 'customer_states', count(), countIf(counted > events)
FROM known LEFT JOIN bought USING (customer_id)
COMMENT 'Conclusions against what they rest on: an alert stands as it was last told; a customer did not buy more often than they bought';
