"""A listener of a test's Kafka that asks its clients who they are, with or without TLS, on loopback like everything."""

import subprocess
from pathlib import Path

from pipeline.local.broker import java

USER = "loyalty"
PASSWORD = "correct-horse-battery"  # noqa: S105 - a test's
MODULES = {
    "PLAIN": f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
}


class Guard:
    """One user, one password; with TLS a certificate for 127.0.0.1 that nobody but its own file vouches for."""

    def __init__(self, directory: Path, *, tls: bool = False) -> None:
        self.protocol = "SASL_SSL" if tls else "SASL_PLAINTEXT"
        self.password_file = directory / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.ca_file = directory / "ca.pem"
        self._store = directory / "broker.p12"
        if tls:
            self._make_certificate()

    def _make_certificate(self) -> None:
        names = ["-ext", "san=ip:127.0.0.1", "-ext", "bc:c=ca:true", "-ext", "ku:c=digitalSignature,keyCertSign"]
        self._keytool("-genkeypair", "-keyalg", "EC", "-dname", "CN=kafka", "-validity", "30", *names)
        self._keytool("-exportcert", "-rfc", "-file", str(self.ca_file))

    def _keytool(self, *arguments: str) -> None:
        store = ["-keystore", str(self._store), "-storepass", "changeit", "-alias", "broker"]
        subprocess.run([str(java().with_name("keytool")), *arguments, *store], check=True, capture_output=True)

    def properties(self) -> dict[str, str]:
        """What the broker is told of it."""
        listener = "listener.name.guarded"
        modules = {f"{listener}.{name.lower()}.sasl.jaas.config": module for name, module in MODULES.items()}
        tls = {
            f"{listener}.ssl.keystore.location": str(self._store),
            f"{listener}.ssl.keystore.type": "PKCS12",
            f"{listener}.ssl.keystore.password": "changeit",
        }
        enabled = {f"{listener}.sasl.enabled.mechanisms": ",".join(MODULES)}
        return enabled | modules | (tls if self.protocol == "SASL_SSL" else {})

    def users(self) -> list[str]:
        """The users Kafka's storage begins with."""
        return [f"{name}=[name={USER},password={PASSWORD}]" for name in MODULES if name != "PLAIN"]
