-- Outcomes say why, alerts say which experiment drew their arm, and what is measured says the smallest effect it could have shown.

ALTER TABLE raw_alert_outcomes ADD COLUMN IF NOT EXISTS reason LowCardinality(String) COMMENT 'Why; empty when not stated' AFTER result;

CREATE OR REPLACE VIEW alert_outcomes AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset)
FROM raw_alert_outcomes
WHERE (_partition, _offset) NOT IN (SELECT _partition, _offset FROM repeats_of_alert_outcomes)
COMMENT 'What desks did about alerts, each event once';

ALTER TABLE alert_outcomes
    COMMENT COLUMN event_id 'Identity of the event, given by its producer',
    COMMENT COLUMN customer_id 'The customer',
    COMMENT COLUMN occurred_at 'When it happened, by the clock of the source',
    COMMENT COLUMN alert_id 'The alert',
    COMMENT COLUMN action 'What the desk did',
    COMMENT COLUMN result 'What came of it',
    COMMENT COLUMN reason 'Why; empty when not stated',
    COMMENT COLUMN desk 'Which desk, empty when not stated',
    COMMENT COLUMN note 'A note of the desk',
    COMMENT COLUMN survey_consent 'granted, withdrawn, existing_customer, or empty: not said',
    COMMENT COLUMN survey_consent_at 'When that was said, where not at occurred_at',
    COMMENT COLUMN source 'The system the event comes from, empty when it did not say',
    COMMENT COLUMN synthetic 'Generated, not observed',
    COMMENT COLUMN backfill 'Imported history: nobody was told anything because of it',
    COMMENT COLUMN raw 'The original bytes when they hold fields the contract does not know; empty otherwise';

ALTER TABLE alert_messages ADD COLUMN IF NOT EXISTS experiment LowCardinality(String) COMMENT 'The experiment that drew held_out; empty: drawn from the id of the alert' AFTER held_out;

ALTER TABLE alert_states ADD COLUMN IF NOT EXISTS experiment LowCardinality(String) COMMENT 'The experiment that drew held_out; empty: drawn from the id of the alert' AFTER held_out;

CREATE OR REPLACE VIEW alerts AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset), _appended_at AS told_at
FROM alert_states FINAL
WHERE status != 'withdrawn'
COMMENT 'Every alert as it stands now';

ALTER TABLE alerts
    COMMENT COLUMN alert_id 'Identity of the alert: a hash of rule, customer and issue',
    COMMENT COLUMN customer_id 'The customer',
    COMMENT COLUMN issue_id 'The issue',
    COMMENT COLUMN rule 'The rule that raised it',
    COMMENT COLUMN rule_version 'Version of its coefficients',
    COMMENT COLUMN transition 'raised, escalated, eased, updated, resolved, closed, reopened or withdrawn',
    COMMENT COLUMN status 'open, resolved, closed or withdrawn',
    COMMENT COLUMN severity 'medium, high or critical',
    COMMENT COLUMN churn_risk_0_1 'Churn risk after the contact, 0 to 1',
    COMMENT COLUMN churn_risk_before_0_1 'Churn risk without the contact, 0 to 1',
    COMMENT COLUMN terms 'Terms of the score',
    COMMENT COLUMN logits 'What each term adds to the logit',
    COMMENT COLUMN reasons 'Why, in words',
    COMMENT COLUMN recommended_action 'What to do next',
    COMMENT COLUMN history 'The contacts about the issue in one line',
    COMMENT COLUMN contact_ids 'The contacts it rests on',
    COMMENT COLUMN evidence 'The events it rests on',
    COMMENT COLUMN held_out 'Nobody acts on it, to measure what acting does',
    COMMENT COLUMN experiment 'The experiment that drew held_out; empty: drawn from the id of the alert',
    COMMENT COLUMN backfill 'For the record, not for the desk: the issue is known from imported history only',
    COMMENT COLUMN caused_by_event 'The event that led to this message',
    COMMENT COLUMN raised_at 'When the risk first crossed the threshold, in event time',
    COMMENT COLUMN occurred_at 'Event time of this message',
    COMMENT COLUMN synthetic 'Rests on generated contacts',
    COMMENT COLUMN told_at 'When the broker received its newest message';

