-- Do customers for whom a solution was hard to get recommend us less? (NPS by ease of the same contact)
SELECT multiIf(ease.score >= 5, 'easy (5 to 7)', ease.score >= 4, 'middling (4)', 'hard (1 to 3)') AS it_was,
       count() AS answers,
       round(100 * (countIf(nps.score >= 9) - countIf(nps.score <= 6)) / count(), 1) AS nps,
       countIf(nps.score <= 6) AS detractors
FROM survey_responses AS ease
INNER JOIN survey_responses AS nps ON nps.contact_id = ease.contact_id AND nps.customer_id = ease.customer_id
WHERE ease.instrument = 'ces2' AND nps.instrument = 'nps' AND ease.contact_id != ''
GROUP BY it_was
ORDER BY nps DESC
