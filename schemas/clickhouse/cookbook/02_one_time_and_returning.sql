-- How many customers bought on one day only, and how much of the revenue comes from those who came back?
SELECT if(repeat_occasions = 0, 'one day only', 'came back') AS customers_who,
       count() AS customers,
       round(100 * count() / sum(count()) OVER (), 1) AS percent_of_customers,
       sum(arraySum(mapValues(spent))) AS revenue,
       round(100 * toFloat64(sum(arraySum(mapValues(spent)))) / sum(toFloat64(sum(arraySum(mapValues(spent))))) OVER (), 1) AS percent_of_revenue
FROM customers
WHERE NOT prospect
GROUP BY customers_who
ORDER BY customers DESC
