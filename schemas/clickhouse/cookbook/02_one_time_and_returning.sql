-- How many customers bought on one day only, and how much of the revenue comes from those who came back?
-- Each currency stands for itself; a customer who pays in two counts in both. Purchases under obligation do not count as coming back.
SELECT currency,
       if(repeat_occasions = 0, 'one day only', 'came back') AS customers_who,
       count() AS customers,
       round(100 * count() / sum(count()) OVER (PARTITION BY currency), 1) AS percent_of_customers,
       sum(paid) AS revenue,
       round(100 * toFloat64(sum(paid)) / sum(toFloat64(sum(paid))) OVER (PARTITION BY currency), 1) AS percent_of_revenue
FROM (SELECT repeat_occasions, mapKeys(spent) AS currencies, mapValues(spent) AS amounts FROM customers WHERE NOT prospect)
ARRAY JOIN currencies AS currency, amounts AS paid
GROUP BY currency, customers_who
ORDER BY currency, customers DESC, customers_who
