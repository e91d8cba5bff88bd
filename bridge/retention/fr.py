"""France: 20 years from the last consultation, until 28 if that ends later (Code de la santé publique R1112-7)."""

from bridge.retention.base import Policy, Rule

POLICY = Policy(
    name="fr",
    version=1,
    rules=(
        Rule(
            retention_class="fr-20",
            source="Code de la santé publique R1112-7",
            years=20,
            until_age=28,
            care_classes=("outpatient", "inpatient", "emergency"),
        ),
    ),
)
