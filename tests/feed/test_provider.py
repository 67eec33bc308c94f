"""Tokens of an OpenID provider: which are known, and what they let in for."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from pathlib import Path
from time import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.helpers.provider import AUDIENCE, ISSUER, RSA_KEY, Signer, key_server
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.feed import jwks
from wpb_stream.feed.jwks import fetch
from wpb_stream.feed.provider import Provider
from wpb_stream.oidc import Oidc

KEY = Signer("one", names_algorithm=False)
RSA = Signer("rsa", "RS256")
ANY_RSA = Signer("any", "RS256", names_algorithm=False)


def oidc(source: str | Path, **more: Any) -> Oidc:
    return Oidc(**({"issuer": ISSUER, "audience": AUDIENCE, "jwks": str(source)} | more))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of keys, of which one says what it is for."""
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [KEY.public, RSA.public, ANY_RSA.public]}))
    return file


def part(value: Any) -> str:
    """A part of a token, made by hand."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_a_token_that_the_provider_signed_lets_in_until_it_expires(file: Path) -> None:
    grant = await Provider(oidc(file)).grant(KEY.token(exp=2_000_000_000))
    assert grant is not None
    assert (grant.name, grant.scopes, grant.sessions, grant.expires) == ("ab12345", {"watch"}, None, 2_000_000_030.0)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_tokens_are_known_by_every_usual_algorithm_whether_or_not_the_key_names_it(algorithm: str, tmp_path: Path) -> None:
    for names in (True, False):
        signer = Signer("k", algorithm, names_algorithm=names)
        (tmp_path / "keys.json").write_text(json.dumps({"keys": [signer.public]}))
        assert await Provider(oidc(tmp_path / "keys.json")).grant(signer.token()) is not None


def forged() -> dict[str, str]:
    """Tokens that are none, by what is wrong with them."""
    now = int(time())
    head, body, signature = KEY.token().split(".")
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": now + 3600, "scope": "watch admin"}
    public = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signed = f"{part({'alg': 'HS256', 'kid': 'any'})}.{part(claims)}"
    mac = base64.urlsafe_b64encode(hmac.sign(signed.encode(), public)).rstrip(b"=").decode()
    return {
        "alg none": f"{part({'alg': 'none', 'kid': 'one'})}.{part(claims)}.",
        "alg None": f"{part({'alg': 'None', 'kid': 'one'})}.{part(claims)}.{signature}",
        "no alg": f"{part({'kid': 'one'})}.{part(claims)}.{signature}",
        "the public key as a shared secret": f"{signed}.{mac}",
        "an algorithm the key is not for": RSA.token(algorithm="PS256"),
        "an algorithm that is not allowed": Signer("rsa", "RS512").token(),
        "another key of that name": Signer("one").token(),
        "a key that is not known": Signer("two").token(),
        "its own key in the header": Signer("two").token(headers={"jwk": Signer("two").public, "jku": "http://127.0.0.1:1/"}),
        "another issuer": KEY.token(iss="https://id.example.org/realms/b01-2"),
        "the issuer as the start of another": KEY.token(iss=f"{ISSUER}/"),
        "no issuer": KEY.token(iss=None),
        "another audience": KEY.token(aud="account"),
        "no audience": KEY.token(aud=None),
        "expired": KEY.token(exp=now - 31),
        "never expires": KEY.token(exp=None),
        "expires in words": KEY.token(exp="tomorrow"),
        "not valid yet": KEY.token(nbf=now + 3600),
        "made tomorrow": KEY.token(iat=now + 86_400),
        "other claims under the signature": f"{head}.{part(claims)}.{signature}",
        "no signature": f"{head}.{body}.",
        "no token": "wpb_x",
        "no text": "",
        "three dots": "...",
        "deep": f"{base64.urlsafe_b64encode(b'[' * 40_000).decode()}.{body}.{signature}",
        "no object": f"{part([])}.{body}.{signature}",
        "a key name that is none": f"{part({'alg': 'ES256', 'kid': ['one']})}.{body}.{signature}",
        "an algorithm that is none": f"{part({'alg': ['ES256'], 'kid': 'one'})}.{body}.{signature}",
        "a surrogate": "\ud800.a.b",
    }


@pytest.mark.parametrize("wrong", forged())
async def test_nothing_else_lets_in(wrong: str, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = forged()[wrong]
    assert await Provider(oidc(file)).grant(token) is None
    assert not any(piece in caplog.text for piece in token.split(".") if len(piece) > 4), "no part of a token is logged"


async def test_keys_that_are_too_short_count_for_nothing(tmp_path: Path) -> None:
    short = Signer("short", "RS256", key=rsa.generate_private_key(65537, 1024))
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [short.public]}))
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = short.token()
    assert await Provider(oidc(tmp_path / "keys.json")).grant(token) is None


async def test_clocks_may_differ_by_the_leeway(file: Path) -> None:
    now = int(time())
    for claims in ({"exp": now - 50}, {"nbf": now + 50}, {"iat": now + 50}):
        assert await Provider(oidc(file, leeway_s=100)).grant(KEY.token(**claims)) is not None
        assert await Provider(oidc(file, leeway_s=10)).grant(KEY.token(**claims)) is None


async def test_one_of_several_audiences_on_either_side_is_enough(file: Path) -> None:
    assert await Provider(oidc(file, audience=["other", AUDIENCE])).grant(KEY.token(aud=["account", AUDIENCE])) is not None


async def test_a_key_without_a_name_is_found_by_trying(tmp_path: Path) -> None:
    signers = [Signer(None), Signer(None, "RS256"), Signer(None)]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [signer.public for signer in signers]}))
    provider = Provider(oidc(tmp_path / "keys.json"))
    assert all([await provider.grant(signer.token()) for signer in signers])
    assert await provider.grant(Signer(None).token()) is None


async def test_new_keys_are_fetched_once_a_token_of_theirs_comes_but_not_at_each_token(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Signer("old"), Signer("new")
    with key_server(old) as server:
        provider = Provider(oidc(server.url))
        assert await provider.grant(old.token()) is not None
        assert await provider.grant(old.token()) is not None
        assert server.asked == 1
        server.serves(new)
        assert await provider.grant(new.token()) is None, "it was asked just now"
        assert server.asked == 1
        monkeypatch.setattr(jwks, "MIN_REFRESH_S", 0.0)
        assert await provider.grant(new.token()) is not None
        assert server.asked == 2
        assert await provider.grant(old.token()) is None, "its key was withdrawn"


async def test_many_tokens_of_a_new_key_ask_for_it_once() -> None:
    signer = Signer("new")
    with key_server(signer) as server:
        provider = Provider(oidc(server.url))
        grants = await asyncio.gather(*(provider.grant(signer.token()) for _ in range(20)))
        assert None not in grants
        assert server.asked == 1


async def test_while_the_provider_is_away_its_old_keys_count(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(jwks, "MIN_REFRESH_S", 0.0)
    with key_server(KEY) as server:
        provider = Provider(oidc(server.url))
        assert await provider.grant(KEY.token()) is not None
        server.body = b"<html>maintenance</html>"
        assert await provider.grant(Signer("two").token()) is None
        server.body = b'{"keys": []}'
        await provider.keys.refresh()
        assert await provider.grant(KEY.token()) is not None
    await provider.keys.refresh()
    assert await provider.grant(KEY.token()) is not None
    assert caplog.text.count("those from before are kept") == 3


async def test_keys_are_fetched_anew_by_themselves(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(jwks, "MIN_REFRESH_S", 0.0)
    monkeypatch.setattr(jwks, "REFRESH_S", 0.0)
    provider = Provider(oidc(file))
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        fresh = tasks.create_task(provider.keys.keep_fresh())
        while await provider.grant(KEY.token()) is None:
            pass
        file.write_text(json.dumps({"keys": [Signer("two").public]}))
        while await provider.grant(KEY.token()) is not None:
            await asyncio.sleep(0)
        fresh.cancel()


def test_nobody_is_followed_to_keys_elsewhere() -> None:
    with key_server(KEY) as server, pytest.raises(ServiceError, match=r"302.*check oidc\.jwks"):
        fetch(server.url.replace("/certs", "/elsewhere"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"keys": {}}',
        '{"keys": [7]}',
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        '{"keys": [{"kty": "RSA", "use": "enc"}]}',
    ],
)
def test_what_is_no_set_of_public_keys_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ServiceError, match=r"keys\.json .*check oidc\.jwks in the settings"):
        fetch(str(tmp_path / "keys.json"))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ServiceError, match=r"nowhere\.json cannot be read .*check oidc\.jwks"):
        fetch("/nowhere.json")
