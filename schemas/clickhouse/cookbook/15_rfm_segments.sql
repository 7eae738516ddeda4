-- How do customers divide by recency, frequency and monetary value (RFM)?
-- Fifths of all customers, 5 the best; money is compared within its currency. `loyalty glossary rfm_segment` has the table of segments.
-- What somebody bought before says less about loyalty than `loyalty ask long standing against regular`: obligation buys too.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs customers: nobody has bought anything yet
SELECT segment,
       count() AS customers,
       count() / sum(count()) OVER () AS share_of_customers,
       avg(recency) AS mean_recency_fifth,
       avg(frequency) AS mean_frequency_fifth,
       avg(monetary) AS mean_monetary_fifth,
       avg(days_since_last_purchase) AS mean_days_since_last_purchase,
       avg(purchases) AS mean_purchases,
       any(definition_version) AS definition_version
FROM rfm_at(at = {at:DateTime64(3, 'UTC')})
GROUP BY segment
ORDER BY customers DESC, segment
