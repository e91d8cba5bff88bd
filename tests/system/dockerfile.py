"""Run a Dockerfile's steps in plain folders with chroot, where there is no container engine. Needs root.

Knows what our Dockerfile uses: FROM (one base, named stages), RUN, COPY [--from], ENV, USER, WORKDIR, HEALTHCHECK and
CMD in their JSON form; VOLUME and EXPOSE change nothing here. Anything else raises ValueError.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

NETWORK_VARIABLES = re.compile(r"PIP_(?!FIND_LINKS)|SSL_|REQUESTS_|CURL_|HTTPS?_PROXY|NO_PROXY")


@dataclass(slots=True)
class Image:
    """A stage while it is built, and the image at the end: its folder and what a container of it starts with."""

    root: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
    )
    user: str = "root"
    working_directory: str = "/"
    command: list[str] = field(default_factory=list)
    health_command: list[str] = field(default_factory=list)

    def run(self, command: list[str], **environment: str) -> None:
        """Run to the end as the image's user, in its folder and environment. Raises CalledProcessError."""
        subprocess.run(
            self.argv(command), check=True, stdin=subprocess.DEVNULL, env={**self.environment, **environment}
        )

    def argv(self, command: list[str]) -> list[str]:
        """`command` as this machine starts it; the environment is the caller's to give."""
        step = f"cd {shlex.quote(self.working_directory)} && exec {shlex.join(command)}"
        return ["/usr/sbin/chroot", f"--userspec={self.user}:", str(self.root), "/bin/sh", "-c", step]


def instructions(text: str) -> list[tuple[str, str]]:
    """(`RUN`, `useradd …`) pairs: comments left out, continued lines joined."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    lines = [line.strip() for line in joined.splitlines() if line.strip()]
    return [(line.split(None, 1)[0], " ".join(line.split(None, 1)[1].split())) for line in lines]


def build(dockerfile: Path, base: Path, work: Path) -> Image:
    """Every stage in a folder of its own below `work`, each a copy of `base`; the last one is the image."""
    stages: dict[str, Image] = {}
    image = Image(base)
    for number, (name, rest) in enumerate(instructions(dockerfile.read_text())):
        print(name, rest, flush=True)
        if name == "FROM":
            image = Image(work / f"stage-{number}")
            subprocess.run(["cp", "-a", f"{base}/.", str(image.root)], check=True)
            _join_network(image.root)
            stages[rest.partition(" AS ")[2] or "last"] = image
        else:
            _step(name, rest, image, stages, dockerfile.parent)
    return image


def _step(name: str, rest: str, image: Image, stages: dict[str, Image], context: Path) -> None:
    match name:
        case "RUN":
            network = {key: value for key, value in os.environ.items() if NETWORK_VARIABLES.match(key)}
            image.run(["/bin/sh", "-c", rest], **network)
        case "COPY":
            _copy(rest.split(), image, stages, context)
        case "ENV":
            image.environment |= dict(part.split("=", 1) for part in shlex.split(rest))
        case "USER":
            image.user = rest
        case "WORKDIR":
            image.working_directory = rest
        case "HEALTHCHECK":
            image.health_command = json.loads(rest[rest.index(" CMD ") + 5 :])
        case "CMD":
            image.command = json.loads(rest)
        case "VOLUME" | "EXPOSE":
            pass
        case _:
            raise ValueError(f"this Dockerfile has a step that nothing here can run: {name} {rest}")


def _copy(words: list[str], image: Image, stages: dict[str, Image], context: Path) -> None:
    source_root = context
    if words[0].startswith("--from="):
        source_root = stages[words.pop(0).removeprefix("--from=")].root
    *sources, target = words
    for source in sources:
        origin = source_root / source.lstrip("/")
        destination = image.root / target.lstrip("/")
        if target.endswith("/"):
            destination /= origin.name
        destination.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, destination, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, destination)


def _join_network(root: Path) -> None:
    """Names, trust and pip's settings of this machine, which a container engine would bring too."""
    for name in ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt", "etc/pip.conf"):
        if Path("/", name).exists():
            shutil.copy(Path("/", name), root / name)
    shutil.copytree("/etc/apt/apt.conf.d", root / "etc/apt/apt.conf.d", dirs_exist_ok=True)
