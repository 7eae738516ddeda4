"""Glossary terms of the measures that judge a learned risk.

They stand here and not next to their formulas (:mod:`pipeline.fitting.scoring`), because those need libraries that a
glossary must do without.
"""

from pipeline.core.definition import Definition

DEFINITIONS = (
    Definition(
        "true_hazard",
        1,
        "The chance that a synthetic customer never buys again because of one issue, as the simulation decided it.",
        "probability, 0 to 1",
    ),
    Definition(
        "silent_after_contact",
        1,
        "No voluntary purchase after a service contact within a horizon that is scaled by the customer's own rhythm.",
    ),
    Definition(
        "auc",
        1,
        "Chance that somebody who fell silent had a higher risk than somebody who did not; 0.5: no better than a coin.",
        "0 to 1",
        "Hanley & McNeil 1982, Radiology 143:29-36",
    ),
    Definition(
        "brier",
        1,
        "Mean squared distance between risk and outcome; lower is better.",
        "0 to 1",
        "Brier 1950, Monthly Weather Review 78:1-3",
    ),
    Definition(
        "log_loss",
        1,
        "Mean of minus the logarithm of the probability given to what happened; lower is better, "
        "and being sure and wrong costs most.",
        "nats",
    ),
    Definition(
        "ece",
        1,
        "Expected calibration error: how far the mean risk lies from the share that fell silent, on "
        "average over equally wide classes of risk.",
        "0 to 1",
        "Naeini et al. 2015, AAAI 29",
    ),
    Definition("lift", 1, "Share that fell silent among the highest risks, divided by the share among all.", "ratio"),
    Definition(
        "precision_at_capacity",
        1,
        "Share that fell silent among those a desk reaches when it takes the "
        "highest risks of each day, as many as it can.",
        "0 to 1",
    ),
)
