-- Records that could not be used keep their headers: a customer may be named there and nowhere else.

ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS headers Array(Tuple(String, String)) COMMENT 'The original headers, names and values; empty where the row is older than this column' AFTER value;
