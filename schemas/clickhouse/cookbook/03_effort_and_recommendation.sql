-- Do customers for whom a solution was hard to get recommend us less?
-- Pairs answers about the same contact, so it reads all raw survey answers.
-- NPS by the ease (CES 2) the customer reports of the same contact, with its 95 % interval; n are pairs of answers.
SELECT multiIf(ease.score >= 5, 'easy (5 to 7)', ease.score >= 4, 'middling (4)', 'hard (1 to 3)') AS it_was,
       count() AS n,
       countIf(advice.score <= 6) AS detractors,
       countIf(advice.score >= 9) AS promoters,
       round(100 * (promoters - detractors) / n, 1) AS nps,
       round(loyalty_nps_low(promoters, detractors, n), 1) AS low,
       round(loyalty_nps_high(promoters, detractors, n), 1) AS high,
       'nps 1' AS definition_version
FROM survey_responses AS ease
INNER JOIN survey_responses AS advice ON advice.contact_id = ease.contact_id AND advice.customer_id = ease.customer_id
WHERE ease.instrument = 'ces2' AND advice.instrument = 'nps' AND ease.contact_id != ''
GROUP BY it_was
ORDER BY nps DESC
