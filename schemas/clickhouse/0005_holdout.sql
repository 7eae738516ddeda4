-- Alerts say which events they rest on, and whether they are held out: nobody acts on those, so that acting can be measured.

ALTER TABLE alert_messages
    ADD COLUMN IF NOT EXISTS evidence Array(String) COMMENT 'The events it rests on' AFTER contact_ids,
    ADD COLUMN IF NOT EXISTS held_out Bool COMMENT 'Nobody acts on it, to measure what acting does' AFTER evidence;

ALTER TABLE alert_states
    ADD COLUMN IF NOT EXISTS evidence Array(String) COMMENT 'The events it rests on' AFTER contact_ids,
    ADD COLUMN IF NOT EXISTS held_out Bool COMMENT 'Nobody acts on it, to measure what acting does' AFTER evidence;

CREATE OR REPLACE VIEW alerts AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset), _appended_at AS told_at
FROM alert_states FINAL
WHERE status != 'withdrawn'
COMMENT 'Every alert as it stands now';
