-- Facts that only some sources know: what binds a customer, promises and what kept them, referrals, survey consent.

ALTER TABLE raw_purchases
    ADD COLUMN IF NOT EXISTS binding_kinds Array(LowCardinality(String)) COMMENT 'What binds the customer: situational, technical, contractual, economic, emotional' AFTER refund_of,
    ADD COLUMN IF NOT EXISTS binding_ends Array(Nullable(DateTime64(3, 'UTC'))) COMMENT 'When each binding ends; NULL: no end is known' AFTER binding_kinds,
    ADD COLUMN IF NOT EXISTS binding_notices Array(Nullable(DateTime64(3, 'UTC'))) COMMENT 'The last moment to give notice of each; NULL where it is no contract or not known' AFTER binding_ends,
    ADD COLUMN IF NOT EXISTS programme_member Nullable(Bool) COMMENT 'In the loyalty programme at this purchase; NULL: not said' AFTER binding_notices,
    ADD COLUMN IF NOT EXISTS referred_by String COMMENT 'The customer who recommended us, or empty' AFTER programme_member,
    ADD COLUMN IF NOT EXISTS promised_delivery_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When delivery was promised for' AFTER referred_by,
    ADD COLUMN IF NOT EXISTS delivered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was delivered' AFTER promised_delivery_at,
    ADD COLUMN IF NOT EXISTS survey_consent LowCardinality(String) COMMENT 'granted, withdrawn, existing_customer, or empty: not said' AFTER delivered_at,
    ADD COLUMN IF NOT EXISTS survey_consent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was said, where not at occurred_at' AFTER survey_consent;

CREATE OR REPLACE VIEW purchases AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM (SELECT * FROM raw_purchases ORDER BY _offset LIMIT 1 BY customer_id, event_id)
COMMENT 'Purchases and refunds, each event once';

ALTER TABLE raw_service_contacts
    ADD COLUMN IF NOT EXISTS called_back_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the customer was called back' AFTER information_repeated,
    ADD COLUMN IF NOT EXISTS promised_answer_at Nullable(DateTime64(3, 'UTC')) COMMENT 'By when an answer was promised' AFTER called_back_at,
    ADD COLUMN IF NOT EXISTS answered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the customer was answered' AFTER promised_answer_at,
    ADD COLUMN IF NOT EXISTS survey_consent LowCardinality(String) COMMENT 'granted, withdrawn, existing_customer, or empty: not said' AFTER answered_at,
    ADD COLUMN IF NOT EXISTS survey_consent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was said, where not at occurred_at' AFTER survey_consent;

CREATE OR REPLACE VIEW service_contacts AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM (SELECT * FROM raw_service_contacts ORDER BY _offset LIMIT 1 BY customer_id, event_id)
COMMENT 'Stages of service contacts, each event once';

ALTER TABLE raw_survey_responses
    ADD COLUMN IF NOT EXISTS survey_consent LowCardinality(String) COMMENT 'granted, withdrawn, existing_customer, or empty: not said' AFTER order_id,
    ADD COLUMN IF NOT EXISTS survey_consent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was said, where not at occurred_at' AFTER survey_consent;

CREATE OR REPLACE VIEW survey_responses AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM (SELECT * FROM raw_survey_responses ORDER BY _offset LIMIT 1 BY customer_id, event_id)
COMMENT 'Survey answers, each event once';

ALTER TABLE raw_alert_outcomes
    ADD COLUMN IF NOT EXISTS survey_consent LowCardinality(String) COMMENT 'granted, withdrawn, existing_customer, or empty: not said' AFTER note,
    ADD COLUMN IF NOT EXISTS survey_consent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was said, where not at occurred_at' AFTER survey_consent;

CREATE OR REPLACE VIEW alert_outcomes AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM (SELECT * FROM raw_alert_outcomes ORDER BY _offset LIMIT 1 BY customer_id, event_id)
COMMENT 'What desks did about alerts, each event once';
