"""Terms at ingest: the vectors of the laws, and what unknown or absurd dates do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.retention import POLICIES, disposable, policy_named, term
from bridge.retention.base import add_years, facts_from
from bridge.settings import RetentionSettings
from storage.objects.meta import TAG_VALUE_LENGTH
from storage.records import InstanceRecord, Location, ResourceRef, Retention

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SHANGHAI = "Asia/Shanghai"


def computed(policy: str, care_class: str = "", *, zone: str = SHANGHAI, now: datetime = NOW, **said: str) -> Retention:
    """The term under a preset."""
    return term(RetentionSettings(policy=policy, timezone=zone), care_class, "", said, now)


def ends(policy: str, care_class: str = "", *, zone: str = SHANGHAI, **said: str) -> date:
    """The day a term ends on, in the site's zone."""
    found = computed(policy, care_class, zone=zone, **said).until
    assert found is not None
    local = found.astimezone(ZoneInfo(zone))
    assert (local.hour, local.minute) == (0, 0)
    return local.date()


def test_v1_cn_outpatient_is_15_years() -> None:
    assert ends("cn", "outpatient", StudyDate="20260305") == date(2041, 3, 5)
    assert computed("cn", "outpatient", StudyDate="20260305").retention_class == "cn-op-15"


def test_v2_cn_inpatient_is_30_years() -> None:
    assert ends("cn", "inpatient", StudyDate="20260320") == date(2056, 3, 20)


def test_v4_an_unknown_class_is_the_longer_one() -> None:
    for unknown in ("", "no such class"):
        assert ends("cn", unknown, StudyDate="20260305") == date(2056, 3, 5)
        assert "class-unknown" in computed("cn", unknown, StudyDate="20260305").flags


def test_v5_de_minor_is_kept_until_28() -> None:
    assert ends("de", zone="Europe/Berlin", StudyDate="20260601", PatientBirthDate="20200229") == date(2048, 2, 29)
    assert ends("de", zone="Europe/Berlin", StudyDate="20260601", PatientBirthDate="20120229") == date(2040, 2, 29)
    assert ends("de", zone="Europe/Berlin", StudyDate="20260601", PatientBirthDate="19800101") == date(2036, 6, 1)


def test_de_treatment_is_30_years_whatever_the_class() -> None:
    said = {"StudyDate": "20260601", "PatientBirthDate": "19800101", "Modality": "RTPLAN"}
    assert ends("de", zone="Europe/Berlin", **said) == date(2056, 6, 1)
    assert ends("de", "outpatient", zone="Europe/Berlin", **said) == date(2056, 6, 1)


def test_v6_uk_seventeen_year_old_is_kept_until_26() -> None:
    london = "Europe/London"
    assert ends("uk", "adult", zone=london, StudyDate="20260701", PatientBirthDate="20090110") == date(2035, 1, 10)
    assert ends("uk", "adult", zone=london, StudyDate="20260701", PatientBirthDate="20160110") == date(2041, 1, 10)
    assert ends("uk", "adult", zone=london, StudyDate="20260701", PatientBirthDate="19700101") == date(2034, 7, 1)
    assert ends("uk", zone=london, StudyDate="20260701", PatientBirthDate="19700101") == date(2056, 7, 1)


def test_v7_us_mammogram_is_10_years_until_a_later_one_is_known() -> None:
    said = {"StudyDate": "20260101", "PatientBirthDate": "19700101", "Modality": "MG"}
    assert ends("us", "hospital", **said) == date(2036, 1, 1)
    assert computed("us", "hospital", **said).retention_class == "us-mqsa-10"
    assert ends("us", "hospital", **{**said, "Modality": "CT"}) == date(2031, 1, 1)


def test_v8_jp_is_3_years_by_law_and_5_by_preset() -> None:
    assert ends("jp", "insurance", zone="Asia/Tokyo", StudyDate="20260401") == date(2029, 4, 1)
    assert ends("jp", zone="Asia/Tokyo", StudyDate="20260401") == date(2031, 4, 1)


def test_fr_is_20_years_or_until_28() -> None:
    paris = "Europe/Paris"
    assert ends("fr", zone=paris, StudyDate="20260401", PatientBirthDate="19700101") == date(2046, 4, 1)
    assert ends("fr", zone=paris, StudyDate="20260401", PatientBirthDate="20200101") == date(2048, 1, 1)


def test_v9_a_term_that_is_over_is_flagged() -> None:
    found = computed("cn", "outpatient", StudyDate="19980615")
    assert found.until is not None
    assert found.until.year == 2013
    assert "expired-on-arrival" in found.flags


@pytest.mark.parametrize(
    "bad", ["", "00010101", "20991231", "2026", "20261345", "２０２６０１０１", "garbage", "18000101"]
)
def test_v10_an_unusable_study_date_gives_way_to_the_day_of_receipt(bad: str) -> None:
    found = computed("cn", "outpatient", StudyDate=bad)
    assert ends("cn", "outpatient", StudyDate=bad) == date(2041, 11, 23)
    assert "study-date-unusable" in found.flags


