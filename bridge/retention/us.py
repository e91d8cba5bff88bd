"""United States: federal periods for Medicare hospitals and mammograms; states ask 5 to 10 years, minors longer."""

from bridge.retention.base import Policy, Rule

POLICY = Policy(
    name="us",
    version=1,
    rules=(
        Rule(
            retention_class="us-hospital-5",
            source="42 CFR 482.24(b)(1)",
            years=5,
            until_age=21,
            care_classes=("hospital",),
        ),
        Rule(
            retention_class="us-state-10",
            source="the longest of common state laws",
            years=10,
            until_age=21,
            care_classes=("outpatient", "inpatient", "emergency"),
        ),
        Rule(
            # 5 years once the facility has made a later mammogram, else 10; a later one is not known at ingest.
            retention_class="us-mqsa-10",
            source="21 CFR 900.12(c)(4)(i)",
            years=10,
            assumed=False,
            care_classes=("mammography",),
            modalities=("MG",),
        ),
    ),
)
