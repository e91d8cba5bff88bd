"""China: outpatient and emergency records 15 years, inpatient 30, from the last visit or discharge."""

from bridge.retention.base import Policy, Rule

POLICY = Policy(
    name="cn",
    version=1,
    rules=(
        Rule(
            retention_class="cn-op-15",
            source="Medical Institution Records rules (2013) §29; electronic records (2017)",
            years=15,
            care_classes=("outpatient", "emergency"),
        ),
        Rule(
            retention_class="cn-ip-30",
            source="Medical Institution Records rules (2013) §29; electronic records (2017)",
            years=30,
            care_classes=("inpatient",),
        ),
    ),
)
