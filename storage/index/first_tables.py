"""The first tables, as they were: a migration never changes once it has run somewhere. A test compares schema.py."""

from __future__ import annotations

KINDS = {
    "sqlite": {
        "text": "TEXT",
        "whole": "INTEGER",
        "real": "DOUBLE",
        "bytes": "BLOB",
        "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "clustered": " WITHOUT ROWID",
    },
    "postgresql": {
        "text": 'TEXT COLLATE "C"',
        "whole": "BIGINT",
        "real": "DOUBLE PRECISION",
        "bytes": "BYTEA",
        "serial": "BIGSERIAL PRIMARY KEY",
        "clustered": "",
    },
}


def statements(kind: str) -> list[str]:
    """The statements for a kind of database."""
    return [statement.strip() for statement in TABLES.format(**KINDS[kind]).split(";") if statement.strip()]


TABLES = """
CREATE TABLE access_key (
    id {serial},
    name {text} NOT NULL,
    key_hash {text} NOT NULL,
    site {text} NOT NULL,
    scopes {text} NOT NULL,
    created_at {whole} NOT NULL,
    revoked_at {whole},
    UNIQUE (key_hash)
);
CREATE UNIQUE INDEX access_key_by_name ON access_key (name) WHERE revoked_at IS NULL;
CREATE TABLE conflict (
    id {whole} NOT NULL,
    site_id {whole} NOT NULL,
    sop_instance_uid {text} NOT NULL,
    store {text} NOT NULL,
    object_key {text} NOT NULL,
    version_id {text} NOT NULL,
    size_bytes {whole} NOT NULL,
    data_set_sha256 {text} NOT NULL,
    record {text} NOT NULL,
    metadata_json {bytes},
    bulk_table {bytes},
    frame_table {bytes},
    door {text} NOT NULL,
    name {text} NOT NULL,
    address {text} NOT NULL,
    seen_at {whole} NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX conflict_by_key ON conflict (object_key);
CREATE INDEX conflict_by_uid ON conflict (site_id, sop_instance_uid);
CREATE TABLE counter (
    name {text} NOT NULL,
    value {whole} NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE doomed (
    id {serial},
    store {text} NOT NULL,
    object_key {text} NOT NULL,
    version_id {text} NOT NULL,
    queued_at {whole} NOT NULL,
    CONSTRAINT doomed_by_key UNIQUE (object_key, store, version_id)
);
CREATE INDEX doomed_by_age ON doomed (queued_at);
CREATE TABLE event (
    seq {whole} NOT NULL,
    at {whole} NOT NULL,
    change {text} NOT NULL,
    site {text} NOT NULL,
    study_instance_uid {text} NOT NULL,
    series_instance_uid {text},
    sop_instance_uid {text},
    door {text} NOT NULL,
    name {text} NOT NULL,
    address {text} NOT NULL,
    PRIMARY KEY (seq)
);
CREATE TABLE form (
    site_id {whole} NOT NULL,
    attribute {whole} NOT NULL,
    form {text} NOT NULL,
    owner {whole} NOT NULL,
    PRIMARY KEY (site_id, attribute, form, owner)
){clustered};
CREATE INDEX form_by_owner ON form (owner, attribute, form);
CREATE TABLE gram (
    site_id {whole} NOT NULL,
    gram {whole} NOT NULL,
    study_row {whole} NOT NULL,
    PRIMARY KEY (site_id, gram, study_row)
){clustered};
CREATE INDEX gram_by_study ON gram (study_row);
CREATE TABLE gram_waiting (
    study_row {whole} NOT NULL,
    site_id {whole} NOT NULL,
    PRIMARY KEY (study_row)
);
CREATE TABLE instance (
    id {whole} NOT NULL,
    site_id {whole} NOT NULL,
    study_row {whole} NOT NULL,
    series_row {whole} NOT NULL,
    sop_instance_uid {text} NOT NULL,
    sop_class_uid {text} NOT NULL,
    content_date {text},
    content_date_key {text},
    content_time {text},
    content_time_key {text},
    instance_number {text},
    instance_number_key {real} NOT NULL,
    number_of_frames {text},
    number_of_frames_key {real} NOT NULL,
    rows {text},
    rows_key {real} NOT NULL,
    columns {text},
    columns_key {real} NOT NULL,
    bits_allocated {text},
    bits_allocated_key {real} NOT NULL,
    transfer_syntax_uid {text} NOT NULL,
    store {text} NOT NULL,
    object_key {text} NOT NULL,
    version_id {text} NOT NULL,
    odd_key {whole} NOT NULL,
    size_bytes {whole} NOT NULL,
    sha256 {text} NOT NULL,
    data_set_sha256 {text} NOT NULL,
    data_set_offset {whole} NOT NULL,
    received_at {whole} NOT NULL,
    origin_name {text} NOT NULL,
    study_variant {whole} NOT NULL,
    series_variant {whole} NOT NULL,
    state {text} NOT NULL,
    legal_hold {whole} NOT NULL,
    retention_class {text},
    retention_policy {text},
    retention_start {whole},
    retention_until {whole},
    retention_flags {text},
    revision {whole} NOT NULL,
    bulk_table {bytes},
    frame_table {bytes},
    PRIMARY KEY (id),
    CONSTRAINT instance_by_uid UNIQUE (site_id, sop_instance_uid)
);
CREATE INDEX instance_by_odd_key ON instance (object_key) WHERE odd_key = 1;
CREATE INDEX instance_elsewhere ON instance (store, received_at) WHERE store <> 'hot';
CREATE UNIQUE INDEX instance_in_order ON instance (series_row, instance_number_key, sop_instance_uid);
CREATE TABLE instance_metadata (
    instance_row {whole} NOT NULL,
    json {bytes} NOT NULL,
    PRIMARY KEY (instance_row)
);
CREATE TABLE lease (
    name {text} NOT NULL,
    holder {text} NOT NULL,
    until {whole} NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE peer_traffic (
    ae_title {text} NOT NULL,
    address {text} NOT NULL,
    last_received_at {whole} NOT NULL,
    instances {whole} NOT NULL,
    size_bytes {whole} NOT NULL,
    PRIMARY KEY (ae_title, address)
);
CREATE TABLE refused_peer (
    calling_ae_title {text} NOT NULL,
    called_ae_title {text} NOT NULL,
    address {text} NOT NULL,
    reason {text} NOT NULL,
    first_at {whole} NOT NULL,
    last_at {whole} NOT NULL,
    times {whole} NOT NULL,
    PRIMARY KEY (calling_ae_title, called_ae_title, address, reason)
);
CREATE TABLE removed (
    site_id {whole} NOT NULL,
    study_instance_uid {text} NOT NULL,
    series_instance_uid {text} NOT NULL,
    sop_instance_uid {text} NOT NULL,
    seq {whole} NOT NULL,
    PRIMARY KEY (site_id, study_instance_uid, series_instance_uid, sop_instance_uid)
){clustered};
CREATE TABLE schema_version (
    version {whole} NOT NULL,
    applied_at {whole} NOT NULL,
    PRIMARY KEY (version)
);
CREATE TABLE series (
    id {whole} NOT NULL,
    site_id {whole} NOT NULL,
    study_row {whole} NOT NULL,
    series_instance_uid {text} NOT NULL,
    series_date {text},
    series_date_key {text},
    series_time {text},
    series_time_key {text},
    modality {text},
    manufacturer {text},
    institution_name {text},
    station_name {text},
    series_description {text},
    body_part_examined {text},
    protocol_name {text},
    series_number {text},
    series_number_key {real} NOT NULL,
    laterality {text},
    performed_start_date {text},
    performed_start_date_key {text},
    performed_start_time {text},
    performed_start_time_key {text},
    scheduled_procedure_step_id {text},
    requested_procedure_id {text},
    instance_count {whole} NOT NULL,
    size_bytes {whole} NOT NULL,
    own_metadata {whole} NOT NULL,
    winner_received_at {whole} NOT NULL,
    winner_sop_instance_uid {text} NOT NULL,
    variant {whole} NOT NULL,
    disagrees {whole} NOT NULL,
    revision {whole} NOT NULL,
    changed_at {whole} NOT NULL,
    bundle_store {text},
    bundle_object_key {text},
    bundle_version_id {text},
    bundle_revision {whole},
    PRIMARY KEY (id),
    CONSTRAINT series_by_uid UNIQUE (study_row, series_instance_uid)
);
CREATE INDEX series_bundled ON series (bundle_object_key) WHERE bundle_object_key IS NOT NULL;
CREATE INDEX series_by_uid_alone ON series (site_id, series_instance_uid);
CREATE UNIQUE INDEX series_in_order ON series (study_row, series_number_key, series_instance_uid);
CREATE INDEX series_quiet ON series (winner_received_at) WHERE own_metadata = 1;
CREATE TABLE site (
    id {whole} NOT NULL,
    name {text} NOT NULL,
    studies {whole} NOT NULL,
    series {whole} NOT NULL,
    instances {whole} NOT NULL,
    size_bytes {whole} NOT NULL,
    seq {whole} NOT NULL,
    shape_seq {whole} NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);
CREATE TABLE study (
    id {whole} NOT NULL,
    site_id {whole} NOT NULL,
    study_instance_uid {text} NOT NULL,
    study_date {text},
    study_date_key {text},
    study_time {text},
    study_time_key {text},
    accession_number {text},
    timezone_offset_from_utc {text},
    referring_physician_name {text},
    study_description {text},
    patient_name {text},
    patient_id {text},
    issuer_of_patient_id {text},
    patient_birth_date {text},
    patient_birth_date_key {text},
    patient_sex {text},
    patient_age {text},
    study_id {text},
    moment {text} NOT NULL,
    modalities {text} NOT NULL,
    sop_classes {text} NOT NULL,
    series_count {whole} NOT NULL,
    instance_count {whole} NOT NULL,
    cold_count {whole} NOT NULL,
    size_bytes {whole} NOT NULL,
    winner_received_at {whole} NOT NULL,
    winner_sop_instance_uid {text} NOT NULL,
    variant {whole} NOT NULL,
    disagrees {whole} NOT NULL,
    revision {whole} NOT NULL,
    changed_at {whole} NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT study_by_uid UNIQUE (site_id, study_instance_uid)
);
CREATE INDEX study_by_accession_number ON study (site_id, accession_number);
CREATE UNIQUE INDEX study_by_moment ON study (site_id, moment DESC, study_instance_uid);
CREATE INDEX study_by_patient_birth_date_key ON study (site_id, patient_birth_date_key);
CREATE INDEX study_by_patient_id ON study (site_id, patient_id);
CREATE INDEX study_by_study_description ON study (site_id, study_description);
CREATE INDEX study_by_study_id ON study (site_id, study_id);
CREATE TABLE variant (
    level {text} NOT NULL,
    owner {whole} NOT NULL,
    number {whole} NOT NULL,
    attributes {text} NOT NULL,
    PRIMARY KEY (level, owner, number)
){clustered};

INSERT INTO counter (name, value) VALUES ('seq', 0);
"""
