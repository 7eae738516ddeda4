-- Does the churn risk that alerts say come true, class by class?
-- Of customers on days with news about their alert: the mean risk that was said, and the share that fell silent; without those the desk acted for.
-- A risk that is right on average lies within low and high. Reads raw events for the same reason as alert_precision.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs alerts: no alert was ever raised; they come with service contacts of customers who have bought
SELECT * FROM calibration_at(at = {at:DateTime64(3, 'UTC')})
ORDER BY risk_from
