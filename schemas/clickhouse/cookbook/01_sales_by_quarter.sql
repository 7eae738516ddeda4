-- What did customers buy, quarter by quarter?
SELECT toYear(occurred_at) AS year,
       toQuarter(occurred_at) AS quarter,
       count() AS purchases,
       uniqExact(customer_id) AS customers,
       sum(amount) AS revenue,
       any(currency) AS currency
FROM purchases
WHERE refund_of = ''
GROUP BY year, quarter
ORDER BY year, quarter
