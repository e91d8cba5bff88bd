"""United Kingdom: 8 years since last seen, children until 25 (26 if seen at 17); 30 where the class is unknown."""

from bridge.retention.base import Policy, Rule

_SOURCE = "NHS Records Management Code; RCR guidance (March 2025)"

POLICY = Policy(
    name="uk",
    version=1,
    rules=(
        Rule(
            retention_class="uk-adult-8",
            source=_SOURCE,
            years=8,
            until_age=25,
            minor_below=17,
            care_classes=("adult", "outpatient", "inpatient", "emergency"),
        ),
        Rule(
            retention_class="uk-seventeen-8",
            source=_SOURCE,
            years=8,
            until_age=26,
            minor_from=17,
            care_classes=("adult", "outpatient", "inpatient", "emergency"),
        ),
        Rule(
            retention_class="uk-screening-10",
            source=_SOURCE,
            years=10,
            care_classes=("screening", "mammography"),
        ),
        Rule(
            retention_class="uk-chronic-20",
            source=_SOURCE,
            years=20,
            care_classes=("chronic",),
        ),
        Rule(
            retention_class="uk-30",
            source=_SOURCE,
            years=30,
            care_classes=("cancer", "oncology", "cjd", "transplant", "obstetric", "obstetrics"),
        ),
    ),
)