-- The smallest effect that so many customers would have shown four times in five: 7.848… is (z(0.975) + z(0.8))², see smallest_effect in the glossary.

CREATE OR REPLACE FUNCTION loyalty_smallest_effect AS (churn, treated, untreated) ->
    if(treated = 0 OR untreated = 0, NULL, arrayMap(effect -> if(effect > 0 AND effect <= churn, effect, NULL), arrayMap(
        (square, linear, constant) -> (sqrt(linear * linear + 4 * square * constant) - linear) / (2 * square),
        [1 + 7.848879734349086 / treated],
        [7.848879734349086 * (1 - 2 * churn) / treated],
        [7.848879734349086 * churn * (1 - churn) * (1 / treated + 1 / untreated)]))[1]);

-- What acting changed is measured within one experiment, the newest: in it every customer is in one arm.

CREATE OR REPLACE VIEW holdout_uplift_at AS
WITH
    1.959963984540054 AS z,
    (SELECT argMax(experiment, (raised_at, alert_id)) FROM alerts WHERE NOT backfill AND raised_at <= {at:DateTime64(3, 'UTC')}) AS measured,
    firsts AS
    (
        SELECT customer_id, argMin(held_out, (raised_at, alert_id)) AS arm, min(raised_at) AS first_at
        FROM alerts
        WHERE NOT backfill AND experiment = measured
        GROUP BY customer_id
    ),
    bought AS
    (
        SELECT customer_id, groupArray(occurred_at) AS moments
        FROM purchases
        WHERE customer_id IN (SELECT customer_id FROM alert_states) AND NOT obligated AND refund_of = ''
        GROUP BY customer_id
    ),
    judged AS
    (
        SELECT arm, NOT arrayExists(at -> at > first_at AND at <= first_at + toIntervalDay({days:UInt32}), moments) AS gone
        FROM firsts
        LEFT JOIN bought ON bought.customer_id = firsts.customer_id
        WHERE first_at + toIntervalDay({days:UInt32}) <= least({at:DateTime64(3, 'UTC')}, (SELECT max(occurred_at) FROM raw_purchases))
    ),
    counted AS
    (
        SELECT
            countIf(NOT arm) AS acted_for,
            countIf(NOT arm AND gone) AS acted_for_left,
            countIf(arm) AS held_out,
            countIf(arm AND gone) AS held_out_left,
            if(acted_for = 0, NULL, acted_for_left / acted_for) AS one,
            if(held_out = 0, NULL, held_out_left / held_out) AS other,
            loyalty_share_low(acted_for_left, acted_for) AS one_low,
            loyalty_share_high(acted_for_left, acted_for) AS one_high,
            loyalty_share_low(held_out_left, held_out) AS other_low,
            loyalty_share_high(held_out_left, held_out) AS other_high,
            acted_for_left > 0 AND held_out_left > 0 AS has_ratio,
            sqrt(1 / acted_for_left - 1 / acted_for + 1 / held_out_left - 1 / held_out) AS ratio_error
        FROM judged
    )
SELECT
    acted_for + held_out AS n,
    acted_for,
    acted_for_left,
    held_out,
    held_out_left,
    one - other AS effect_of_acting,
    effect_of_acting - sqrt(pow(one - one_low, 2) + pow(other_high - other, 2)) AS low,
    effect_of_acting + sqrt(pow(one_high - one, 2) + pow(other - other_low, 2)) AS high,
    if(has_ratio, one / other, NULL) AS relative_risk,
    if(has_ratio, exp(log(one / other) - z * ratio_error), NULL) AS relative_risk_low,
    if(has_ratio, exp(log(one / other) + z * ratio_error), NULL) AS relative_risk_high,
    multiIf(
        held_out = 0, 'nobody was held out: nothing to compare with',
        acted_for = 0, 'nobody was acted for: no effect to measure',
        high < 0, 'acting helped',
        low > 0, 'acting harmed',
        'no significant difference') AS verdict,
    loyalty_smallest_effect(other, acted_for, held_out) AS smallest_effect,
    measured AS experiment,
    {days:UInt32} AS days,
    'effect_of_acting 1, relative_risk 1, smallest_effect 1' AS definition_version
