-- Which customers are bound without being attached, and when are they free?
-- All captive customers, whatever their tenure; those whose last moment to give notice comes next stand first.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs customers: nobody has bought anything yet
SELECT customer_id,
       attachment,
       arrayStringConcat(arraySort(bound_by), ', ') AS bound_by,
       toDate(next_notice_by) AS notice_by,
       toDate(released_at) AS free_on,
       quadrant,
       lifecycle,
       'captive 1' AS definition_version
FROM customer_loyalty_at(at = {at:DateTime64(3, 'UTC')})
WHERE captive
ORDER BY next_notice_by IS NULL, next_notice_by, released_at IS NULL, released_at, customer_id
