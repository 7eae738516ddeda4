-- Which long-standing customers are not regulars, and which of them are captive?
-- Long-standing: first bought 365 days ago or longer. Not regular: buys seldom, or for small change. Captive: bound
-- without being attached; those stand first. `loyalty glossary captive` says more, `loyalty customer ID` everything about one.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs customers: nobody has bought anything yet
SELECT customer_id,
       captive,
       attachment,
       arrayStringConcat(arraySort(bound_by), ', ') AS bound_by,
       toDate(released_at) AS free_on,
       toDate(next_notice_by) AS notice_by,
       lifecycle,
       tenure_days,
       occasions_in_year AS purchase_days_in_year,
       'long-standing, not regular 1, captive 1' AS definition_version
FROM customer_loyalty_at(at = {at:DateTime64(3, 'UTC')})
WHERE quadrant = 'long-standing, not regular'
ORDER BY captive DESC, attachment, customer_id