FROM counted
WHERE acted_for + held_out > 0
COMMENT 'What acting on alerts changed, against those held out: holdout_uplift_at(at = \'2026-03-01\', days = 90)';

CREATE OR REPLACE VIEW holdout_uplift_within AS
SELECT * FROM holdout_uplift_at(at = (SELECT at FROM answer_moment), days = {days:UInt32})
COMMENT 'What acting on alerts had changed by the answer moment, against those held out: holdout_uplift_within(days = 90)';

CREATE OR REPLACE VIEW holdout_uplift
(
    n UInt64 COMMENT 'Customers with an alert whose 90 days are over, each with their first alert',
    acted_for UInt64 COMMENT 'Of these, the desk was to act for',
    acted_for_left UInt64 COMMENT 'Of these, bought nothing voluntarily within 90 days',
    held_out UInt64 COMMENT 'Held out by a draw: nobody was to act for them',
    held_out_left UInt64 COMMENT 'Of these, bought nothing voluntarily within 90 days',
    effect_of_acting Nullable(Float64) COMMENT 'Share that left among those acted for minus the share among those held out; below zero: acting kept customers',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Newcombe 1998, method 10)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Newcombe 1998, method 10)',
    relative_risk Nullable(Float64) COMMENT 'The same as a ratio; NULL where an arm lost nobody',
    relative_risk_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Katz et al. 1978)',
    relative_risk_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Katz et al. 1978)',
    verdict String COMMENT 'What the interval allows to be said',
    smallest_effect Nullable(Float64) COMMENT 'The smallest share of customers kept that so many customers would have shown four times in five; NULL: not even all of them',
    experiment String COMMENT 'The experiment that is measured, the one of the newest alert; empty: arms were drawn from ids of alerts',
    days UInt32 COMMENT 'Within how many days a customer had to come back',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM holdout_uplift_within(days = 90)
COMMENT 'What acting on alerts changed within 90 days, against those held out';

CREATE OR REPLACE VIEW alert_precision_at AS
WITH
    judged AS
    (
        SELECT day, order_of.1 AS called_first, order_of.2 AS score, fell_silent
        FROM contact_days_at(at = {at:DateTime64(3, 'UTC')})
        ARRAY JOIN [
            ('alerts, highest risk first', ifNull(risk, 0.)),
            ('baseline: longest since the last purchase first', days_since_last_purchase),
            ('nobody first: all alike', 0.)] AS order_of
        WHERE known AND NOT acted
    ),
    ranked AS
    (
        SELECT
            called_first,
            fell_silent,
            rank() OVER (PARTITION BY called_first, day ORDER BY score DESC) - 1 AS ahead,
            count() OVER (PARTITION BY called_first, day, score) AS alike,
            least({capacity:UInt32}, count() OVER (PARTITION BY called_first, day)) AS places,
            greatest(0., least(1., (toFloat64(places) - ahead) / alike)) AS chance
        FROM judged
    )
SELECT
    called_first,
    calls AS n,
    hits AS fell_silent,
    hits / calls AS precision,
    loyalty_share_low(hits, calls) AS low,
    loyalty_share_high(hits, calls) AS high,
    if(called_first = 'nobody first: all alike', NULL, loyalty_smallest_effect(1 - by_chance, calls, calls)) AS smallest_lead,
    {capacity:UInt32} AS calls_a_day,
    'precision_at_capacity 1, silent_after_contact 1, smallest_effect 1' AS definition_version
