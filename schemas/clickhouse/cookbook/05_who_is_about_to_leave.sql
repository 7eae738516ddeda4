-- Who is about to leave after a bad service experience, and what had they spent with us?
-- The five open alerts with the highest risk; `loyalty alerts list` has all of them.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs alerts: no alert was ever raised; they come with service contacts of customers who have bought
WITH worst AS
(
    SELECT customer_id, alert_id, churn_risk_0_1, severity, raised_at, reasons
    FROM alerts_at(at = {at:DateTime64(3, 'UTC')})
    WHERE status = 'open' AND NOT backfill
    ORDER BY churn_risk_0_1 DESC, customer_id, alert_id
    LIMIT 5
)
SELECT worst.customer_id AS customer_id,
       round(100 * churn_risk_0_1) AS risk_percent,
       severity,
       toDate(raised_at) AS raised,
       arrayStringConcat(arrayMap(amount -> concat(toString(amount.2), ' ', amount.1), arraySort(amounts)), ', ') AS paid,
       reasons[1] AS main_reason
FROM worst
INNER JOIN
(
    SELECT customer_id, groupArray((toString(currency), spent)) AS amounts
    FROM
    (
        SELECT customer_id, currency, sum(amount) AS spent
        FROM purchases
        WHERE customer_id IN (SELECT customer_id FROM worst) AND refund_of = '' AND occurred_at <= {at:DateTime64(3, 'UTC')}
        GROUP BY customer_id, currency
    )
    GROUP BY customer_id
) AS bought ON bought.customer_id = worst.customer_id
ORDER BY churn_risk_0_1 DESC, customer_id, alert_id