def test_the_old_form_of_dates_is_read() -> None:
    assert ends("cn", "outpatient", StudyDate="2026.03.05") == date(2041, 3, 5)


def test_v11_a_held_instance_is_not_disposable() -> None:
    over = computed("cn", "outpatient", StudyDate="19980615")
    assert disposable(record(over), NOW)
    assert not disposable(record(over, legal_hold=True), NOW)
    assert not disposable(record(computed("cn", StudyDate="20260305")), NOW)
    assert not disposable(record(None), NOW)
    assert not disposable(record(computed("keep")), NOW + timedelta(days=365_000))


def test_v12_dates_are_those_of_the_sites_zone() -> None:
    found = computed("cn", "outpatient", StudyDate="20260305", StudyTime="003000")
    assert found.start == datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
    assert found.until == datetime(2041, 3, 4, 16, 0, tzinfo=UTC)
    late = {"StudyDate": "20260304", "StudyTime": "163000", "TimezoneOffsetFromUTC": "+0000"}
    assert ends("cn", "outpatient", **late) == date(2041, 3, 5)


def test_an_unknown_birth_date_counts_as_the_youngest() -> None:
    found = computed("fr", zone="Europe/Paris", StudyDate="20260401")
    assert ends("fr", zone="Europe/Paris", StudyDate="20260401") == date(2054, 4, 1)
    assert "birth-date-missing" in found.flags


def test_a_peers_class_wins_over_the_default() -> None:
    settings = RetentionSettings(default_class="inpatient")
    assert term(settings, "", "", {"StudyDate": "20260305"}, NOW).retention_class == "cn-ip-30"
    assert term(settings, "outpatient", "", {"StudyDate": "20260305"}, NOW).retention_class == "cn-op-15"
    assert term(settings, "cn-op-15", "", {"StudyDate": "20260305"}, NOW).retention_class == "cn-op-15"


def test_a_year_after_29_february_is_never_short() -> None:
    assert add_years(date(2024, 2, 29), 1) == date(2025, 3, 1)
    assert add_years(date(2024, 2, 29), 4) == date(2028, 2, 29)


def test_an_unknown_policy_or_zone_is_named() -> None:
    with pytest.raises(ConfigError, match="cn, de"):
        computed("xx")
    with pytest.raises(ConfigError, match="Nowhere"):
        computed("cn", zone="Nowhere/City")


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_every_rule_names_its_source_and_fits_a_tag(policy: str) -> None:
    for rule in POLICIES[policy].rules:
        assert rule.source
        assert len(rule.retention_class) <= TAG_VALUE_LENGTH
    names = [rule.retention_class for rule in POLICIES[policy].rules]
    assert len(names) == len(set(names))


@given(
    st.sampled_from(sorted(POLICIES)),
    st.sampled_from(["", "outpatient", "inpatient", "mammography"]),
    st.dictionaries(
        st.sampled_from(["StudyDate", "StudyTime", "PatientBirthDate", "TimezoneOffsetFromUTC", "Modality"]),
        st.one_of(st.text(max_size=12), st.from_regex(r"[0-9]{8}", fullmatch=True), st.just("+0800")),
    ),
)
def test_nothing_a_data_set_says_breaks_the_term(policy: str, care_class: str, said: dict[str, str]) -> None:
    found = computed(policy, care_class, **said)
    assert found.start <= NOW + timedelta(days=1)
    assert found.until is None or found.until > found.start


def record(retention: Retention | None, *, legal_hold: bool = False) -> InstanceRecord:
    return InstanceRecord(
        ref=ResourceRef("default", "1.2", "1.3", "1.4"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        location=Location("hot", "default/1.2/1.3/1.4.0123456789.dcm"),
        size_bytes=1000,
        sha256="a" * 64,
        data_set_sha256="b" * 64,
        data_set_offset=400,
        received_at=NOW,
        attributes={},
        metadata_json=None,
        retention=retention,
        legal_hold=legal_hold,
    )


def test_a_peers_days_begin_in_its_own_time_zone() -> None:
    settings = RetentionSettings(policy="cn", timezone="Asia/Shanghai")
    starts = {zone: term(settings, "", zone, {"StudyDate": "20260305"}, NOW).start for zone in ("", "America/New_York")}
    assert (starts["America/New_York"] - starts[""]).total_seconds() == 13 * 3600


@given(
    policy=st.sampled_from(sorted(POLICIES)),
    zone=st.sampled_from([SHANGHAI, "Europe/Berlin", "America/New_York", "UTC"]),
    study_date=st.sampled_from(["", "19800229", "20111125", "20261123", "20261124", "20270101", "junk"]),
    birth_date=st.sampled_from(["", "20200229", "19500101", "30000101"]),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
)
def test_the_term_remembered_for_a_day_is_that_of_the_moment(
    policy: str, zone: str, study_date: str, birth_date: str, now: datetime
) -> None:
    said = {"StudyDate": study_date, "PatientBirthDate": birth_date, "Modality": "CT"}
    facts = facts_from(said, "", now, zone)
    assert computed(policy, zone=zone, now=now, **said) == policy_named(policy).retention(facts)
