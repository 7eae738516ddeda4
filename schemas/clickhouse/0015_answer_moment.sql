-- One clock: whoever names no moment is answered at the same one, by every view and every command. It is now, or the
-- newest event where that is older than two days; pipeline/core/answer_moment.py says the same. Views that end in _at are
-- asked for another moment: SELECT * FROM issues_at(at = '2026-03-01').

CREATE OR REPLACE FUNCTION loyalty_answers_at_newest_event AS (newest_event_, now_) -> ifNull(newest_event_ < now_ - toIntervalDay(2), false);

CREATE VIEW answer_moment
(
    at DateTime64(3, 'UTC') COMMENT 'The moment of every answer for which nobody names one',
    basis String COMMENT 'Why this one. newest event: it is older than two days; now: it is younger, or there is no event',
    newest_event Nullable(DateTime64(3, 'UTC')) COMMENT 'When the newest event of all customers happened; NULL: there is none'
)
AS SELECT
    if(loyalty_answers_at_newest_event(newest_event, asked_at), assumeNotNull(newest_event), asked_at) AS at,
    if(loyalty_answers_at_newest_event(newest_event, asked_at), 'newest event', 'now') AS basis,
    newest_event
FROM (SELECT maxOrNull(last_event_at) AS newest_event, now64(3, 'UTC') AS asked_at FROM customer_states FINAL)
COMMENT 'The moment of which views, questions and commands speak where nobody names one';

-- Alerts, and what acting on them changed

CREATE VIEW alerts_at AS
SELECT * EXCEPT (_appended_at, _topic, _partition, _offset), _appended_at AS told_at
FROM (SELECT * FROM alert_messages WHERE occurred_at <= {at:DateTime64(3, 'UTC')} ORDER BY _offset DESC LIMIT 1 BY customer_id, alert_id)
WHERE status != 'withdrawn'
COMMENT 'Every alert as it stood at a moment, by the messages about what had happened by then: alerts_at(at = \'2026-03-01\')';

