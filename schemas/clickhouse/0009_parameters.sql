-- What customers are expected to do, in SQL; the parameters it rests on; and every churn risk with its contributions.
--
-- SQL functions belong to the server, not to a database: theirs is the prefix loyalty_. They equal pipeline/core
-- (purchasing, spending, mixture) to 1e-9, and are not a number where it refuses: a parameter or a history that makes
-- no sense, q <= 1. Times are in weeks: t_x from the first to the last day with a purchase, T from the first to now.
-- Customers bound by contract are no case for them. Names that end in _ are bound once by the lambdas around them.

-- ln Gamma(z) - z ln z + z: what is left when the large terms, which cancel in a beta function, are taken away.
CREATE OR REPLACE FUNCTION loyalty_log_gamma_rest AS (z) -> if(z < 10,
    lgamma(z) - z * log(z) + z,
    0.5 * log(2 * pi() / z) + (1/12 - (1/360 - (1/1260 - (1/1680 - (1/1188 - 691/360360 / (z * z)) / (z * z)) / (z * z)) / (z * z)) / (z * z)) / z);

-- 1 - exp(-y) for y >= 0, exact to the last digits near 0, where tanh of ClickHouse is not; beyond 1400 it is 1.
CREATE OR REPLACE FUNCTION loyalty_one_minus_exp AS (y) -> 2 * sinh(least(y, 1400.) / 2) * exp(-least(y, 1400.) / 2);

-- How far from its peak, in logit(p), the density of Beta(own, other) has fallen by `depth` logarithms at most, on the
-- side of `own`: a bound from the curvature, brought nearer four times.
CREATE OR REPLACE FUNCTION loyalty_reach AS (own, other, depth) -> arrayMap(
    (own_, other_, depth_, ratio_) -> arrayFold(
        (far_, i_) -> least(far_, log1p((exp(least((depth_ + other_ * far_) / (own_ + other_), 700.)) - 1) * (own_ + other_) / other_)),
        range(4),
        (ratio_ + sqrt(ratio_ * (ratio_ + 8))) / 2),
    [toFloat64(own)], [toFloat64(other)], [toFloat64(depth)], [depth * (toFloat64(own) + other) / own / other])[1];

-- Expected purchases of a living customer: the mean of g(p) = (1 - (1 + p w)^-k) / p over p ~ Beta(a, beta), the 2F1 of
-- the papers. What g is at either end, k w (1-p)^m and (1 - (1+w)^-k) p^2, has a mean in closed form. What is left dies
-- away at both ends of logit(p) and is analytic, so the trapezoidal rule converges exponentially: with 113 nodes to
-- 1e-11 for a, beta in 1e-3..1e3, k <= 220, w <= 26,000 (against purchases_while_alive, proven in 60 digits).
CREATE OR REPLACE FUNCTION loyalty_purchases_while_alive AS (a, beta, k, w) -> arrayMap(
    (a_, b_, k_, w_, n_, p_, m_, edge_) -> arrayMap(
        (a_, b_, k_, w_, n_, p_, m_, left_, right_) -> arrayMap(
            (a_, b_, k_, w_, n_, p_, m_, left_, step_, last_, q_, logq_) ->
                k_ * w_ * exp(
                    loyalty_log_gamma_rest(b_ + m_) - loyalty_log_gamma_rest(n_ + m_)
                    - loyalty_log_gamma_rest(b_) + loyalty_log_gamma_rest(n_)
                    + a_ * log(n_ / (n_ + m_)) - (b_ + m_) * log1p(a_ / (b_ + m_)) + b_ * log1p(a_ / b_))
                + last_ * p_ * (a_ + 1) / (n_ + 1)
                + step_ * exp(loyalty_log_gamma_rest(n_) - loyalty_log_gamma_rest(a_) - loyalty_log_gamma_rest(b_))
                    * arrayFold(
                        (sum_, i_) -> sum_
                            + exp(a_ * (step_ * i_ - left_) - n_ * log(q_ + p_ * exp(step_ * i_ - left_))) * (
                                loyalty_one_minus_exp(k_ * log1p(w_ * (p_ * exp(step_ * i_ - left_) / (q_ + p_ * exp(step_ * i_ - left_)))))
                                    / (p_ * exp(step_ * i_ - left_) / (q_ + p_ * exp(step_ * i_ - left_)))
                                - k_ * w_ * exp(m_ * (logq_ - log(q_ + p_ * exp(step_ * i_ - left_))))
                                - last_ * pow(p_ * exp(step_ * i_ - left_) / (q_ + p_ * exp(step_ * i_ - left_)), 2)),
                        range(113), 0. * a_ * b_ * k_ * w_),
            [a_], [b_], [k_], [w_], [n_], [p_], [m_], [left_], [(left_ + right_) / 112],
            [loyalty_one_minus_exp(k_ * log1p(w_))], [b_ / n_], [log(b_ / n_)])[1],
        [a_], [b_], [k_], [w_], [n_], [p_], [m_],
        [greatest(0.01, least(loyalty_reach(a_, b_, 28 + log1p(k_ * w_)), log(a_ / b_) + log1p(m_) + edge_))],
        [greatest(0.01, least(loyalty_reach(b_, a_, 28), 25 - log(a_ / b_)))])[1],
    [toFloat64(a)], [toFloat64(beta)], [toFloat64(k)], [toFloat64(w)], [toFloat64(a) + beta], [a / (toFloat64(a) + beta)],
    [greatest((toFloat64(k) + 1) * w / 2, 2.)], [if((toFloat64(k) + 1) * w / 2 >= 2, 15., 25.)])[1];

