"""Every setting as a frozen value with its default and its unit (DESIGN §8). `bridge/config.py` reads them.

A test insists that docs/configuration.md explains each.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECRET = {"secret": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where bytes are kept."""

    hot: str = "local"  # local | s3 | memory
    directory: Path = Path("bridge-data")  # local store, landing, spool and SQLite live below it
    direct_writes: bool = True  # local objects go to the disk past the page cache
    s3_endpoint: str = "127.0.0.1:9000"
    s3_bucket: str = "dicom-bridge"
    s3_access_key: str = field(default="", metadata=SECRET)
    s3_secret_key: str = field(default="", metadata=SECRET)
    s3_region: str = "us-east-1"
    s3_tls: bool = True
    s3_object_lock: bool = True  # create the bucket with versioning and object lock
    s3_lock_mode: str = "GOVERNANCE"  # GOVERNANCE | COMPLIANCE | none
    s3_part_bytes: int = 16 << 20  # one PUT up to this size, multipart beyond
    s3_connect_timeout_s: float = 3.0
    s3_read_timeout_s: float = 30.0
    s3_connections: int = 32
    spool_memory_bytes: int = 2 << 20  # per instance being received; larger ones go to a file
    put_deadline_s: float = 8.0  # retries included
    breaker_probe_s: float = 5.0  # one probe of a store that is down, this often
    landing_quota_bytes: int = 20 << 30  # 0 turns landing off
    free_space_reserve_bytes: int = 1 << 30  # of the local disk; below it nothing is taken
    orphan_grace_s: float = 86400.0
    commit_window_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Where rows are kept."""

    url: str = "sqlite"  # "sqlite" = <storage.directory>/index.sqlite, or postgresql://user@host/database
    password: str = field(default="", metadata=SECRET)
    connections: int = 8  # per process, PostgreSQL
    group_limit: int = 64  # commits in one transaction at most
    lock_timeout_s: float = 30.0
    statement_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """How instances come in."""

    acknowledge: str = "object-store"  # object-store | landing
    duplicates: str = "keep-first"  # keep-first | replace | reject
    strict_uids: bool = False
    unknown_sop_classes: bool = True  # accept private and unknown storage classes
    fallback_charset: str = ""  # for data sets that name none, e.g. GB18030; "" guesses
    inline_binary_bytes: int = 4096  # binary values up to this size stand in the metadata itself
    depth_limit: int = 64
    metadata_limit_bytes: int = 32 << 20  # of one instance's DICOM JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimse:
    """The DIMSE door."""

    host: str = "127.0.0.1"
    port: int = 11112
    ae_title: str = "BRIDGE"
    check_called_ae_title: bool = False
    allow_any_peer: bool = False  # beyond loopback without [[peers]]
    processes: int = 2
    associations: int = 64  # over all processes
    associations_per_peer: int = 32
    max_pdu_bytes: int = 131072
    artim_timeout_s: float = 30.0
    idle_timeout_s: float = 300.0
    write_timeout_s: float = 30.0
    outgoing_associations: int = 16  # a process, that it opens for C-MOVE
    connect_timeout_s: float = 10.0  # to a peer that we call
    response_timeout_s: float = 60.0  # for a peer to answer what the archive asks it
    object_limit_bytes: int = 8 << 30
    drain_timeout_s: float = 20.0
    unverifiable_identities: str = "refuse"  # refuse | ignore: users by Kerberos, SAML or JWT
    peers_interval_s: float = 2.0  # how often a changed peer is noticed
    search_limit: int = 100_000  # matches of one C-FIND
    identifier_limit_bytes: int = 1 << 20  # of a query or retrieval


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """DIMSE over TLS, for callers and for the peers that we call."""

    port: int = 0  # 0 = none; usual is 2762
    plain: bool = True  # dimse.port is open too
    certificate: str = ""  # PEM file: ours, and what leads to its authority
    key: str = ""
    authorities: str = ""  # PEM file: who vouches for callers and peers; "" = for peers, those of the system
    revoked: str = ""  # PEM file: revocation lists of these authorities; "" = no certificate is revoked
    client_certificates: str = "required"  # required | optional | none
    minimum_version: str = "1.2"  # 1.2 | 1.3
    handshake_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """The HTTP door."""

    host: str = "127.0.0.1"
    port: int = 8080
    root: str = "/dicom-web"
    public_url: str = ""  # scheme://host[:port]/prefix in links; "" = from the request
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    processes: int = 2
    threads: int = 16  # per process, for the synchronous core
    uploads: int = 32  # requests with a body worked on at a time, per process
    ingest_threads: int = 8  # instances of uploads being stored at a time, per process
    connections: int = 512  # per process
    require_key: bool = False  # also on loopback
    allow_anonymous: bool = False  # beyond loopback without keys
    anonymous_site: str = "default"
    cors_origins: tuple[str, ...] = ("*",)
    empty_search: int = 200  # 200 with [] | 204
    strict_accept: bool = False  # 406 without Accept (G5)
    wado_uri: str = "/wado"  # path of the URI Service below the service root; "" = none
    delete: bool = True  # DELETE of studies, series and instances; false = 405
    search_limit_default: int = 1000
    search_limit_max: int = 5000
    scan_limit: int = 10000  # rows whose metadata may be read for an unindexed key
    header_bytes: int = 65536
    tls_certificate: str = ""
    tls_key: str = ""
    metadata_cache_bytes: int = 64 << 20  # per process, finished metadata answers
    search_cache_bytes: int = 16 << 20  # per process, search results as DICOM JSON
    target_bytes: int = 16384  # of a request's path and query string; beyond it 414
    body_limit_bytes: int = 64 << 30  # of a request's body; beyond it 413
    part_limit_bytes: int = 8 << 30  # of one instance or bulk value in a body
    document_limit_bytes: int = 8 << 20  # of the metadata in a body
    part_header_bytes: int = 8192  # of one part of a body
    parts_limit: int = 100_000  # of one body
    body_timeout_s: float = 60.0  # without a byte of the body; beyond it 408
    keep_alive_timeout_s: int = 75
    drain_timeout_s: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """The codec pool."""

    workers: int = 2
    deadline_s: float = 30.0
    memory_limit_bytes: int = 2 << 30
    idle_exit_s: float = 60.0
    queue_limit: int = 64
    inflate_ratio_limit: int = 200  # deflated data sets
    frame_limit_bytes: int = 1 << 30
    kept_bytes: int = 64 << 20  # per process, single instances and frames as a codec made them; 0 keeps none


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """Rendered images."""

    header_limit_bytes: int = 16 << 20  # of what stands before the pixel data
    header_cache_bytes: int = 16 << 20  # per process, what is known of how frames look
    inline_frame_bytes: int = 4 << 20  # native frames up to this size are drawn by the door itself, not by a worker
    report_limit_bytes: int = 8 << 20  # of the DICOM JSON of a report, waveform or presentation state
    viewport_limit_px: int = 8192  # of each side
    animation_limit_bytes: int = 128 << 20  # of all frames of an animated GIF together, not compressed
    thumbnail_px: int = 200  # of each side, where none is asked for
    thumbnail_scan_limit: int = 5000  # instances looked at to choose the one that stands for a study or series
    thumbnail_files_bytes: int = 512 << 20  # kept below storage.directory; 0 keeps none
    thumbnail_keep_s: float = 2592000.0  # those that nobody asked for this long go


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """Which term an instance gets at ingest; the longer one where the class is unknown."""

    policy: str = "cn"  # a preset of bridge/retention
    default_class: str = ""  # "" = unknown: the longest term of the policy
    timezone: str = "Asia/Shanghai"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Background work."""

    interval_s: float = 2.0
    relocate_batch: int = 100
    series_quiet_s: float = 600.0
    reclaim_interval_s: float = 60.0
    reclaim_delay_s: float = 300.0  # readers that began before a move may finish
    orphan_sweep_interval_s: float = 3600.0
    orphan_sweep_limit: int = 100  # more orphans than this at once: none is deleted, a person looks (an old index?)
    lease_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """How finished studies are sent on."""

    quiet_s: float = 60.0  # a study is finished when nothing has come for so long
    interval_s: float = 2.0  # how often the change feed and the jobs are looked at
    retry_s: float = 15.0  # after a failure; doubled each time
    retry_max_s: float = 600.0
    attempts: int = 1000  # then the job is dead until somebody says `dicom-bridge forward retry`
    progress_instances: int = 50  # remembered after so many; what came after is sent again after a crash
    claim_s: float = 300.0  # who has been silent for so long has lost its job
    timeout_s: float = 60.0  # for a DICOMweb destination to take or answer anything
    keep_days: float = 30.0  # what is done is listed for so long
    refused_limit: int = 100  # refused instances that a job remembers by name


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardRule:
    """Which instances go where, once their study is finished. Empty conditions are met by everything."""

    name: str
    to: tuple[str, ...]  # names of peers and web destinations
    sites: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()  # calling AE titles that sent the instance
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    description: str = ""  # of study or series; * and ? are wildcards
    hours: str = ""  # "22:00-06:00", in retention.timezone: when it may be sent; "" = always
    priority: str = "normal"  # high | normal | low
    bytes_per_second: int = 0  # 0 = as fast as it can
    transfer_syntax: str = ""  # UID of a lossless one to compress into, for thin lines; "" = as stored


