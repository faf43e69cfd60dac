"""What of a host's configuration is taken into a container, and what is not."""

from pathlib import Path

import pytest

from daeploy_lib.sources.host_packages import ca_certificates, pip_options, proxies

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The variables of a host that has configured nothing."""
    return {"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}


def test_index_options_are_taken_over(environ: dict[str, str]) -> None:
    """What names an index serves anywhere; what names a place here does not."""
    environ |= {
        "PIP_INDEX_URL": "https://user:p%40ss@host/simple",
        "PIP_TRUSTED_HOST": "host other",
        "PIP_DEFAULT_TIMEOUT": "30",
        "PIP_CACHE_DIR": "/var/cache",
        "PIP_TARGET": "/opt",
        "PIP_CERT": "/etc/ssl/ca.pem",
        "PIP_CLIENT_CERT": "/etc/ssl/own.pem",
        "PIP_REQUIRE_VIRTUALENV": "1",
    }
    assert pip_options(environ) == {
        "default-timeout": "30",
        "index-url": "https://user:p%40ss@host/simple",
        "trusted-host": "host other",
    }


def test_addresses_of_files_are_left_out(environ: dict[str, str]) -> None:
    """Paths and file: addresses mean nothing in a container."""
    environ |= {
        "PIP_FIND_LINKS": "/opt/wheels ./wheels https://host/links",
        "PIP_EXTRA_INDEX_URL": "file:///opt/simple\nHTTPS://host/simple",
        "PIP_INDEX_URL": "file:///opt/pypi",
    }
    assert pip_options(environ) == {
        "extra-index-url": "HTTPS://host/simple",
        "find-links": "https://host/links",
    }


@pytest.mark.parametrize(
    ("links", "expected"), [("https://host/", "1"), ("/opt/wheels", None)]
)
def test_no_index_needs_links(
    environ: dict[str, str], links: str, expected: str | None
) -> None:
    """Without an index something must be left to install from."""
    environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links}
    assert pip_options(environ).get("no-index") == expected


@pytest.mark.parametrize(
    "proxy",
    [
        "http://localhost:3128",
        "localhost:3128",
        "http://user:pw@127.0.0.1:1",
        "http://127.8.9.1",
        "http://[::1]:80/",
        "0.0.0.0:8080",
    ],
)
def test_a_local_proxy_is_left_out(environ: dict[str, str], proxy: str) -> None:
    """A container would find itself at that address."""
    environ |= {"HTTP_PROXY": proxy, "https_proxy": proxy, "PIP_PROXY": proxy}
    assert proxies(environ) == {}
    assert "proxy" not in pip_options(environ)


def test_proxies_that_others_reach(environ: dict[str, str]) -> None:
    """Both spellings are given, and lower case wins as it does in Python."""
    environ |= {
        "HTTP_PROXY": "http://upper:1",
        "http_proxy": "http://user:pw@proxy:3128",
        "HTTPS_PROXY": "proxy.localhost.example:1",
        "NO_PROXY": "localhost,127.0.0.1",
        "FTP_PROXY": "http://other:1",
        "PIP_PROXY": "http://proxy:3128",
    }
    assert proxies(environ) == {
        "HTTP_PROXY": "http://user:pw@proxy:3128",
        "http_proxy": "http://user:pw@proxy:3128",
        "HTTPS_PROXY": "proxy.localhost.example:1",
        "https_proxy": "proxy.localhost.example:1",
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
    }
    assert pip_options(environ) == {"proxy": "http://proxy:3128"}


def test_the_first_usable_bundle_is_taken(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """What pip was told, then the variables; what is no bundle is passed over."""
    names = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    assert ca_certificates(environ) is None
    for name in reversed(names):
        file = tmp_path / name
        file.write_bytes(CERTIFICATE.replace(b"MIIB", name.encode()))
        environ[name] = str(file)
        found = ca_certificates(environ)
        assert found is not None
        assert name.encode() in found
    environ |= {"PIP_CERT": str(tmp_path), "REQUESTS_CA_BUNDLE": "~nobody-here/x"}
    found = ca_certificates(environ)
    assert found is not None
    assert b"CURL_CA_BUNDLE" in found


def test_a_key_beside_the_certificates_stays_here(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Of a bundle with a private key in it only the certificates are taken."""
    file = tmp_path / "bundle.pem"
    file.write_bytes(b"# comment\n" + KEY + CERTIFICATE + b"\n" + CERTIFICATE)
    environ["PIP_CERT"] = str(file)
    assert ca_certificates(environ) == 2 * CERTIFICATE
