"""Whom Google lets in: identity providers, service accounts, and the access tokens that were made for them. Pure state.

The words of every refusal are Google's, as the threads of google-github-actions/auth show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accel_ci_sim.world import conditions

GITHUB = "https://token.actions.githubusercontent.com"
SUBJECT_BYTES = 127
LIFETIME_S = 3600.0
INVALID_TARGET = (
    'The target service indicated by the "audience" parameters is invalid. This might either be because the pool or'
    " provider is disabled or deleted or because it doesn't exist."
)


class SignInError(Exception):
    """The token service says no: one of OAuth's words for errors, and a sentence."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(slots=True, kw_only=True)
class Provider:
    """An identity provider of a pool: its full name, with the number of the project, and what google.subject is mapped to."""

    name: str
    issuer: str = GITHUB
    audiences: tuple[str, ...] = ()
    condition: str = ""
    subject: str = "assertion.sub"
    disabled: bool = False

    def accepts(self, audience: object) -> bool:
        """Whether an identity token for this audience is meant for the provider: by default, for its own name."""
        return audience in (
            self.audiences or (f"https://iam.googleapis.com/{self.name}", f"//iam.googleapis.com/{self.name}")
        )


@dataclass(slots=True)
class Granted:
    """An access token: whose it is, and when it ends."""

    principal: str
    expires_at: float


@dataclass(slots=True)
class Identities:
    """All of them. `members` are the principals that may act as a service account, by its address."""

    providers: dict[str, Provider] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    granted: dict[str, Granted] = field(default_factory=dict)

    def provider(self, audience: str) -> Provider:
        """The provider that the audience of an exchange names."""
        name = audience.removeprefix("https:").removeprefix("//iam.googleapis.com/")
        if name == audience or "/providers/" not in name:
            raise SignInError(
                "invalid_request",
                'Invalid value for "audience". This value should be the full resource name of the Identity Provider.',
            )
        known = self.providers.get(name)
        if known is None or known.disabled:
            raise SignInError("invalid_target", INVALID_TARGET)
        return known

    def check(self, provider: Provider, claims: Mapping[str, Any], *, now: float) -> str:
        """The principal that these claims of a well signed token make; SignInError when the provider does not let it in."""
        if claims.get("iss") != provider.issuer:
            raise SignInError("invalid_grant", "The issuer in ID Token does not match the expected ones.")
        if not provider.accepts(claims.get("aud")):
            raise SignInError(
                "invalid_grant", f"The audience in ID Token [{claims.get('aud')}] does not match the expected audience."
            )
        if not claims.get("nbf", 0) <= now + 60 or now >= claims.get("exp", 0):
            raise SignInError("invalid_grant", f"ID Token issued at {claims.get('iat')} is stale to sign-in.")
        texts = {name: value for name, value in claims.items() if isinstance(value, str)}
        subject = _mapped(provider.subject, texts)
        # Long branch names in the subject meet this limit, at the worst moment.
        if not 0 < len(subject.encode()) <= SUBJECT_BYTES:
            raise SignInError(
                "invalid_request", "The size of mapped attribute google.subject exceeds the 127 bytes limit."
            )
        try:
            allowed = conditions.holds(provider.condition, texts)
        # A condition that cannot be worked out lets nobody in.
        except conditions.ConditionError:
            allowed = False
        if not allowed:
            raise SignInError("unauthorized_client", "The given credential is rejected by the attribute condition.")
        pool = provider.name.partition("/providers/")[0]
        return f"principal://iam.googleapis.com/{pool}/subject/{subject}"

    def grant(self, token: str, principal: str, *, expires_at: float) -> None:
        """Let whoever holds the token in until then."""
        self.granted[token] = Granted(principal, expires_at)

    def who(self, authorization: str, *, now: float) -> str | None:
        """The principal behind an Authorization header; None for nobody."""
        known = self.granted.get(authorization.partition("Bearer ")[2])
        return known.principal if known is not None and now < known.expires_at else None

    def may_act_as(self, principal: str, account: str) -> bool:
        """Whether the principal may make access tokens of the service account."""
        return principal in self.members.get(account, ())


def _mapped(expression: str, texts: Mapping[str, str]) -> str:
    try:
        return conditions.text(expression, texts)
    except conditions.ConditionError as error:
        raise SignInError("invalid_request", f"Error in the mapped attribute google.subject: {error}") from error
