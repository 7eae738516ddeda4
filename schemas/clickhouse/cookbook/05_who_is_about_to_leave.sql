-- Who is about to leave after a bad service experience, and what had they spent with us?
-- The five open alerts with the highest risk; `loyalty alerts list` has all of them.
-- needs alerts: no alert was ever raised; they come with service contacts of customers who have bought
SELECT alerts.customer_id AS customer_id,
       round(100 * churn_risk_0_1) AS risk_percent,
       severity,
       toDate(raised_at) AS raised,
       arrayStringConcat(arrayMap((code, amount) -> concat(toString(amount), ' ', code), mapKeys(spent), mapValues(spent)), ', ') AS paid,
       reasons[1] AS main_reason
FROM alerts
INNER JOIN customers ON customers.customer_id = alerts.customer_id
WHERE status = 'open' AND NOT backfill
ORDER BY churn_risk_0_1 DESC, customer_id, alert_id
LIMIT 5
