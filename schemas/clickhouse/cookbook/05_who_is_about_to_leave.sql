-- Who is about to leave after a bad service experience, and what had they spent with us?
SELECT alerts.customer_id AS customer_id,
       round(100 * churn_risk_0_1) AS risk_percent,
       severity,
       toDate(raised_at) AS raised,
       arraySum(mapValues(customers.spent)) AS spent,
       reasons[1] AS main_reason
FROM alerts
INNER JOIN customers ON customers.customer_id = alerts.customer_id
WHERE status = 'open'
ORDER BY churn_risk_0_1 DESC, spent DESC
LIMIT 5