@dataclass(frozen=True, slots=True, kw_only=True)
class WebDestination:
    """A DICOMweb server that studies are sent to by STOW-RS, and that `dicom-bridge pull` may take them from."""

    name: str
    url: str  # the service root
    key_file: str = ""  # holds its bearer key; "" = none is sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """How `dicom-bridge pull` takes over what another archive holds."""

    parallel: int = 2  # parts fetched at a time
    instances_per_request: int = 200
    window_days: int = 30  # of study dates that one question asks for
    answers_limit: int = 0  # so many studies are taken for a part of the answer, and asked for in halves; 0 = never
    page_results: int = 500  # of a DICOMweb source
    timeout_s: float = 60.0  # for a DICOMweb source to answer anything
    attempts: int = 4  # of a question or part that brings nothing
    retry_s: float = 2.0  # after the first of them; doubled each time
    retry_max_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """Storage commitment: what a device may ask at once, how long an answer may take."""

    references: int = 20_000  # of one request
    wait_s: float = 3600.0  # for landed instances to reach the object store
    recheck_s: float = 5.0  # between two looks at what is not there yet
    attempts: int = 20  # to report; then the job is dead
    retry_s: float = 10.0  # doubled at each attempt
    retry_max_s: float = 3600.0
    keep_s: float = 30 * 86400.0  # ended ones stay listed, and their Transaction UIDs taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The process that calls peers by itself."""

    interval_s: float = 1.0
    threads: int = 4  # jobs at a time
    claim_s: float = 300.0  # a job whose process died is taken up by another after this


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """How the processes are kept alive."""

    user: str = ""  # drop privileges to this user once the sockets are open; the data folder is theirs; "" = stay
    restart_delay_s: float = 0.5  # doubled at each quick death
    restart_delay_max_s: float = 15.0
    bind_timeout_s: float = 10.0  # an earlier instance may still be draining


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A known application entity: who may call, from where, for what, and where we call it."""

    name: str
    ae_title: str
    addresses: tuple[str, ...] = ()  # addresses or networks; empty = from anywhere
    host: str = ""  # where it listens; "" = the first of its addresses
    port: int = 0  # on which it listens; 0 = nothing can be sent to it
    site: str = ""  # "" = the called AE title's
    services: tuple[str, ...] = ("echo", "store", "commitment")
    tls: bool = False  # it calls only over TLS, and so do we
    certificate: str = ""  # a name that its certificate must have; "" = any
    users: tuple[str, ...] = ()  # one of whom must be named; made by `dicom-bridge peers user`
    commitment_report: str = "new"  # new | same: the association on which it wants to hear
    sop_classes: tuple[str, ...] = ()  # UIDs; empty = all
    transfer_syntaxes: tuple[str, ...] = ()  # UIDs; empty = all
    associations: int = 0  # 0 = dimse.associations_per_peer
    instances_per_second: float = 0.0  # 0 = as fast as it can
    bytes_per_second: int = 0
    fallback_charset: str = ""
    issuer_of_patient_id: str = ""  # of data sets that name none
    timezone: str = ""  # of data sets that name none; "" = retention.timezone counts days, and none is assumed
    retention_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledTitle:
    """An AE title that we answer to, and the site it stands for."""

    ae_title: str
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything, frozen."""

    site: str = "default"
    node: str = field(default_factory=socket.gethostname)
    log_level: str = "INFO"
    audit_file: str = "audit.jsonl"  # below storage.directory; "-" = with the log; "" = none
    storage: Storage = field(default_factory=Storage)
    index: Index = field(default_factory=Index)
    ingest: Ingest = field(default_factory=Ingest)
    dimse: Dimse = field(default_factory=Dimse)
    tls: Tls = field(default_factory=Tls)
    http: Http = field(default_factory=Http)
    pixels: Pixels = field(default_factory=Pixels)
    rendering: Rendering = field(default_factory=Rendering)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    worker: Worker = field(default_factory=Worker)
    forwarding: Forwarding = field(default_factory=Forwarding)
    pull: Pull = field(default_factory=Pull)
    commitment: Commitment = field(default_factory=Commitment)
    sender: Sender = field(default_factory=Sender)
    supervisor: Supervisor = field(default_factory=Supervisor)
    peers: tuple[Peer, ...] = ()
    ae_titles: tuple[CalledTitle, ...] = ()
    forward_rules: tuple[ForwardRule, ...] = ()
    web_destinations: tuple[WebDestination, ...] = ()
    file: Path | None = field(default=None, compare=False)  # where they were read from
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)  # dotted name -> where the value came from


CHOICES: dict[str, tuple[Any, ...]] = {
    "storage.hot": ("local", "s3", "memory"),
    "storage.s3_lock_mode": ("GOVERNANCE", "COMPLIANCE", "none"),
    "ingest.acknowledge": ("object-store", "landing"),
    "ingest.duplicates": ("keep-first", "replace", "reject"),
    "http.empty_search": (200, 204),
    "dimse.unverifiable_identities": ("refuse", "ignore"),
    "tls.client_certificates": ("required", "optional", "none"),
    "tls.minimum_version": ("1.2", "1.3"),
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR"),
}
