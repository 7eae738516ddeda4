"""Apache Kafka's jars: fetched once by their Maven coordinates, each checked against the lock that ships here.

Rules
-----
- Each line of the lock is resolved singly; nothing transitive is ever chosen at run time.
- A jar counts only with the locked SHA-256; anything else in its place is fetched again, and refused if it differs.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import platformdirs

from pipeline import resources
from pipeline.errors import Refused

KAFKA_VERSION = "4.3.1"
DOWNLOAD_MB = 44
"""About how much the first run fetches."""
REMEDIES = (
    "Use one of: an existing Kafka (loyalty up --kafka HOST:PORT), a folder that holds the jars "
    "(loyalty up --kafka-jars DIR), or a proxy (set HTTPS_PROXY)."
)


class Jar(NamedTuple):
    """One locked jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """The file's name in the cache and in a folder of jars."""
        return f"{self.artifact}-{self.version}.jar"


def lock() -> list[Jar]:
    """The jars of Kafka's broker, from the lock."""
    lines = resources.data("kafka", f"jars-{KAFKA_VERSION}.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split() for line in lines if line.strip() and not line.startswith("#"))
    found = [(coordinate.split(":"), digest) for coordinate, digest in rows]
    return [Jar(group, artifact, version, digest) for (group, artifact, version), digest in found]


def cache() -> Path:
    """Where fetched jars are kept for every data directory of this user."""
    return Path(platformdirs.user_cache_dir("loyalty")) / f"kafka-{KAFKA_VERSION}"


def missing(folder: Path) -> list[Jar]:
    """The jars that are not in ``folder`` with their locked content."""
    with ThreadPoolExecutor(4) as pool:
        jars = lock()
        return [
            jar
            for jar, fits in zip(jars, pool.map(lambda jar: _fits(folder / jar.filename, jar), jars), strict=True)
            if not fits
        ]


def classpath(folder: Path) -> list[Path]:
    """The jars in ``folder``, in the lock's order."""
    return [folder / jar.filename for jar in lock()]


def ensure(given: str, progress: Callable[[int, int], None]) -> Path:
    """The folder with all jars; fetches what is missing into the cache unless a folder is given.

    ``progress`` is told how many of how many jars to fetch are there.

    Raises
    ------
    Refused
        A given folder is incomplete, or the jars cannot be had; names the remedies.
    """
    if given:
        absent = missing(Path(given))
        if absent:
            raise Refused(
                f"{given} lacks {len(absent)} of Kafka's jars or holds others in their place, the first: "
                f"{absent[0].filename}. {REMEDIES}"
            )
        return Path(given)
    folder = cache()
    _fetch(missing(folder), folder, progress)
    return folder


def _fetch(absent: list[Jar], folder: Path, progress: Callable[[int, int], None]) -> None:
    if not absent:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failed:
        raise Refused(f"Kafka's jars cannot be kept in {folder}: {failed.strerror}. {REMEDIES}") from None
    progress(0, len(absent))
    with TemporaryDirectory(prefix="maven-", dir=folder) as own, ThreadPoolExecutor(6) as pool:  # others may fetch too
        for done, _ in enumerate(pool.map(lambda jar: _fetch_one(jar, folder, Path(own)), absent), start=1):
            progress(done, len(absent))


def _fetch_one(jar: Jar, folder: Path, repository: Path) -> None:
    from jgo.maven import MavenContext  # noqa: PLC0415 - only when something has to be fetched

    try:
        context = MavenContext(repo_cache=repository)
        path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except Exception as failed:  # jgo raises many kinds; each means the jar cannot be had
        raise Refused(f"Kafka's jar {jar.filename} cannot be fetched ({type(failed).__name__}). {REMEDIES}") from None
    if not _fits(path, jar):
        raise Refused(f"Kafka's jar {jar.filename} was fetched, but is not the locked file. {REMEDIES}")
    path.replace(folder / jar.filename)


def _fits(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False