-- What pipeline/core refuses, these say is false.
CREATE OR REPLACE FUNCTION loyalty_makes_sense AS (r, alpha, a, b, x, t_x, T) ->
    least(r, alpha, a, b) >= 1e-6 AND greatest(r, alpha, a, b) <= 1e7
    AND x BETWEEN 0 AND 1000000 AND t_x >= 0 AND t_x <= T AND T < inf AND (x = 0) = (t_x = 0);

-- P(alive). Never rank by it; BG/NBD's is 1 for everybody who bought once.
CREATE OR REPLACE FUNCTION loyalty_p_alive_bg_nbd AS (r, alpha, a, b, x, t_x, T) -> if(
    loyalty_makes_sense(r, alpha, a, b, x, t_x, T),
    if(x = 0, 1., 1 / (1 + exp(log(a) - log(b + x - 1) + (r + x) * log1p((T - t_x) / (alpha + t_x))))), nan);

CREATE OR REPLACE FUNCTION loyalty_p_alive_mbg_nbd AS (r, alpha, a, b, x, t_x, T) -> if(
    loyalty_makes_sense(r, alpha, a, b, x, t_x, T),
    1 / (1 + exp(log(a) - log(b + x) + (r + x) * log1p((T - t_x) / (alpha + t_x)))), nan);

-- E[Y(t)]: expected days with a purchase in the next t weeks.
CREATE OR REPLACE FUNCTION loyalty_expected_purchases_bg_nbd AS (r, alpha, a, b, x, t_x, T, t) ->
    if(t >= 0, loyalty_p_alive_bg_nbd(r, alpha, a, b, x, t_x, T), nan)
    * loyalty_purchases_while_alive(a, b + x, r + x, t / (alpha + T));

CREATE OR REPLACE FUNCTION loyalty_expected_purchases_mbg_nbd AS (r, alpha, a, b, x, t_x, T, t) ->
    if(t >= 0, loyalty_p_alive_mbg_nbd(r, alpha, a, b, x, t_x, T), nan)
    * loyalty_purchases_while_alive(a, b + x + 1, r + x, t / (alpha + T));

-- P(buy in t): chance of at least one day with a purchase in the next t weeks.
CREATE OR REPLACE FUNCTION loyalty_chance_to_buy_bg_nbd AS (r, alpha, a, b, x, t_x, T, t) ->
    if(t >= 0, loyalty_p_alive_bg_nbd(r, alpha, a, b, x, t_x, T), nan)
    * loyalty_one_minus_exp((r + x) * log1p(t / (alpha + T)));

