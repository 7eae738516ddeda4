-- Where do problems come from, and how many contacts does it take to get rid of them?
SELECT origin,
       uniqExact(customer_id, issue_id) AS issues,
       uniqExact(customer_id, contact_id) AS contacts,
       round(contacts / issues, 2) AS contacts_per_issue,
       round(100 * uniqExactIf((customer_id, contact_id), transfers > 0) / contacts, 1) AS percent_transferred
FROM service_contacts
GROUP BY origin
ORDER BY contacts DESC
