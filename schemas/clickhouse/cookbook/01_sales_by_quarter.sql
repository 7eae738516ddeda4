-- What did customers buy, quarter by quarter?
-- Refunds are not taken off. Each currency stands for itself.
SELECT toYear(occurred_at) AS year,
       toQuarter(occurred_at) AS quarter,
       currency,
       count() AS purchases,
       uniqExact(customer_id) AS customers,
       sum(amount) AS revenue
FROM purchases
WHERE refund_of = ''
GROUP BY year, quarter, currency
ORDER BY year, quarter, currency
