-- What did customers buy, quarter by quarter?
-- Each currency stands for itself.
SELECT toYear(day) AS year,
       toQuarter(day) AS quarter,
       currency,
       sum(purchases) AS purchases,
       sum(spent) AS revenue,
       sum(refunded) AS refunded
FROM sales_by_day
GROUP BY year, quarter, currency
ORDER BY year, quarter, currency
