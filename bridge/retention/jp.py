"""Japan: X-ray images 3 years under the insurance rules, 5 as part of the record, 7 for pneumoconiosis."""

from bridge.retention.base import Policy, Rule

POLICY = Policy(
    name="jp",
    version=1,
    rules=(
        Rule(
            retention_class="jp-insurance-3",
            source="Rules for insurance medical care, Art. 9",
            years=3,
            care_classes=("insurance",),
        ),
        Rule(
            retention_class="jp-record-5",
            source="Medical Practitioners' Act, Art. 24",
            years=5,
            care_classes=("record", "outpatient", "inpatient", "emergency"),
        ),
        Rule(
            retention_class="jp-pneumoconiosis-7",
            source="Pneumoconiosis Act, Art. 17",
            years=7,
            assumed=False,
            care_classes=("pneumoconiosis",),
        ),
    ),
)