CREATE VIEW holdout_uplift_at AS
WITH
    1.959963984540054 AS z,
    firsts AS
    (
        SELECT customer_id, argMin(held_out, (raised_at, alert_id)) AS arm, min(raised_at) AS first_at
        FROM alerts
        WHERE NOT backfill
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
    {days:UInt32} AS days,
    'effect_of_acting 1, relative_risk 1' AS definition_version
FROM counted
WHERE acted_for + held_out > 0
COMMENT 'What acting on alerts changed, against those held out: holdout_uplift_at(at = \'2026-03-01\', days = 90)';

CREATE OR REPLACE VIEW holdout_uplift_within AS
SELECT * FROM holdout_uplift_at(at = (SELECT at FROM answer_moment), days = {days:UInt32})
COMMENT 'What acting on alerts had changed by the answer moment, against those held out: holdout_uplift_within(days = 90)';

-- Views that say what holds now say what holds at the answer moment.

CREATE OR REPLACE VIEW customer_loyalty
(
    customer_id String COMMENT 'The customer',
    loyalty_at DateTime64(3, 'UTC') COMMENT 'The moment of which all the rest is said',
    lifecycle String COMMENT 'Where in their life with us a customer is, by their own rhythm: prospect, new, active, at rest or lapsed. (definition 1)',
    quadrant Nullable(String) COMMENT 'Regular against long-standing: which of the four a customer is. (definition 1)',
    regular Nullable(Bool) COMMENT 'Buys often and not only for small change: on 6 days or more within the last 365, with a mean purchase of at least half a typical one. Tenure has no part in it. Empty where it is not known what a typical purchase is. (definition 1)',
    long_standing Bool COMMENT 'First bought 365 days ago or longer. Says nothing about how often. (definition 1)',
    tenure_days UInt32 COMMENT 'Days since the first purchase. (days; definition 1)',
    occasions_in_year UInt32 COMMENT 'Days with a voluntary purchase within the last 365 days. (days; definition 1)',
    basket_ratio Nullable(Float64) COMMENT 'The mean purchase, measured in typical purchases (the median) of its currency. (definition 1)',
    purchases UInt32 COMMENT 'Purchases of any kind, refunds not counted. Frequency in RFM. (definition 1)',
    repeat_occasions UInt32 COMMENT 'Days with a voluntary purchase after the first such day; x in the literature. (days; definition 1)',
    recency_days UInt32 COMMENT 'Days from the first to the last voluntary purchase; t_x in the literature. (days; definition 1)',
    silence_days UInt32 COMMENT 'Days since the last voluntary purchase, or since the first purchase. (days; definition 1)',
    own_gap_days Float64 COMMENT 'How many days usually lie between two purchases of this customer: the mean of their own gaps and of one usual gap of all customers, which counts less the more gaps of their own there are. (days; definition 1)',
    silence_in_gaps Float64 COMMENT 'The silence in multiples of the customer\'s own gap. (definition 1)',
    days_since_last_purchase UInt32 COMMENT 'Days since the last purchase of any kind. Recency in RFM. (days; definition 1)',
    net_spent Map(String, Decimal(38, 4)) COMMENT 'What was paid less what was paid back, by currency. Monetary value in RFM. (money; definition 1)',
    incentivised_share Float64 COMMENT 'Share of purchases with a coupon or discount. (0 to 1; definition 1)',
    full_price_repeats UInt32 COMMENT 'Repeat occasions on which nothing was bought with an incentive: repeat_occasions without incentives. (days; definition 1)',
    programme_member Nullable(Bool) COMMENT 'In the loyalty programme, by the newest purchase that says so. (definition 1)',
    member_share Nullable(Float64) COMMENT 'Share of purchases made as a member of the programme. (0 to 1; definition 1)',
    cross_sold UInt32 COMMENT 'Categories the customer bought first after their first purchase. (definition 1)',
    referred_by Nullable(String) COMMENT 'The customer who recommended us to this one, by their first word on it. (definition 1)',
    referrals UInt64 COMMENT 'Customers whose purchases name this one as the one who recommended us. Counted in the warehouse, because the events that say so are those of the others. (definition 1)',
    promises_kept UInt32 COMMENT 'Promised call backs, answers and deliveries that came in time. They raise nothing: that is what was owed. (definition 1)',
    promises_late UInt32 COMMENT 'Promised call backs, answers and deliveries that came late. (definition 1)',
    promises_missed UInt32 COMMENT 'Promised call backs and answers that are overdue with no sign of them, the matter not settled by then. (definition 1)',
    promises_open UInt32 COMMENT 'Promised call backs and answers that are not due yet. (definition 1)',
    bound_by Array(String) COMMENT 'The kinds of what binds the customer now: of each kind what was said last. (definition 1)',
    attachment Nullable(Float64) COMMENT 'How attached a customer is of their own will: the mean of what is known of unprompted repurchase, recommendation, full-price share and ease, less 0.1 for each broken promise (0.3 at most). Satisfaction and purchases under obligation have no part in it. (0 to 1; definition 1)',
    unprompted_repurchase Nullable(Float64) COMMENT 'n / (n + 2), where n is the repeat days within the last 365 with neither obligation nor incentive; empty for a new customer, who had no occasion yet. (0 to 1; definition 1)',
    recommendation Nullable(Float64) COMMENT 'The newest answer to \'would you recommend us\', over 10; 1 where nothing was said but somebody was referred. (0 to 1; definition 1)',
    full_price_share Nullable(Float64) COMMENT 'Share of the repeat days within the last 365 without an incentive. (0 to 1; definition 1)',
    ease Nullable(Float64) COMMENT 'The newest effort answer, 1 is effortless: (5 - s) / 4 of CES 1, (s - 1) / 6 of CES 2. (0 to 1; definition 1)',
    captive Bool COMMENT 'Bound by force (contractual, technical, economic, situational) with an attachment below 0.4: latent churn, released when what binds ends. A risk, never loyalty. (definition 1)',
    released_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the last binding by force ends; empty: none holds, or no end is known. (time; definition 1)',
    next_notice_by Nullable(DateTime64(3, 'UTC')) COMMENT 'The next last moment to give notice of a contract in force. (time; definition 1)',
    satisfaction Nullable(Float64) COMMENT 'The newest answer about satisfaction, as a share of its scale. It is about the past and is never added to loyalty; 180 days later it says nothing about now. (0 to 1; definition 1)',
    repurchase_intent Nullable(Float64) COMMENT 'The newest answer to \'would you buy again\', as a share of its scale. (0 to 1; definition 1)',
    satisfied_but_at_risk Array(String) COMMENT 'Why a customer who was satisfied within the last 180 days (3/4 of the scale or more) is at risk: at rest or lapsed, would not recommend us, would not buy again, captive, or an open alert. (definition 1)',
    survey_consent LowCardinality(Nullable(String)) COMMENT 'Whether the customer agreed to be asked: granted, withdrawn, existing_customer, or empty: nobody knows. Their own newest word counts; a no outlasts a claimed exception. (definition 1)',
    may_survey Bool COMMENT 'A survey may be sent: consent, or a customer under the exception. (definition 1)',
    norms_version String COMMENT 'Version of the figures the loyalty state rests on that are not the customer\'s own. (definition 1)',
    definition_version String COMMENT 'Version of these definitions, all of them'
)
AS SELECT * FROM customer_loyalty_at(at = (SELECT at FROM answer_moment))
COMMENT 'The loyalty state of every customer at the answer moment; prospects have none';

CREATE OR REPLACE VIEW customer_outlook
(
    customer_id String COMMENT 'The customer',
    as_of DateTime64(3, 'UTC') COMMENT 'The answer moment; the day counts',
    model_version Nullable(String) COMMENT 'Version of the purchase model; NULL: none is recorded',
    contractual Bool COMMENT 'Bound by contract at that moment: no case for the models, look at the end of the contract instead',
    repeat_occasions UInt32 COMMENT 'x: days with a voluntary purchase after the first such day',
    t_x_weeks Float64 COMMENT 't_x: weeks from the first to the last voluntary purchase',
    T_weeks Float64 COMMENT 'T: weeks from the first voluntary purchase to the day of the question',
    p_alive Nullable(Float64) COMMENT 'Chance that the customer has not left for good, MBG/NBD; not for ranking',
    p_buy_90_days Nullable(Float64) COMMENT 'Chance of at least one day with a purchase in the next 90 days, BG/NBD',
    expected_purchases_1_year Nullable(Float64) COMMENT 'Expected days with a purchase in the next 365 days, BG/NBD; ranks customers',
    expected_purchases_2_years Nullable(Float64) COMMENT 'The same for 730 days',
    expected_purchases_3_years Nullable(Float64) COMMENT 'The same for 1,095 days',
    currency Nullable(String) COMMENT 'Currency of basket and value, that of the spend model; NULL: see note',
    valued_occasions Nullable(UInt32) COMMENT 'Days after the first with a voluntary purchase above zero, in that currency',
    mean_basket Nullable(Float64) COMMENT 'What was paid on such a day, on average; 0 without any',
    expected_basket Nullable(Float64) COMMENT 'Expected value of a day with a purchase, Gamma-Gamma',
    expected_value_1_year Nullable(Float64) COMMENT 'Expected_purchases_1_year times expected_basket; no discounting, no margin',
    expected_value_2_years Nullable(Float64) COMMENT 'The same for 730 days',
    expected_value_3_years Nullable(Float64) COMMENT 'The same for 1,095 days',
    note String COMMENT 'Why figures are missing; empty when none is'
)
AS SELECT * FROM customer_outlook_at(at = (SELECT at FROM answer_moment))
COMMENT 'What the recorded purchase model expects of every customer with a purchase, at the answer moment';

CREATE OR REPLACE VIEW issues
(
    customer_id String COMMENT 'The customer',
    issue_id String COMMENT 'The issue',
    origin String COMMENT 'Where the problem comes from, by the newest contact that knows',
    channel LowCardinality(String) COMMENT 'How the customer first reached us about it',
    opened_at DateTime64(3, 'UTC') COMMENT 'When its first contact began',
    contacts UInt32 COMMENT 'Contacts about it',
    repeats_7_days UInt32 COMMENT 'Of these, less than 7 days after the one before',
    repeats_30_days UInt32 COMMENT 'Of these, less than 30 days after the one before',
    transfers UInt32 COMMENT 'How often the customer was passed on',
    channel_switches UInt32 COMMENT 'Contacts by another channel than the one before',
    information_repetitions UInt32 COMMENT 'Contacts in which the customer had to say it again',
    reopenings UInt32 COMMENT 'Contacts after the one before had been called solved',
    waiting_minutes Float64 COMMENT 'How long the customer waited in all',
    self_service_first Bool COMMENT 'The customer tried to help themselves first',
    effortless Bool COMMENT 'One contact, not passed on, nothing said twice',
    agent_says_solved Bool COMMENT 'The agent calls the first contact solved',
    came_back Bool COMMENT 'The customer came back about it within 30 days, or about the same origin within 7',
    first_contact String COMMENT 'What became of the first contact: solved, came back, left open',
    settled Bool COMMENT 'What the customer does after that moment cannot change that',
    days_to_resolution Nullable(Float64) COMMENT 'Until it was called solved; NULL while it is not',
    synthetic Bool COMMENT 'Rests on generated contacts'
)
AS SELECT * FROM issues_at(at = (SELECT at FROM answer_moment))
COMMENT 'Every issue as of the answer moment: what it cost the customer, and what became of its first contact';

CREATE OR REPLACE VIEW effort_by_origin
(
    origin String COMMENT 'Where the problem comes from; all: every origin',
    channel String COMMENT 'How the customer first reached us; all: every channel',
    n UInt64 COMMENT 'Issues',
    contacts_per_issue Float64 COMMENT 'Contacts it took',
    repeats_7_days_per_issue Float64 COMMENT 'Contacts less than 7 days after the one before',
    repeats_30_days_per_issue Float64 COMMENT 'Contacts less than 30 days after the one before',
    transfers_per_issue Float64 COMMENT 'How often the customer was passed on',
    channel_switches_per_issue Float64 COMMENT 'Contacts by another channel than the one before',
    information_repetitions_per_issue Float64 COMMENT 'Contacts in which the customer had to say it again',
    reopenings_per_issue Float64 COMMENT 'Contacts after the one before had been called solved',
    waiting_minutes_per_contact Float64 COMMENT 'How long the customer waited',
    days_to_resolution Nullable(Float64) COMMENT 'Mean of the issues that are called solved',
    effortless Float64 COMMENT 'Share of issues that took one contact, not passed on, nothing said twice',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    synthetic_issues UInt64 COMMENT 'Issues that rest on generated contacts',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM effort_by_origin_at(at = (SELECT at FROM answer_moment), days = 36500)
COMMENT 'What getting issues solved costs customers, by where the problem comes from and how they first reached us, as of the answer moment';

CREATE OR REPLACE VIEW first_contact_resolution
(
    origin String COMMENT 'Where the problem comes from; all: every origin',
    n UInt64 COMMENT 'Settled issues: what the customer does after that moment cannot change them',
    first_contact_resolution Nullable(Float64) COMMENT 'Share of settled issues that the first contact solved, by what the customer did next',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    agents_claim Nullable(Float64) COMMENT 'Share of the same issues whose first contact the agent calls solved',
    agents_claim_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    agents_claim_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    provisional_n UInt64 COMMENT 'Issues whose 30 days are not over and whose customer has not come back',
    provisional_first_contact_resolution Nullable(Float64) COMMENT 'Share of these that are called solved so far; it can only fall, because those who come back leave it',
    provisional_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    provisional_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM first_contact_resolution_at(at = (SELECT at FROM answer_moment), days = 36500)
COMMENT 'How many issues the first contact solves, settled and provisional, as of the answer moment';

CREATE OR REPLACE VIEW nps_by_segment
(
    segment_kind String COMMENT 'all, lifecycle, quadrant or touchpoint',
    segment String COMMENT 'The segment; a touchpoint is what the answer refers to',
    n UInt64 COMMENT 'Customers who answered, each once with the newest answer (for touchpoints: the newest about it)',
    detractors UInt64 COMMENT 'Answers 0 to 6',
    passives UInt64 COMMENT 'Answers 7 and 8',
    promoters UInt64 COMMENT 'Answers 9 and 10',
    nps Float64 COMMENT 'Promoters minus detractors, in points, -100 to 100',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (adjusted Wald, Rocks 2016)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (adjusted Wald, Rocks 2016)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM nps_by_segment_at(at = (SELECT at FROM answer_moment), days = 36500)
COMMENT 'Recommendation by quadrant, lifecycle and touchpoint, as of the answer moment';

CREATE OR REPLACE VIEW long_standing_against_regular
(
    tenure String COMMENT 'First bought 365 days ago or longer, or not',
    regular UInt64 COMMENT 'Of these, regulars: buy often and not only for small change',
    not_regular UInt64 COMMENT 'Of these, no regulars',
    regularity_not_known UInt64 COMMENT 'Of these, buy often, and nobody knows what a typical purchase is in their currency',
    n UInt64 COMMENT 'Customers; prospects are none',
    captive UInt64 COMMENT 'Of these, bound without being attached',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM long_standing_against_regular_at(at = (SELECT at FROM answer_moment))
COMMENT 'Long-standing against regular, as of the answer moment: two questions, four answers';

CREATE OR REPLACE VIEW contract_calendar
(
    month Date COMMENT 'First day of the month',
    notices_due UInt64 COMMENT 'Customers whose next last moment to give notice lies in it',
    notices_due_captive UInt64 COMMENT 'Of these, captive: bound without being attached',
    released UInt64 COMMENT 'Customers who are free in it: the last of what binds them by force ends',
    released_captive UInt64 COMMENT 'Of these, captive',
    captive_customers Array(String) COMMENT 'The captive ones among both',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM contract_calendar_at(at = (SELECT at FROM answer_moment))
COMMENT 'When what binds customers ends, and when notice can be given last, from the answer moment on';

CREATE OR REPLACE VIEW cohorts
(
    cohort Date COMMENT 'First day of the month of the first voluntary purchase',
    customers UInt64 COMMENT 'Customers of the cohort',
    n UInt64 COMMENT 'Of these, whose 90 days are over',
    came_back UInt64 COMMENT 'Of these, bought voluntarily on a further day within 90 days',
    repeat_rate Nullable(Float64) COMMENT 'Share of n that came back',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM cohorts_at(at = (SELECT at FROM answer_moment), days = 90)
COMMENT 'How many of those who first bought in a month came back within 90 days';

CREATE OR REPLACE VIEW cross_sell
(
    started_with String COMMENT 'A category of the first purchase that had any',
    then_bought String COMMENT 'A category first bought later; any other: at least one',
    n UInt64 COMMENT 'Customers who started with the first one',
    bought UInt64 COMMENT 'Of these, bought in the second one later',
    cross_sell_rate Float64 COMMENT 'Share of n that did',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM cross_sell_at(at = (SELECT at FROM answer_moment))
COMMENT 'Who started with a category and later bought in one that was new to them';

CREATE OR REPLACE VIEW rfm
(
    customer_id String COMMENT 'The customer',
    days_since_last_purchase UInt32 COMMENT 'Days since the last purchase of any kind',
    purchases UInt32 COMMENT 'Purchases of any kind, refunds not counted',
    net_spent Map(String, Decimal(38, 4)) COMMENT 'What was paid less what was paid back, by currency',
    recency UInt8 COMMENT 'Fifth of all customers by the last purchase: 1 the longest ago, 5 the newest',
    frequency UInt8 COMMENT 'Fifth of all customers by purchases: 5 the most',
    monetary UInt8 COMMENT 'Fifth of the customers of a currency by net spent: 5 the most; of several currencies the best',
    strength UInt8 COMMENT 'Mean of frequency and monetary, halves rounded up',
    segment String COMMENT 'Name of the pair of recency and strength, see rfm_segment in the glossary',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM rfm_at(at = (SELECT at FROM answer_moment))
COMMENT 'Recency, frequency and monetary value in fifths of all customers, as of the answer moment';

CREATE OR REPLACE VIEW contact_days
(
    customer_id String COMMENT 'The customer, who had bought voluntarily before',
    day Date COMMENT 'A day on which they contacted service',
    risk Nullable(Float64) COMMENT 'Highest churn risk of their alerts that were open at the end of the day and had news on it; NULL: no alert',
    days_since_last_purchase Float64 COMMENT 'Days from the last voluntary purchase to the last contact of the day',
    horizon_days Float64 COMMENT 'Within how many days a voluntary purchase had to follow: 3 of their own gaps, 60 at least, 365 at most',
    fell_silent Bool COMMENT 'None did',
    known Bool COMMENT 'The horizon is over',
    acted Bool COMMENT 'The desk acted for the customer on the day or within 30 days',
    synthetic Bool COMMENT 'Rests on generated contacts'
)
AS SELECT customer_id, day, risk, days_since_last_purchase, horizon_days, fell_silent, known, acted, synthetic
FROM contact_days_at(at = (SELECT at FROM answer_moment))
COMMENT 'Customers on days on which they contacted service: their risk, and whether they fell silent';

CREATE OR REPLACE VIEW alert_precision
(
    called_first String COMMENT 'The order in which the desk calls: by its alerts, by the days since the last purchase, or by none',
    n UInt64 COMMENT 'Calls: 10 a day, or as many as there were customers',
    fell_silent Float64 COMMENT 'Of these, fell silent; who is tied for the last calls of a day counts in part',
    precision Float64 COMMENT 'Share of the calls that reach somebody who falls silent',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    calls_a_day UInt32 COMMENT 'Calls the desk can make on a day',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM alert_precision_at(at = (SELECT at FROM answer_moment), capacity = 10)
COMMENT 'Whom a desk reaches with 10 calls a day, by alerts and by the plainest rule there is; without customers it acted for';

CREATE OR REPLACE VIEW calibration
(
    risk_from Float64 COMMENT 'Lower border of the class of risk, which belongs to it',
    risk_to Float64 COMMENT 'Upper border',
    n UInt64 COMMENT 'Customers on days on which they contacted service and had an alert; not those the desk acted for',
    mean_risk Float64 COMMENT 'Their mean churn risk: what was said',
    fell_silent Float64 COMMENT 'Share that fell silent: what came of it',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM calibration_at(at = (SELECT at FROM answer_moment))
COMMENT 'Risk against what came of it, in ten classes';
