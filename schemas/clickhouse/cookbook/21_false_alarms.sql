-- How many alerts does the desk call false alarms?
-- Of the alerts it is done with, by its newest final outcome. A customer whose problem was settled before anybody acted, or about
-- whom somebody else had acted, is no false alarm; where nobody said why an alert was not needed, the rate has an upper bound.
-- Held-out alerts are not among them.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs alert_outcomes: the desk never said what came of an alert: loyalty alerts done ID --result ...
SELECT * FROM false_alarms_at(at = {at:DateTime64(3, 'UTC')})
ORDER BY severity != 'all', severity
