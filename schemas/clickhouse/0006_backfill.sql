-- Imported history: which events came that way, and which alerts the desk was not told because of it.

ALTER TABLE raw_purchases ADD COLUMN IF NOT EXISTS backfill Bool COMMENT 'Imported history: nobody was told anything because of it' AFTER synthetic;

ALTER TABLE raw_service_contacts ADD COLUMN IF NOT EXISTS backfill Bool COMMENT 'Imported history: nobody was told anything because of it' AFTER synthetic;

ALTER TABLE raw_survey_responses ADD COLUMN IF NOT EXISTS backfill Bool COMMENT 'Imported history: nobody was told anything because of it' AFTER synthetic;

ALTER TABLE raw_alert_outcomes ADD COLUMN IF NOT EXISTS backfill Bool COMMENT 'Imported history: nobody was told anything because of it' AFTER synthetic;

ALTER TABLE alert_messages ADD COLUMN IF NOT EXISTS backfill Bool COMMENT 'For the record, not for the desk: the issue is known from imported history only' AFTER held_out;

ALTER TABLE alert_states ADD COLUMN IF NOT EXISTS backfill Bool COMMENT 'For the record, not for the desk: the issue is known from imported history only' AFTER held_out;

CREATE OR REPLACE VIEW alerts AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset), _appended_at AS told_at
FROM alert_states FINAL
WHERE status != 'withdrawn'
COMMENT 'Every alert as it stands now';