CREATE OR REPLACE FUNCTION loyalty_chance_to_buy_mbg_nbd AS (r, alpha, a, b, x, t_x, T, t) ->
    if(t >= 0, loyalty_p_alive_mbg_nbd(r, alpha, a, b, x, t_x, T), nan)
    * loyalty_one_minus_exp((r + x) * log1p(t / (alpha + T)));

-- E[M]: the expected basket after `paid` purchases with a value, `mean` on average; without any, the population's.
CREATE OR REPLACE FUNCTION loyalty_expected_basket AS (p, q, gamma, paid, mean) -> if(
    least(p, gamma) >= 1e-6 AND greatest(p, q) <= 1e7 AND gamma <= 1e15 AND q > 1 AND paid >= 0 AND mean >= 0 AND mean < inf,
    p * (gamma + paid * mean) / (p * paid + q - 1), nan);

-- E[Y(t)] E[M]: what a customer is expected to spend in the next t weeks; no discounting, no margin.
CREATE OR REPLACE FUNCTION loyalty_expected_value_bg_nbd AS (r, alpha, a, b, p, q, gamma, x, t_x, T, paid, mean, t) ->
    loyalty_expected_purchases_bg_nbd(r, alpha, a, b, x, t_x, T, t) * loyalty_expected_basket(p, q, gamma, paid, mean);

CREATE OR REPLACE FUNCTION loyalty_expected_value_mbg_nbd AS (r, alpha, a, b, p, q, gamma, x, t_x, T, paid, mean, t) ->
    loyalty_expected_purchases_mbg_nbd(r, alpha, a, b, x, t_x, T, t) * loyalty_expected_basket(p, q, gamma, paid, mean);

CREATE TABLE parameter_versions
(
    kind LowCardinality(String) COMMENT 'purchase_model, risk_policy or norms',
    version String COMMENT 'The name under which figures and alerts mention it',
    content_hash FixedString(64) COMMENT 'SHA-256 of parameters',
    parameters String COMMENT 'Every number, as JSON with sorted keys; the times of a purchase model are in weeks' CODEC(ZSTD(3)),
    origin String COMMENT 'What they were learned from, as JSON; the priors: which ones' CODEC(ZSTD(3)),
    recorded_at DateTime64(3, 'UTC') COMMENT 'When it was recorded first',
    current_from DateTime64(3, 'UTC') COMMENT 'When it became the current one of its kind; 1970: a prior, current until another is recorded'
)
ENGINE = ReplacingMergeTree(current_from)
ORDER BY (kind, version, content_hash)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Every version of parameters that was recorded; read the view parameters';

CREATE VIEW parameters
(
    kind String COMMENT 'purchase_model, risk_policy or norms',
    version String COMMENT 'The name under which figures and alerts mention it',
    current Bool COMMENT 'The one that views and commands use: the newest of its kind',
    content_hash String COMMENT 'SHA-256 of parameters',
    parameters String COMMENT 'Every number, as JSON; the times of a purchase model are in weeks',
    origin String COMMENT 'What they were learned from, as JSON',
    recorded_at DateTime64(3, 'UTC') COMMENT 'When it was recorded first',
    current_from DateTime64(3, 'UTC') COMMENT 'When it became the current one; 1970: a prior, current until another is recorded'
)
AS SELECT
    kind,
    version,
    row_number() OVER (PARTITION BY kind ORDER BY current_from DESC, recorded_at DESC, version DESC) = 1 AS current,
    content_hash,
    parameters,
    origin,
    recorded_at,
    current_from
FROM parameter_versions FINAL
COMMENT 'Parameters by kind and version';

