-- Where do problems come from, and how many contacts does it take to get rid of them?
-- Puts all stages of contacts together, so it reads all raw service contacts.
-- An origin is what the contact says; `loyalty ask effort_by_origin` has the rest of what it costs customers.
SELECT origin,
       uniqExact(customer_id, issue_id) AS issues,
       count() AS n,
       round(n / issues, 2) AS contacts_per_issue,
       round(100 * countIf(transfers > 0) / n, 1) AS percent_transferred,
       round(100 * loyalty_share_low(countIf(transfers > 0), n), 1) AS low,
       round(100 * loyalty_share_high(countIf(transfers > 0), n), 1) AS high,
       'contacts_transferred 1' AS definition_version
FROM contacts
GROUP BY origin
ORDER BY n DESC, origin
