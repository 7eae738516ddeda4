-- Who may do what, for a ClickHouse server. Not a migration: an administrator runs it, once and again after upgrades,
-- after `loyalty warehouse migrate`, with the database named `loyalty`:
--
--     clickhouse-client --user admin --password --queries-file access.sql
--
-- Roles
--   loyalty_writer    the sink: inserts and reads, cannot create, change or delete anything
--   loyalty_migrator  `loyalty warehouse migrate`; the materialized views run with the rights of the user who made them,
--                     so keep that user: without it every insert of the sink would fail
--   loyalty_privacy   erasure and access requests: reads customers by their real ids, deletes rows
--   loyalty_reader    analysts and Grafana: the views of loyalty_shared, with pseudonymous ids and without free text
--
-- Nobody is given a password here. A user is made unable to sign in (HOST NONE); give it a password and hosts yourself:
--
--     ALTER USER loyalty_grafana IDENTIFIED WITH sha256_password BY '...' HOST IP '10.0.0.0/8'
--
-- Pseudonyms are a keyed hash (SipHash-128) of the real id. Whoever has the key can recognise a customer whose id they
-- know, so the key stands in a database of its own that only loyalty_definer may read: the views run with its rights,
-- and it cannot sign in. The key is joined as a column, never folded into the query as a constant: EXPLAIN would show
-- it. Make a key before the views are used, and keep it: another key makes every customer a stranger.
--
--     read -r a b <<< "$(od -An -N16 -tu8 /dev/urandom)"
--     clickhouse-client --user admin --password -q "INSERT INTO loyalty_secret.pseudonym_key VALUES ($a, $b)"
--
-- The embedded engine (`loyalty up`) has no users, roles, profiles, quotas and row policies: it accepts any credentials
-- and must stay on loopback. Whoever reaches its port may read and change everything. There, read-only questions are
-- asked through `loyalty query`, which tells the engine to refuse what writes.
--
-- A sink whose user has only loyalty_writer starts when all migrations are applied, and otherwise refuses and says what
-- to run; one whose user may migrate (the embedded stack, docker compose) does it itself. For replicas without a
-- replicated access storage, put ON CLUSTER behind every name here.

-- 1. Roles.

CREATE ROLE IF NOT EXISTS loyalty_writer;
CREATE ROLE IF NOT EXISTS loyalty_migrator;
CREATE ROLE IF NOT EXISTS loyalty_privacy;
CREATE ROLE IF NOT EXISTS loyalty_reader;

-- 2. The key of the pseudonyms, and who may read it.

CREATE DATABASE IF NOT EXISTS loyalty_secret;
CREATE DATABASE IF NOT EXISTS loyalty_shared;

CREATE TABLE IF NOT EXISTS loyalty_secret.pseudonym_key
(
    first UInt64 COMMENT 'First half of the key',
    second UInt64 COMMENT 'Second half of the key'
)
ENGINE = MergeTree
ORDER BY tuple()
COMMENT 'The key of the pseudonyms: one row; without one the views of loyalty_shared are empty';

CREATE USER IF NOT EXISTS loyalty_definer NOT IDENTIFIED HOST NONE;
GRANT SELECT ON loyalty.* TO loyalty_definer;
GRANT SELECT ON loyalty_secret.pseudonym_key TO loyalty_definer;

-- 3. What each role may do.

GRANT SELECT ON loyalty.* TO loyalty_writer;
GRANT INSERT ON loyalty.raw_purchases TO loyalty_writer;
GRANT INSERT ON loyalty.raw_service_contacts TO loyalty_writer;
GRANT INSERT ON loyalty.raw_survey_responses TO loyalty_writer;
GRANT INSERT ON loyalty.raw_alert_outcomes TO loyalty_writer;
GRANT INSERT ON loyalty.alert_messages TO loyalty_writer;
GRANT INSERT ON loyalty.alert_states TO loyalty_writer;
GRANT INSERT ON loyalty.customer_states TO loyalty_writer;
GRANT INSERT ON loyalty.dead_letters TO loyalty_writer;
GRANT INSERT ON loyalty.suppressions TO loyalty_writer;
GRANT INSERT ON loyalty.repeats_searched TO loyalty_writer;
GRANT INSERT ON loyalty.found_repeats_of_purchases TO loyalty_writer;
GRANT INSERT ON loyalty.found_repeats_of_service_contacts TO loyalty_writer;
GRANT INSERT ON loyalty.found_repeats_of_survey_responses TO loyalty_writer;
GRANT INSERT ON loyalty.found_repeats_of_alert_outcomes TO loyalty_writer;
GRANT INSERT ON loyalty.found_repeats_of_alert_messages TO loyalty_writer;
GRANT INSERT ON loyalty.parameter_versions TO loyalty_writer;

GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, ALTER TABLE, ALTER VIEW ON loyalty.* TO loyalty_migrator;
GRANT CREATE DATABASE ON loyalty.* TO loyalty_migrator;
GRANT CREATE FUNCTION, DROP FUNCTION, CLUSTER ON *.* TO loyalty_migrator;

GRANT SELECT, INSERT, ALTER DELETE, ALTER UPDATE, ALTER SETTINGS, OPTIMIZE, SYSTEM CLEANUP ON loyalty.* TO loyalty_privacy;

GRANT SELECT ON loyalty_shared.* TO loyalty_reader;

-- 4. Views with pseudonymous ids, and without free text or original bytes.

CREATE OR REPLACE VIEW loyalty_shared.purchases DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT
    hex(sipHash128Keyed((key.first, key.second), fact.customer_id)) AS customer,
    hex(sipHash128Keyed((key.first, key.second), fact.order_id)) AS purchase,
    fact.occurred_at AS occurred_at,
    fact.amount AS amount,
    fact.currency AS currency,
    fact.channel AS channel,
    fact.categories AS categories,
    fact.quantities AS quantities,
    fact.incentivised AS incentivised,
    fact.obligated AS obligated,
    if(fact.refund_of = '', '', hex(sipHash128Keyed((key.first, key.second), fact.refund_of))) AS refund_of,
    fact.binding_kinds AS binding_kinds,
    fact.binding_ends AS binding_ends,
    fact.programme_member AS programme_member,
    if(fact.referred_by = '', '', hex(sipHash128Keyed((key.first, key.second), fact.referred_by))) AS referred_by,
    fact.promised_delivery_at AS promised_delivery_at,
    fact.delivered_at AS delivered_at,
    fact.synthetic AS synthetic
FROM loyalty.purchases AS fact
CROSS JOIN loyalty_secret.pseudonym_key AS key
COMMENT 'Purchases and refunds, each event once, under pseudonyms';

CREATE OR REPLACE VIEW loyalty_shared.service_contacts DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT
    hex(sipHash128Keyed((key.first, key.second), fact.customer_id)) AS customer,
    hex(sipHash128Keyed((key.first, key.second), fact.contact_id)) AS contact,
    hex(sipHash128Keyed((key.first, key.second), fact.issue_id)) AS issue,
    fact.occurred_at AS occurred_at,
    fact.stage AS stage,
    fact.opened_at AS opened_at,
    fact.closed_at AS closed_at,
    fact.channel AS channel,
    fact.kind AS kind,
    fact.origin AS origin,
    fact.resolved AS resolved,
    fact.waiting_seconds AS waiting_seconds,
    fact.transfers AS transfers,
    fact.promised_callback_at AS promised_callback_at,
    fact.called_back_at AS called_back_at,
    fact.promised_answer_at AS promised_answer_at,
    fact.answered_at AS answered_at,
    fact.self_service_first AS self_service_first,
    fact.information_repeated AS information_repeated,
    fact.synthetic AS synthetic
FROM loyalty.service_contacts AS fact
CROSS JOIN loyalty_secret.pseudonym_key AS key
COMMENT 'Stages of service contacts, each event once, under pseudonyms';

CREATE OR REPLACE VIEW loyalty_shared.survey_responses DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT
    hex(sipHash128Keyed((key.first, key.second), fact.customer_id)) AS customer,
    if(fact.contact_id = '', '', hex(sipHash128Keyed((key.first, key.second), fact.contact_id))) AS contact,
    if(fact.order_id = '', '', hex(sipHash128Keyed((key.first, key.second), fact.order_id))) AS purchase,
    fact.occurred_at AS occurred_at,
    fact.instrument AS instrument,
    fact.score AS score,
    fact.scale_min AS scale_min,
    fact.scale_max AS scale_max,
    fact.question_version AS question_version,
    fact.synthetic AS synthetic
FROM loyalty.survey_responses AS fact
CROSS JOIN loyalty_secret.pseudonym_key AS key
COMMENT 'Survey answers, each event once, under pseudonyms; without what customers wrote';

