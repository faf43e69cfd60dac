"""What git's messages mean for who deploys, and what to do about it."""

import re

from daeploy_lib.errors import SourceError
from daeploy_lib.sources.git.address import Address
from daeploy_lib.sources.git.program import Done, OutOfTimeError

_SECRETS_IN_URL = re.compile(r"//[^/@\s]+@")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_SAID_MAX = 300  # characters
# The first that is found counts: what ssh or curl says is said before what git
# concludes from it.
_MEANINGS = (
    (
        r"transport '[^']*' not allowed",
        (
            "git's configuration or the server leads to a kind of address that is not "
            "allowed. Name the repository itself, with https:// or ssh://"
        ),
    ),
    (
        r"dubious ownership|is owned by someone else|safe\.directory",
        (
            "it belongs to another user, and git does not trust it. If you do: "
            "git config --global --add safe.directory {path}"
        ),
    ),
    (
        r"cannot run .*: No such file|ssh: not found|ssh: No such file",
        "the program ssh is not installed, or not where git looks for it. Install it",
    ),
    (
        r"Host key verification failed|authenticity of host",
        (
            "ssh does not know the server's key. Connect once with ssh by hand, or add "
            "the key to ~/.ssh/known_hosts"
        ),
    ),
    (
        r"Permission denied \(|Too many authentication failures|no mutual signature",
        (
            "the server accepts none of the keys that ssh has. Add the key to the "
            "agent with ssh-add, and to your account on the server"
        ),
    ),
    (
        r"Authentication failed|HTTP Basic: Access denied|[Ii]nvalid (?:user|cred)",
        (
            "the server does not accept the user and password{given}. Check that "
            "they are right, that the token has not expired, and that it may read "
            "the repository"
        ),
    ),
    (
        (
            r"could not read (?:Username|Password)|terminal prompts "
            r"(?:have been )?disabled|unable to get password"
        ),
        (
            "it needs a user and password. Store them with a credential helper of git "
            "(git config credential.helper), or write them into the address: "
            "https://user:token@…; they are shown nowhere"
        ),
    ),
    (
        r"error: 403|403 Forbidden",
        (
            "the server refuses: error 403. Check that your user or token may read the "
            "repository"
        ),
    ),
    (
        (
            r"[Cc]ould not resolve host|Name or service not known"
            r"|[Tt]emporary failure in name resolution|unable to look up"
        ),
        "its host is not known. Check how it is spelled, and the network",
    ),
    (
        (
            r"SSL certificate|certificate verif|local issuer certificate|self[- ]signed"
            r"|CAfile|certificate subject name|no alternative certificate"
        ),
        (
            "the server's certificate is not trusted. If its authority is your own, "
            "tell git: git config --global http.sslCAInfo FILE, or GIT_SSL_CAINFO=FILE"
        ),
    ),
    (
        (
            r"[Cc]onnection refused|[Ff]ailed to connect|[Cc]ouldn't connect"
            r"|No route to host|[Nn]etwork is unreachable|unable to connect to"
        ),
        (
            "nothing answers there. Check the host and the port, and that a proxy or "
            "firewall lets you through"
        ),
    ),
    (
        r"timed out",
        "the server does not answer. Check the network, or try again",
    ),
    (
        r"remote helper|remote-https?' is not a git command",
        "the installed git cannot use {scheme}:// addresses. Install all of git",
    ),
    (
        r"No space left|[Dd]isk quota exceeded",
        "the disk is full. Free some space, or name another folder with TMPDIR",
    ),
    (
        r"mismatched algorithms|unknown object format|unknown repository extension",
        "its commits have a format that the installed git does not know. Update git",
    ),
    (
        (
            r"not found|does not appear to be a git repository|does not exist"
            r"|is this a git|repository not exported|not a git repository|No such file"
        ),
        (
            "there is no repository, or none that you may see. Check how it is "
            "spelled, and that the user may read it"
        ),
    ),
    (
        r"returned error: (?:429|5\d\d)",
        "the server cannot answer now. Try again later",
    ),
    (
        (
            r"early EOF|hung up|RPC failed|unexpected disconnect|[Ee]mpty reply"
            r"|reset by peer|transfer closed|Recv failure"
            r"|TLS connection was|unexpected eof|SSL_read"
        ),
        "the connection broke off. Try again",
    ),
)


def refusal(address: Address, why: str) -> SourceError:
    """Return the error for a repository that cannot be fetched."""
    end = "" if why.endswith("?") else "."
    return SourceError(f"Cannot fetch {address.clean}: {why}{end}", stage="source")


def failed(address: Address, done: Done) -> SourceError:
    """Return the error for a git that did not do what it was asked."""
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, done.errors):
            text = meaning.replace("{path}", address.clean)
            text = text.replace("{scheme}", address.scheme)
            given = " of the address" if address.password is not None else ""
            said = _said(address, done.errors, pattern)
            return refusal(address, text.replace("{given}", given) + said)
    said = _said(address, done.errors, "^(?:fatal|error|remote):")
    return refusal(address, f"git failed with exit code {done.code}{said}")


def late(address: Address, error: OutOfTimeError) -> SourceError:
    """Return the error for a git that was given up."""
    if error.is_stall:
        why = (
            f"nothing came for {error.seconds:g} s. Check the network and the server, "
            f"and try again"
        )
    else:
        why = (
            f"git was not done after {error.seconds:g} s. Give it longer with "
            f"Git(…, timeout=…), or name a smaller repository"
        )
    return refusal(address, why)


def _said(address: Address, errors: str, pattern: str) -> str:
    """Quote the line that says it, without secrets and control characters."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", errors.strip())]
    text = next((line for line in lines if re.search(pattern, line)), lines[-1])
    for secret in (address.password, address.user):
        if secret:
            text = text.replace(secret, "***")
    text = _SECRETS_IN_URL.sub("//***@", text)
    text = _UNPRINTABLE.sub(" ", text).replace('"', "'")[:_SAID_MAX].strip(". ")
    return f'. git said: "{text}"' if text else ""
