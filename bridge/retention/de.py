"""Germany: examinations 10 years and minors' until they are 28, treatment 30 years (StrlSchG §85)."""

from bridge.retention.base import Policy, Rule

POLICY = Policy(
    name="de",
    version=1,
    rules=(
        Rule(
            retention_class="de-exam-10",
            source="StrlSchG §85(2) no. 2",
            years=10,
            until_age=28,
            care_classes=("examination", "outpatient", "inpatient", "emergency"),
        ),
        Rule(
            retention_class="de-treatment-30",
            source="StrlSchG §85(2) no. 1",
            years=30,
            assumed=False,
            care_classes=("treatment",),
            modalities=("RTIMAGE", "RTDOSE", "RTPLAN", "RTSTRUCT", "RTRECORD"),
        ),
        Rule(
            retention_class="de-constancy-10",
            source="StrlSchV §117",
            years=10,
            assumed=False,
            care_classes=("constancy",),
        ),
    ),
)