CREATE OR REPLACE VIEW loyalty_shared.alert_outcomes DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT
    hex(sipHash128Keyed((key.first, key.second), fact.customer_id)) AS customer,
    hex(sipHash128Keyed((key.first, key.second), fact.alert_id)) AS alert,
    fact.occurred_at AS occurred_at,
    fact.action AS action,
    fact.result AS result,
    fact.reason AS reason,
    fact.desk AS desk,
    fact.synthetic AS synthetic
FROM loyalty.alert_outcomes AS fact
CROSS JOIN loyalty_secret.pseudonym_key AS key
COMMENT 'What desks did about alerts, each event once, under pseudonyms; without notes';

CREATE OR REPLACE VIEW loyalty_shared.alerts DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT
    hex(sipHash128Keyed((key.first, key.second), fact.customer_id)) AS customer,
    hex(sipHash128Keyed((key.first, key.second), fact.alert_id)) AS alert,
    hex(sipHash128Keyed((key.first, key.second), fact.issue_id)) AS issue,
    fact.rule AS rule,
    fact.rule_version AS rule_version,
    fact.transition AS transition,
    fact.status AS status,
    fact.severity AS severity,
    fact.churn_risk_0_1 AS churn_risk_0_1,
    fact.churn_risk_before_0_1 AS churn_risk_before_0_1,
    fact.terms AS terms,
    fact.logits AS logits,
    fact.held_out AS held_out,
    fact.experiment AS experiment,
    fact.raised_at AS raised_at,
    fact.occurred_at AS occurred_at,
    fact.synthetic AS synthetic
FROM loyalty.alerts AS fact
CROSS JOIN loyalty_secret.pseudonym_key AS key
COMMENT 'Every alert as it stands now, under pseudonyms; without reasons in words';

CREATE OR REPLACE VIEW loyalty_shared.customers DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT
    hex(sipHash128Keyed((key.first, key.second), fact.customer_id)) AS customer,
    fact.prospect AS prospect,
    fact.first_purchase_at AS first_purchase_at,
    fact.last_purchase_at AS last_purchase_at,
    fact.purchases AS purchases,
    fact.refunds AS refunds,
    fact.incentivised AS incentivised,
    fact.obligated AS obligated,
    fact.repeat_occasions AS repeat_occasions,
    fact.recency_days AS recency_days,
    fact.spent AS spent,
    fact.refunded AS refunded,
    fact.channels AS channels,
    fact.categories AS categories,
    fact.contact_events AS contact_events,
    fact.open_issues AS open_issues,
    fact.survey_answers AS survey_answers,
    fact.latest_nps AS latest_nps,
    fact.latest_ease AS latest_ease,
    fact.open_alerts AS open_alerts,
    fact.last_event_at AS last_event_at,
    fact.events AS events,
    fact.synthetic_events AS synthetic_events
FROM loyalty.customers AS fact
CROSS JOIN loyalty_secret.pseudonym_key AS key
COMMENT 'Every customer as they are now, under pseudonyms';

-- Sums name nobody; they are passed on as they are.

CREATE OR REPLACE VIEW loyalty_shared.sales_by_day DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.sales_by_day
COMMENT 'Sales by day, channel and currency';

CREATE OR REPLACE VIEW loyalty_shared.sales_by_day_and_category DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.sales_by_day_and_category
COMMENT 'Sales by day, category, channel and currency';

CREATE OR REPLACE VIEW loyalty_shared.contacts_by_day DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.contacts_by_day
COMMENT 'Contacts and effort by day, channel, origin, kind and stage';

CREATE OR REPLACE VIEW loyalty_shared.survey_answers_by_day DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.survey_answers_by_day
COMMENT 'Survey answers by day, question, scale and touchpoint';

CREATE OR REPLACE VIEW loyalty_shared.alerts_by_day DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.alerts_by_day
COMMENT 'Messages to the desk by day, rule, transition and severity';

CREATE OR REPLACE VIEW loyalty_shared.outcomes_by_day DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.outcomes_by_day
COMMENT 'What desks did about alerts by day';

CREATE OR REPLACE VIEW loyalty_shared.answer_moment DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.answer_moment
COMMENT 'The moment that the figures of the other views are about';

CREATE OR REPLACE VIEW loyalty_shared.nps_by_segment DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.nps_by_segment
COMMENT 'NPS with its interval by segment';