CREATE TABLE score_history
(
    policy_version LowCardinality(String) COMMENT 'Version of the coefficients',
    customer_id String COMMENT 'The customer',
    issue_id String COMMENT 'The issue',
    event_id String COMMENT 'The stage of a service contact after which this was the risk',
    at DateTime64(3, 'UTC') COMMENT 'When it happened: the moment of the score' CODEC(Delta, ZSTD(1)),
    churn_risk_0_1 Float64 COMMENT 'Churn risk after the contact, 0 to 1',
    churn_risk_before_0_1 Float64 COMMENT 'Churn risk at the same moment without the issue, 0 to 1',
    terms Array(LowCardinality(String)) COMMENT 'Terms of the score, the intercept first',
    term_values Array(Float64) COMMENT 'The plain number of each term',
    logits Array(Float64) COMMENT 'What each term adds to the logit; together they are the logit of churn_risk_0_1',
    evidence Array(String) COMMENT 'The events about the issue it rests on',
    synthetic Bool COMMENT 'Rests on generated contacts',
    scored_at DateTime64(3, 'UTC') COMMENT 'When it was computed' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(scored_at)
ORDER BY (customer_id, policy_version, issue_id, event_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Churn risks after every stage of a service contact, folded again in the order of event times; read scored_contacts or scores';

CREATE TABLE scored_customers
(
    policy_version LowCardinality(String) COMMENT 'Version of the coefficients',
    customer_id String COMMENT 'The customer',
    events UInt64 COMMENT 'Rows of raw events the scores rest on',
    fingerprint UInt64 COMMENT 'Their places in the log, mixed: another one says that something came in or went',
    scores UInt32 COMMENT 'Scores computed',
    scored_at DateTime64(3, 'UTC') COMMENT 'When they were computed; older rows of score_history are out of date' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(scored_at)
ORDER BY (customer_id, policy_version)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Up to where customers are scored, so that scoring goes on where it ended';

CREATE VIEW scored_contacts
(
    policy_version String COMMENT 'Version of the coefficients',
    customer_id String COMMENT 'The customer',
    issue_id String COMMENT 'The issue',
    event_id String COMMENT 'The stage of a service contact after which this was the risk',
    at DateTime64(3, 'UTC') COMMENT 'When it happened: the moment of the score',
    churn_risk_0_1 Float64 COMMENT 'Churn risk after the contact, 0 to 1',
    churn_risk_before_0_1 Float64 COMMENT 'Churn risk at the same moment without the issue, 0 to 1',
    terms Array(String) COMMENT 'Terms of the score, the intercept first',
    term_values Array(Float64) COMMENT 'The plain number of each term',
    logits Array(Float64) COMMENT 'What each term adds to the logit',
    evidence Array(String) COMMENT 'The events about the issue it rests on',
    synthetic Bool COMMENT 'Rests on generated contacts',
    scored_at DateTime64(3, 'UTC') COMMENT 'When it was computed'
)
AS SELECT
    s.policy_version,
    s.customer_id,
    s.issue_id,
    s.event_id,
    s.at,
    s.churn_risk_0_1,
    s.churn_risk_before_0_1,
    s.terms,
    s.term_values,
    s.logits,
    s.evidence,
    s.synthetic,
    s.scored_at
FROM (SELECT * FROM score_history FINAL) AS s
INNER JOIN (SELECT policy_version, customer_id, scored_at FROM scored_customers FINAL) AS c
    ON s.policy_version = c.policy_version AND s.customer_id = c.customer_id
WHERE s.scored_at >= c.scored_at
COMMENT 'The churn risk after every stage of a service contact, by version of the coefficients; filled by loyalty warehouse score';

CREATE VIEW scores
(
    policy_version String COMMENT 'Version of the coefficients',
    customer_id String COMMENT 'The customer',
    issue_id String COMMENT 'The issue',
    event_id String COMMENT 'The stage of a service contact after which this was the risk',
    at DateTime64(3, 'UTC') COMMENT 'When it happened: the moment of the score',
    churn_risk_0_1 Float64 COMMENT 'Churn risk after the contact, 0 to 1',
    term String COMMENT 'What the contribution is about; see loyalty glossary churn_risk_0_1',
    value Float64 COMMENT 'Its plain number',
    logit Float64 COMMENT 'What it adds to the logit; those of a score add up to the logit of its risk',
    synthetic Bool COMMENT 'Rests on generated contacts'
)
AS SELECT
    policy_version, customer_id, issue_id, event_id, at, churn_risk_0_1, term, value, logit, synthetic
FROM scored_contacts
ARRAY JOIN terms AS term, term_values AS value, logits AS logit
COMMENT 'What every churn risk is made of: a row for each contribution';

CREATE VIEW customer_outlook_at
(
    customer_id String COMMENT 'The customer',
    as_of DateTime64(3, 'UTC') COMMENT 'The moment of the question; the day counts',
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
AS
WITH
    toUInt32(intDiv(toUnixTimestamp64Milli({at:DateTime64(3, 'UTC')}), 86400000)) AS today,
    model AS
    (
        SELECT
            count() > 0 AS known,
            any(v.version) AS version,
            any(JSONExtract(parameters, 'Tuple(bg_nbd Tuple(r Float64, alpha Float64, a Float64, b Float64), mbg_nbd Tuple(r Float64, alpha Float64, a Float64, b Float64), gamma_gamma Tuple(currency String, p Float64, q Float64, gamma Float64))')) AS numbers
        FROM parameters AS v
        WHERE kind = 'purchase_model' AND current
    ),
    paid AS
    (
        SELECT
            customer_id,
            arrayFilter((spent, day) -> spent > 0 AND day > arrayMin(days.1), days.2, days.1) AS baskets,
            length(baskets) AS valued_occasions,
            if(empty(baskets), 0., arraySum(arrayMap(basket -> toFloat64(basket), baskets)) / length(baskets)) AS mean_basket
        FROM
        (
            SELECT
                customer_id,
                arraySort(e -> e.1, groupArray((_offset, event_id, toUInt32(intDiv(toUnixTimestamp64Milli(occurred_at), 86400000)), if(currency = (SELECT numbers.gamma_gamma.currency FROM model), amount, 0), refund_of = '' AND NOT obligated))) AS rows,
                arrayFilter((e, n) -> n = 1 AND e.5 AND e.3 <= today, rows, arrayEnumerateUniq(rows.2)) AS bought,
                arrayReduce('sumMap', arrayMap(e -> [e.3], bought), arrayMap(e -> [e.4], bought)) AS days
            FROM raw_purchases
            GROUP BY customer_id
            HAVING notEmpty(bought)
            SETTINGS optimize_aggregation_in_order = 1
        )
    ),
    seen AS
    (
        SELECT
            customer_id,
            mapKeys(spent) AS currencies,
            JSONExtract(state, 'Tuple(occasions_from UInt32, occasions String, stated Tuple(Map(String, Tuple(Int64, String, Nullable(Int64), Nullable(Int64)))))') AS facts,
            facts.stated.1['contractual'] AS contract,
            contract.2 != '' AND contract.1 <= toUnixTimestamp64Milli({at:DateTime64(3, 'UTC')})
                AND ifNull(toUnixTimestamp64Milli({at:DateTime64(3, 'UTC')}) < contract.3, true) AS contractual,
            base64Decode(facts.occasions) AS bitmap,
            arrayFilter(day -> day <= today, arrayFlatten(arrayMap(
                (byte, n) -> arrayMap(bit -> facts.occasions_from + 8 * n + bit, bitPositionsToArray(byte)),
                reinterpret(bitmap, 'Array(UInt8)'), range(length(bitmap))))) AS days,
            toUInt32(greatest(1, length(days)) - 1) AS x,
            (days[-1] - days[1]) / 7 AS t_x,
            if(empty(days), 0, today - days[1]) / 7 AS T
        FROM customer_states FINAL
        WHERE NOT prospect
    ),
    known AS
    (
        SELECT
            seen.customer_id AS customer_id, contractual, x, t_x, T,
            if(model.known, version, NULL) AS model_version,
            numbers.bg_nbd.r AS r, numbers.bg_nbd.alpha AS alpha, numbers.bg_nbd.a AS a, numbers.bg_nbd.b AS b,
            numbers.mbg_nbd.r AS r_any, numbers.mbg_nbd.alpha AS alpha_any, numbers.mbg_nbd.a AS a_any, numbers.mbg_nbd.b AS b_any,
            numbers.gamma_gamma.p AS p, numbers.gamma_gamma.q AS q, numbers.gamma_gamma.gamma AS gamma,
            numbers.gamma_gamma.currency AS money,
            paid.valued_occasions AS baskets,
            paid.mean_basket AS mean,
            multiIf(
                NOT model.known, 'no purchase model is recorded: loyalty fit purchases --out fit, then loyalty warehouse parameters fit/parameters.json',
                contractual, 'bound by contract: no case for these models',
                empty(days), 'no voluntary purchase by then',
                '') AS missing,
            multiIf(
                missing != '', missing,
                q = 0, 'no value: the model was fitted without spend',
                money = '', 'no value: the data of the fit did not say in which currency',
                currencies != [money], 'no value: the customer pays in another currency than that of the fit, or in several',
                '') AS note
        FROM seen
        CROSS JOIN model
        LEFT JOIN paid ON paid.customer_id = seen.customer_id
    ),
    expected AS
    (
        SELECT
            customer_id, contractual, x, t_x, T, model_version, money, baskets, mean, missing, note,
            loyalty_p_alive_mbg_nbd(r_any, alpha_any, a_any, b_any, x, t_x, T) AS alive,
            loyalty_chance_to_buy_bg_nbd(r, alpha, a, b, x, t_x, T, 90 / 7) AS buys,
            loyalty_expected_purchases_bg_nbd(r, alpha, a, b, x, t_x, T, 365 / 7) AS bought_1,
            loyalty_expected_purchases_bg_nbd(r, alpha, a, b, x, t_x, T, 730 / 7) AS bought_2,
            loyalty_expected_purchases_bg_nbd(r, alpha, a, b, x, t_x, T, 1095 / 7) AS bought_3,
            loyalty_expected_basket(p, q, gamma, baskets, mean) AS basket
        FROM known
    )
SELECT
    customer_id,
    {at:DateTime64(3, 'UTC')} AS as_of,
    model_version,
    contractual,
    x AS repeat_occasions,
    t_x AS t_x_weeks,
    T AS T_weeks,
    if(missing = '', alive, NULL) AS p_alive,
    if(missing = '', buys, NULL) AS p_buy_90_days,
    if(missing = '', bought_1, NULL) AS expected_purchases_1_year,
    if(missing = '', bought_2, NULL) AS expected_purchases_2_years,
    if(missing = '', bought_3, NULL) AS expected_purchases_3_years,
    if(note = '', money, NULL) AS currency,
    if(note = '', toUInt32(baskets), NULL) AS valued_occasions,
    if(note = '', mean, NULL) AS mean_basket,
    if(note = '', basket, NULL) AS expected_basket,
    if(note = '', bought_1 * basket, NULL) AS expected_value_1_year,
    if(note = '', bought_2 * basket, NULL) AS expected_value_2_years,
    if(note = '', bought_3 * basket, NULL) AS expected_value_3_years,
    note
FROM expected
COMMENT 'What the recorded purchase model expects of every customer with a purchase, at any moment: SELECT * FROM customer_outlook_at(at = ''2026-01-31'')';

CREATE VIEW customer_outlook
(
    customer_id String COMMENT 'The customer',
    as_of DateTime64(3, 'UTC') COMMENT 'The moment of the question: now; the day counts',
    model_version Nullable(String) COMMENT 'Version of the purchase model; NULL: none is recorded',
    contractual Bool COMMENT 'Bound by contract now: no case for the models, look at the end of the contract instead',
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
AS SELECT * FROM customer_outlook_at(at = now64(3, 'UTC'))
COMMENT 'What the recorded purchase model expects of every customer with a purchase, now';
