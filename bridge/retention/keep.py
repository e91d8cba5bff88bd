"""No law chosen: nothing is ever disposable."""

from bridge.retention.base import Policy, Rule

POLICY = Policy(
    name="keep", version=1, rules=(Rule(retention_class="keep", source="the site's own choice", years=None),)
)