CREATE OR REPLACE VIEW loyalty_shared.effort_by_origin DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.effort_by_origin
COMMENT 'What service costs customers, by channel and origin of the problem';

CREATE OR REPLACE VIEW loyalty_shared.first_contact_resolution DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.first_contact_resolution
COMMENT 'First-contact resolution, provisional and settled';

CREATE OR REPLACE VIEW loyalty_shared.long_standing_against_regular DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.long_standing_against_regular
COMMENT 'Regular against long-standing, two by two';

CREATE OR REPLACE VIEW loyalty_shared.cohorts DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.cohorts
COMMENT 'Customers by month of their first purchase, and who came back';

CREATE OR REPLACE VIEW loyalty_shared.cross_sell DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.cross_sell
COMMENT 'Categories bought after the first purchase';

CREATE OR REPLACE VIEW loyalty_shared.alert_precision DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.alert_precision
COMMENT 'Alerts at the capacity of a desk against the plainest rule';

CREATE OR REPLACE VIEW loyalty_shared.calibration DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.calibration
COMMENT 'Predicted churn risk against what came';

CREATE OR REPLACE VIEW loyalty_shared.holdout_uplift DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.holdout_uplift
COMMENT 'Whether acting on alerts helps';

CREATE OR REPLACE VIEW loyalty_shared.audit DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.audit
COMMENT 'Rows by table, topic and partition';

CREATE OR REPLACE VIEW loyalty_shared.audit_aggregates DEFINER = loyalty_definer SQL SECURITY DEFINER AS
SELECT * FROM loyalty.audit_aggregates
COMMENT 'Whether every aggregate counted every row once';

-- 5. Rows. A table with any policy hides its rows from everybody no policy names, so those who must see all of them come
-- first: without this, the first policy somebody adds (a region, a brand) would blind the sink's audit and the erasure.

CREATE ROW POLICY IF NOT EXISTS loyalty_all ON loyalty.raw_purchases USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer;
CREATE ROW POLICY IF NOT EXISTS loyalty_all ON loyalty.raw_service_contacts USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer;
CREATE ROW POLICY IF NOT EXISTS loyalty_all ON loyalty.raw_survey_responses USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer;
CREATE ROW POLICY IF NOT EXISTS loyalty_all ON loyalty.raw_alert_outcomes USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer;
CREATE ROW POLICY IF NOT EXISTS loyalty_all ON loyalty.alert_messages USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer;
CREATE ROW POLICY IF NOT EXISTS loyalty_all ON loyalty.alert_states USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer;
CREATE ROW POLICY IF NOT EXISTS loyalty_all ON loyalty.customer_states USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer;
CREATE ROW POLICY IF NOT EXISTS loyalty_all ON loyalty.suppressions USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer;
CREATE ROW POLICY IF NOT EXISTS loyalty_all ON loyalty.dead_letters USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer;

-- 6. Limits. readonly = 2 lets clients choose formats and time zones, and nothing that writes; what a reader may raise is
-- bounded, what it may not touch is constant.

CREATE SETTINGS PROFILE IF NOT EXISTS loyalty_reading
    SETTINGS readonly = 2 CONST,
    allow_ddl = 0 CONST,
    max_execution_time = 60 MAX 300,
    max_memory_usage = 4000000000 MAX 8000000000,
    max_result_rows = 1000000 MAX 10000000,
    max_concurrent_queries_for_user = 8 CONST
    TO loyalty_reader;

CREATE SETTINGS PROFILE IF NOT EXISTS loyalty_writing
    SETTINGS async_insert = 0 CONST,
    deduplicate_insert = 'enable' CONST,
    deduplicate_blocks_in_dependent_materialized_views = 1 CONST
    TO loyalty_writer, loyalty_migrator;

CREATE QUOTA IF NOT EXISTS loyalty_reading KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 5000, errors = 500, read_rows = 100000000000, execution_time = 7200
    TO loyalty_reader;

-- 7. Users without a way in; see above.

CREATE USER IF NOT EXISTS loyalty_sink NOT IDENTIFIED HOST NONE DEFAULT ROLE loyalty_writer;
GRANT loyalty_writer TO loyalty_sink;

CREATE USER IF NOT EXISTS loyalty_grafana NOT IDENTIFIED HOST NONE DEFAULT ROLE loyalty_reader;
GRANT loyalty_reader TO loyalty_grafana;