FROM
(
    SELECT *, max(if(called_first = 'nobody first: all alike', hits / calls, NULL)) OVER () AS by_chance
    FROM (SELECT called_first, toUInt64(round(sum(chance))) AS calls, sum(ranked.fell_silent * chance) AS hits FROM ranked GROUP BY called_first)
)
COMMENT 'Whom a desk reaches that calls so many a day: alert_precision_at(at = \'2026-03-01\', capacity = 10)';

CREATE OR REPLACE VIEW alert_precision
(
    called_first String COMMENT 'The order in which the desk calls: by its alerts, by the days since the last purchase, or by none',
    n UInt64 COMMENT 'Calls: 10 a day, or as many as there were customers',
    fell_silent Float64 COMMENT 'Of these, fell silent; who is tied for the last calls of a day counts in part',
    precision Float64 COMMENT 'Share of the calls that reach somebody who falls silent',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    smallest_lead Nullable(Float64) COMMENT 'The smallest lead over calling at random that so many calls would have shown four times in five; NULL: not even if all of them had reached one',
    calls_a_day UInt32 COMMENT 'Calls the desk can make on a day',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM alert_precision_at(at = (SELECT at FROM answer_moment), capacity = 10)
COMMENT 'Whom a desk reaches with 10 calls a day, by alerts and by the plainest rule there is; without customers it acted for';

-- What the desk found: a false alarm is no customer whose problem was solved before anybody acted.

CREATE VIEW false_alarms_at AS
WITH
    judged AS
    (
        SELECT customer_id, alert_id, argMax((result, reason), (occurred_at, event_id)) AS final
        FROM alert_outcomes
        WHERE result IN ('retained', 'lost', 'not_needed') AND occurred_at <= {at:DateTime64(3, 'UTC')}
        GROUP BY customer_id, alert_id
    )
SELECT
    of_severity AS severity,
    count() AS n,
    countIf(final.2 = 'false_alarm') AS false_alarms,
    false_alarms / n AS false_alarm_rate,
    loyalty_share_low(false_alarms, n) AS low,
    loyalty_share_high(false_alarms, n) AS high,
    countIf(final.2 = 'solved_itself') AS solved_itself,
    countIf(final.2 = 'already_handled') AS already_handled,
    countIf(final.1 = 'not_needed' AND final.2 IN ('', 'other')) AS not_needed_for_unknown_reasons,
    (false_alarms + not_needed_for_unknown_reasons) / n AS false_alarm_rate_at_most,
    'false_alarm_rate 1' AS definition_version
FROM judged
INNER JOIN (SELECT customer_id, alert_id, severity AS own FROM alerts_at(at = {at:DateTime64(3, 'UTC')}) WHERE NOT backfill AND NOT held_out) AS alert USING (customer_id, alert_id)
ARRAY JOIN ['all', toString(own)] AS of_severity
GROUP BY of_severity
COMMENT 'How many alerts the desk called false: false_alarms_at(at = \'2026-03-01\')';

CREATE VIEW false_alarms
(
    severity String COMMENT 'Severity of the alerts as they stand at the answer moment; all: of any',
    n UInt64 COMMENT 'Alerts that the desk is done with, each by its newest final outcome',
    false_alarms UInt64 COMMENT 'Of these, not needed because the customer was never at risk',
    false_alarm_rate Float64 COMMENT 'Share of false alarms',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    solved_itself UInt64 COMMENT 'Not needed because it was settled before anybody acted: no false alarm',
    already_handled UInt64 COMMENT 'Not needed because somebody else had acted: no false alarm',
    not_needed_for_unknown_reasons UInt64 COMMENT 'Not needed, and nobody said why',
    false_alarm_rate_at_most Float64 COMMENT 'The share if all of those were false alarms too',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM false_alarms_at(at = (SELECT at FROM answer_moment))
COMMENT 'How many alerts the desk called false, by severity';
