"""Makes vectors.json: handoff assertions with the one right answer to each, for whoever writes a verifier or a sender.

    python make_vectors.py            rewrite vectors.json
    python make_vectors.py --check    write nothing; exit 1 if vectors.json is not what this program makes

Every key in vectors.json is for tests only. Keys are made once and kept. So is a PS256 signature (its salt is random)
as long as what it signs stays the same; the other algorithms sign the same bytes the same way every time.

Before a vector is written, `judge` below must give the expected answer: it is the rule in plain Python, first failing
check wins.
"""

import base64
import hashlib
import hmac
import json
import math
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

FILE = pathlib.Path(__file__).with_name("vectors.json")
TEST_ONLY = "TEST ONLY. These private keys are public. A service that trusts one of them trusts everybody."

AUDIENCE = "https://connect.example.org"
ISSUER = "https://secure.example.net"
OTHER = "https://other.example.net"
DISABLED = "https://disabled.example.net"
NOW = 1_800_000_000  # 2027-01-15T08:00:00Z

TYP = "therap-handoff+jwt"
HEADER_MEMBERS = {"typ", "alg", "kid"}
ALGORITHMS = {"ES256", "PS256", "RS256", "EdDSA"}
MAX_BYTES, MAX_LEVELS, MAX_LIFETIME, SKEW, TIMEOUT = 8192, 8, 60, 5, 30

# kid → (issuer, alg)
KEYS = {
    "TEST-ONLY-es256": (ISSUER, "ES256"),
    "TEST-ONLY-ps256": (ISSUER, "PS256"),
    "TEST-ONLY-rs256": (ISSUER, "RS256"),
    "TEST-ONLY-eddsa": (ISSUER, "EdDSA"),
    "TEST-ONLY-other": (OTHER, "ES256"),
    "TEST-ONLY-disabled": (DISABLED, "ES256"),
}
ES, PS, RS, ED, FOREIGN, OFF = KEYS


# ---------------------------------------------------------------- keys and signatures

def new_private_jwk(kid):
    alg = KEYS[kid][1]
    if alg == "ES256":
        jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    elif alg == "EdDSA":
        jwk = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate(), as_dict=True)
    else:
        jwk = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True)
    jwk.pop("key_ops", None)
    return {"kid": kid, "alg": alg, "use": "sig"} | jwk


def public(jwk):
    return {name: value for name, value in jwk.items() if name not in {"d", "p", "q", "dp", "dq", "qi"}}


def loaded(jwk):
    return {"EC": ECAlgorithm, "OKP": OKPAlgorithm, "RSA": RSAAlgorithm}[jwk["kty"]].from_jwk(jwk)


def pss(salt=32):
    return padding.PSS(padding.MGF1(hashes.SHA256()), salt)


def sign(jwk, data, salt=32):
    key, sha256 = loaded(jwk), hashes.SHA256()
    if jwk["alg"] == "ES256":
        r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(sha256, deterministic_signing=True)))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if jwk["alg"] == "EdDSA":
        return key.sign(data)
    return key.sign(data, pss(salt) if jwk["alg"] == "PS256" else padding.PKCS1v15(), sha256)


def signature_is_good(jwk, data, signature):
    key, sha256 = loaded(public(jwk)), hashes.SHA256()
    try:
        if jwk["alg"] == "ES256":
            if len(signature) != 64:
                return False
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(sha256))
        elif jwk["alg"] == "EdDSA":
            key.verify(signature, data)
        else:
            key.verify(signature, data, pss() if jwk["alg"] == "PS256" else padding.PKCS1v15(), sha256)
    except InvalidSignature:
        return False
    return True


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# ---------------------------------------------------------------- the rule

class Refused(Exception):
    pass


def refuse(reason, when=True):
    if when:
        raise Refused(reason)


def unb64(part):
    refuse("not_canonical_base64url", not re.fullmatch(r"[A-Za-z0-9_-]+", part) or len(part) % 4 == 1)
    data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    refuse("not_canonical_base64url", b64(data) != part)
    return data


def strict_json(data, broken):
    """The object in `data`. A level is an object or an array; the object itself is the first level."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        refuse(broken)
    level = 0
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text, re.DOTALL):
        level += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token, 0)
        refuse("nested_too_deep", level > MAX_LEVELS)

    def members(pairs):
        refuse("duplicate_member", len({name for name, _ in pairs}) != len(pairs))
        return dict(pairs)

    def no_constant(_):
        refuse(broken)

    def number(written):
        refuse(broken, math.isinf(float(written)))  # larger than any double
        return float(written)

    try:
        value = json.loads(text, object_pairs_hook=members, parse_constant=no_constant, parse_float=number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate is no text
    except ValueError:
        refuse(broken)
    refuse(broken, not isinstance(value, dict))
    return value


def is_text(low, high):
    return lambda value: isinstance(value, str) and low <= len(value) <= high and "\0" not in value


def is_time(value):
    """A whole number of seconds, also where it is written as a double: 1800000000.0, 1.8E9."""
    return type(value) in (int, float) and value == int(value) and 0 <= value < 2**53


CLAIMS = {  # name → (required, well formed)
    "sub": (True, is_text(1, 255)),
    "provider_code": (True, is_text(1, MAX_BYTES)),
    "login_name": (True, is_text(1, MAX_BYTES)),
    "jti": (True, lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{22,128}", value)),
    "iat": (True, is_time),
    "exp": (True, is_time),
    "nbf": (False, is_time),
    "auth_time": (False, is_time),
    "amr": (False, lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value)),
    "acr": (False, lambda value: isinstance(value, str)),
    "target": (False, lambda value: isinstance(value, str)),
}


def judge(assertion, now, keys):
    """"accepted", or the reason of the first check that fails. `keys` are the JWKs by kid."""
    try:
        check(assertion, now, keys)
    except Refused as refusal:
        return str(refusal)
    return "accepted"


def check(assertion, now, keys):
    refuse("assertion_too_large", len(assertion.encode()) > MAX_BYTES)
    parts = assertion.split(".")
    refuse("not_compact_jws", len(parts) != 3 or not all(parts))
    header, claims, signature = map(unb64, parts)

    header = strict_json(header, "header_not_json")
    refuse("header_member_not_allowed", not header.keys() <= HEADER_MEMBERS)
    refuse("wrong_typ", header.get("typ") != TYP)
    refuse("alg_missing", "alg" not in header)
    refuse("alg_not_allowed", header["alg"] not in ALGORITHMS)
    refuse("kid_missing", "kid" not in header)

    claims = strict_json(claims, "claims_not_json")
    refuse("unknown_issuer", claims.get("iss") not in (ISSUER, OTHER, DISABLED))
    refuse("issuer_disabled", claims["iss"] == DISABLED)
    issuer, alg = KEYS.get(header["kid"], (None, None))
    refuse("unknown_kid", issuer != claims["iss"])
    refuse("alg_does_not_fit_key", alg != header["alg"])
    signed = ".".join(parts[:2]).encode()
    refuse("bad_signature", not signature_is_good(keys[header["kid"]], signed, signature))

    refuse("wrong_aud", claims.get("aud") not in (AUDIENCE, [AUDIENCE]))
    claims = {name: value for name, value in claims.items() if value is not None or CLAIMS.get(name, (True,))[0]}
    for name, (required, well_formed) in CLAIMS.items():
        refuse("claim_missing", required and name not in claims)
        refuse("claim_malformed", name in claims and not well_formed(claims[name]))
    iat, exp = claims["iat"], claims["exp"]
    refuse("exp_before_iat", exp <= iat)
    refuse("lifetime_too_long", exp - iat > MAX_LIFETIME)
    refuse("issued_in_future", iat > now + SKEW)
    refuse("not_yet_valid", claims.get("nbf", 0) > now + SKEW)
    refuse("timed_out", now >= min(iat + TIMEOUT, exp))


# ---------------------------------------------------------------- the vectors

GOOD_HEADER = {"typ": TYP, "alg": "ES256", "kid": ES}
GOOD_CLAIMS = {
    "iss": ISSUER, "aud": AUDIENCE, "sub": "person-4711", "provider_code": "SUNRISE-IL", "login_name": "amina",
    "iat": NOW, "exp": NOW + 30, "jti": "dGVzdC1vbmx5LXZlY3Rvcg",
}
WITHOUT = object()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def changed(members, changes):
    return {name: value for name, value in (members | changes).items() if value is not WITHOUT}


class Vectors:
    def __init__(self, keys, old):
        self.keys, self.old, self.made = keys, old, []

    def jws(self, header=None, claims=None, key=ES, salt=32):
        """A JWS; `header` and `claims` are changes to the good ones, or the very bytes."""
        if not isinstance(header, bytes):
            header = compact(changed(GOOD_HEADER, header or {}))
        if not isinstance(claims, bytes):
            claims = compact(changed(GOOD_CLAIMS, claims or {}))
        return self.signed(f"{b64(header)}.{b64(claims)}", key, salt)

    def signed(self, data, key=ES, salt=32):
        return f"{data}.{b64(sign(self.keys[key], data.encode(), salt))}"

    def add(self, name, expect, why, assertion=None, now=NOW, **how):
        if assertion is None:
            assertion = self.jws(**how)
            before = self.old.get(name, "")
            if how.get("key") == PS and before.rpartition(".")[0] == assertion.rpartition(".")[0]:
                assertion = before
        answer = judge(assertion, now, self.keys)
        if answer != expect:
            sys.exit(f"{name}: {expect} was meant, but the answer is {answer}")
        self.made.append({"name": name, "expect": expect, "why": why, "now": now, "assertion": assertion})


def text_of(claims):
    """The good claims as JSON text with `claims` (text) put in at the end."""
    return compact(GOOD_CLAIMS)[:-1] + claims.encode() + b"}"


def of_length(vectors, length):
    """An assertion of exactly so many bytes. White space in the header makes up for what base64 cannot reach."""
    for spaces in range(4):
        header = compact(GOOD_HEADER)[:-1] + b" " * spaces + b"}"
        room = length - len(b64(header)) - 88  # two dots and 86 characters of signature
        for size in (room * 3 // 4, room * 3 // 4 + 1):
            filler = size - len(text_of(',"filler":""'))
            if filler > 0 and len(b64(b"x" * size)) == room:
                return vectors.jws(header, text_of(f',"filler":"{"x" * filler}"'))
    raise AssertionError(length)


def other_trailing_bits(part):
    """The same bytes in base64url, but with one of the unused bits of the last character set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4 in (2, 3)
    return part[:-1] + alphabet[alphabet.index(part[-1]) + 1]


def fill(v):
    add, good = v.add, v.jws()
    header, claims, signature = good.split(".")

    # --- accepted, by algorithm
    add("es256", "accepted", "the plain case")
    for name, kid in (("ps256", PS), ("rs256", RS), ("eddsa", ED)):
        add(name, "accepted", f"the plain case with {KEYS[kid][1]}", header={"alg": KEYS[kid][1], "kid": kid}, key=kid)
    add("another_issuer", "accepted", "the second trusted issuer with its own key",
        header={"kid": FOREIGN}, claims={"iss": OTHER}, key=FOREIGN)
    add("all_optional_claims", "accepted", "every optional claim at once", claims={
        "nbf": NOW, "auth_time": NOW - 3600, "amr": ["pwd", "otp"], "acr": "urn:therap:mfa", "target": "/activity"})
    add("white_space_in_json", "accepted", "JSON may hold white space", claims=json.dumps(GOOD_CLAIMS, indent=2).encode())

    # --- size and shape
    add("size_8192", "accepted", "8 KiB exactly", of_length(v, 8192))
    add("size_8193", "assertion_too_large", "8 KiB and one byte", of_length(v, 8193))
    add("two_parts", "not_compact_jws", "the signature and its dot left out", f"{header}.{claims}")
    add("four_parts", "not_compact_jws", "one part too many", f"{good}.{signature}")
    add("five_parts", "not_compact_jws", "the shape of an encrypted JWT", f"{good}.{signature}.{signature}")
    add("empty_header_part", "not_compact_jws", "nothing before the first dot", f".{claims}.{signature}")
    add("empty_claims_part", "not_compact_jws", "detached content", f"{header}..{signature}")
    add("empty_signature_part", "not_compact_jws", "nothing after the second dot", f"{header}.{claims}.")
    add("alg_none_unsigned", "not_compact_jws", "the classic unsecured JWT: its third part is empty",
        v.jws(header={"alg": "none"}).rpartition(".")[0] + ".")
    add("json_serialization", "not_compact_jws", "the JSON form of a JWS",
        compact({"payload": claims, "protected": header, "signature": signature}).decode())
    add("padding_after_signature", "not_canonical_base64url", "base64url has no padding here", f"{good}==")
    padded = base64.urlsafe_b64encode(compact(GOOD_HEADER) + b" " * ((1 - len(compact(GOOD_HEADER))) % 3)).decode()
    add("padding_after_header", "not_canonical_base64url", "the padded header is what was signed",
        v.signed(f"{padded}.{claims}"))
    add("standard_base64_alphabet", "not_canonical_base64url", "+ and / belong to the other alphabet",
        f"{header}.{claims}.{signature.replace('-', '+').replace('_', '/')}")
    add("line_end", "not_canonical_base64url", "a line end after the assertion", f"{good}\n")
    add("space_inside", "not_canonical_base64url", "a space in the signature", f"{good[:-10]} {good[-10:]}")
    add("trailing_bits_in_signature", "not_canonical_base64url", "other unused bits, the same signature bytes",
        f"{header}.{claims}.{other_trailing_bits(signature)}")
    slack = v.jws(claims=compact(GOOD_CLAIMS) + b" " * ((1 - len(compact(GOOD_CLAIMS))) % 3)).split(".")[1]
    add("trailing_bits_in_claims", "not_canonical_base64url", "other unused bits, and signed so",
        v.signed(f"{header}.{other_trailing_bits(slack)}"))

    # --- header
    add("header_not_json", "header_not_json", "a brace is missing", header=compact(GOOD_HEADER)[:-1])
    add("header_is_array", "header_not_json", "JSON, but no object", header=b'["ES256"]')
    add("header_twice_alg", "duplicate_member", "`alg` twice", header=compact(GOOD_HEADER)[:-1] + b',"alg":"ES256"}')
    add("header_nested_9_levels", "nested_too_deep", "more than 8 levels",
        header=compact(GOOD_HEADER)[:-1] + b',"x":' + b"[" * 8 + b"]" * 8 + b"}")
    for member, value in {
        "jku": "https://attacker.example/jwks", "x5u": "https://attacker.example/cert", "x5c": ["MIIB"],
        "x5t": "dGVzdA", "jwk": public(v.keys[ES]), "zip": "DEF", "cty": "JWT", "nonce": "n",
    }.items():
        add(f"header_{member}", "header_member_not_allowed", "only typ, alg and kid", header={member: value})
    add("header_crit_array", "header_member_not_allowed", "an extension", header={"crit": ["exp"], "exp": NOW + 30})
    add("header_crit_string", "header_member_not_allowed", "`crit` that is not even an array", header={"crit": "exp"})
    add("header_b64_false", "header_member_not_allowed", "RFC 7797 is not for us", header={"b64": False, "crit": ["b64"]})
    add("typ_missing", "wrong_typ", "typ is required", header={"typ": WITHOUT})
    add("typ_jwt", "wrong_typ", "the default of most libraries", header={"typ": "JWT"})
    add("typ_capitals", "wrong_typ", "exactly as written", header={"typ": TYP.upper()})
    add("typ_with_application", "wrong_typ", "exactly as written", header={"typ": f"application/{TYP}"})
    add("typ_number", "wrong_typ", "not a string", header={"typ": 1})
    add("alg_missing", "alg_missing", "alg is required", header={"alg": WITHOUT})
    add("alg_none", "alg_not_allowed", "`none` with a signature all the same", header={"alg": "none"})
    add("alg_lower_case", "alg_not_allowed", "names of algorithms have one spelling", header={"alg": "es256"})
    add("alg_es384", "alg_not_allowed", "not one of the four", header={"alg": "ES384"})
    add("alg_ed25519", "alg_not_allowed", "the newer name for the same curve: write EdDSA",
        header={"alg": "Ed25519", "kid": ED}, key=ED)
    add("alg_hs256_with_public_key", "alg_not_allowed", "the public key as a shared secret",
        hs256(v, {"alg": "HS256", "kid": RS}, compact(public(v.keys[RS]))))
    add("kid_missing", "kid_missing", "kid is required", header={"kid": WITHOUT})
    add("kid_unknown", "unknown_kid", "no such key", header={"kid": "TEST-ONLY-nobody"})
    add("kid_other_case", "unknown_kid", "a kid is compared byte for byte", header={"kid": ES.upper()})
    add("kid_of_another_issuer", "unknown_kid", "a good signature with another trusted issuer's key",
        header={"kid": FOREIGN}, key=FOREIGN)
    add("alg_of_another_key", "alg_does_not_fit_key", "RS256 with the kid of an ES256 key", header={"alg": "RS256"}, key=RS)
    add("rs256_with_ps256_key", "alg_does_not_fit_key", "both RSA, but the key says PS256",
        header={"alg": "RS256", "kid": PS}, key=RS)

    # --- claims as JSON
    add("claims_not_json", "claims_not_json", "a brace is missing", claims=compact(GOOD_CLAIMS)[:-1])
    add("claims_trailing_text", "claims_not_json", "something after the object", claims=compact(GOOD_CLAIMS) + b"{}")
    add("claims_is_string", "claims_not_json", "JSON, but no object", claims=b'"claims"')
    add("claims_not_utf8", "claims_not_json", "a byte that is not UTF-8", claims=text_of(',"x":"?"').replace(b"?", b"\xff"))
    add("claims_lone_surrogate", "claims_not_json", "half a character", claims=text_of(r',"x":"\ud800"'))
    add("claims_nan", "claims_not_json", "NaN is not JSON", claims=text_of(',"x":NaN'))
    add("claims_byte_order_mark", "claims_not_json", "JSON starts with its object", claims=b"\xef\xbb\xbf" + compact(GOOD_CLAIMS))
    add("duplicate_claim", "duplicate_member", "`login_name` twice", claims=text_of(',"login_name":"other"'))
    add("duplicate_claim_escaped", "duplicate_member", "the same name, once written with an escape",
        claims=text_of(r',"su\u0062":"other"'))
    add("duplicate_deep_inside", "duplicate_member", "in a claim that nobody reads", claims=text_of(',"x":{"a":1,"a":2}'))
    add("nested_8_levels", "accepted", "8 levels, the claims themselves the first", claims=text_of(f',"x":{"[" * 7}{"]" * 7}'))
    add("nested_9_levels", "nested_too_deep", "9 levels", claims=text_of(f',"x":{"[" * 8}{"]" * 8}'))
    add("nested_2000_levels", "nested_too_deep", "made to exhaust a stack", claims=text_of(f',"x":{"[" * 1999}{"]" * 1999}'))
    add("brackets_in_text", "accepted", "brackets in a string are no levels", claims={"x": "[" * 20 + '"' + "{" * 20})

    # --- issuer and signature
    add("iss_missing", "unknown_issuer", "without iss there is no key", claims={"iss": WITHOUT})
    add("iss_unknown", "unknown_issuer", "not registered", claims={"iss": "https://attacker.example"})
    add("iss_trailing_slash", "unknown_issuer", "compared byte for byte", claims={"iss": f"{ISSUER}/"})
    add("iss_number", "unknown_issuer", "not a string", claims={"iss": 1})
    add("iss_disabled", "issuer_disabled", "registered, but switched off",
        header={"kid": OFF}, claims={"iss": DISABLED}, key=OFF)
    add("claims_changed", "bad_signature", "another login name under the old signature",
        f"{header}.{b64(compact(GOOD_CLAIMS | {'login_name': 'admin'}))}.{signature}")
    add("header_changed", "bad_signature", "the same members in another order",
        f"{b64(compact(dict(reversed(GOOD_HEADER.items()))))}.{claims}.{signature}")
    add("signed_with_a_foreign_key", "bad_signature", "our kid, somebody else's key", key=FOREIGN)
    add("signature_zero", "bad_signature", "ES256 with r = s = 0", f"{header}.{claims}.{b64(bytes(64))}")
    add("signature_short", "bad_signature", "one byte is missing", f"{header}.{claims}.{b64(bytes(63))}")
    raw = base64.urlsafe_b64decode(f"{signature}==")
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    add("signature_der", "bad_signature", "ES256 is r and s, 32 bytes each, not DER", f"{header}.{claims}.{b64(der)}")
    add("ps256_short_salt", "bad_signature", "the salt is 32 bytes (RFC 7518 section 3.5)",
        header={"alg": "PS256", "kid": PS}, key=PS, salt=20)
    add("ps256_is_pkcs1", "bad_signature", "says PS256, signed as RS256", pkcs1_as_ps256(v))

    # --- audience
    add("aud_array_of_one", "accepted", "an array of one is the same", claims={"aud": [AUDIENCE]})
    for name, value in {
        "aud_wrong": "https://elsewhere.example.org", "aud_trailing_slash": f"{AUDIENCE}/", "aud_missing": WITHOUT,
        "aud_array_of_two": [AUDIENCE, "https://elsewhere.example.org"], "aud_array_of_twice": [AUDIENCE, AUDIENCE],
        "aud_array_empty": [], "aud_number": 1, "aud_with_path": f"{AUDIENCE}/unified-login",
    }.items():
        add(name, "wrong_aud", "exactly our issuer identifier, alone", claims={"aud": value})

    # --- required and optional claims
    for claim in ("sub", "provider_code", "login_name", "jti", "iat", "exp"):
        add(f"{claim}_missing", "claim_missing", f"{claim} is required", claims={claim: WITHOUT})
    add("sub_255_characters", "accepted", "characters, not bytes", claims={"sub": "é" * 255})
    add("sub_256_characters", "claim_malformed", "one too many", claims={"sub": "x" * 256})
    add("login_name_unicode", "accepted", "any character", claims={"login_name": "zoë.müller-李"})
    add("login_name_escaped", "accepted", "JSON escapes are the characters they stand for",
        claims=compact(GOOD_CLAIMS).replace(b'"amina"', rb'"\u0061mina"'))
    add("unknown_claim", "accepted", "ignored", claims={"colour": "blue", "roles": [{"name": "x"}]})
    add("target_anything", "accepted", "where to land is judged later, and never refuses a sign-in",
        claims={"target": "https://attacker.example/"})
    add("jti_128_characters", "accepted", "the longest", claims={"jti": "x" * 128})
    for name, claim, value in (
        ("sub_empty", "sub", ""), ("sub_number", "sub", 4711), ("sub_nul", "sub", "person\0"),
        ("provider_code_empty", "provider_code", ""), ("provider_code_number", "provider_code", 7),
        ("login_name_empty", "login_name", ""), ("login_name_number", "login_name", 7), ("login_name_nul", "login_name", "amina\0"),
        ("jti_21_characters", "jti", "x" * 21), ("jti_129_characters", "jti", "x" * 129),
        ("jti_bad_characters", "jti", "dGVzdC1vbmx5+HZlY3Rvc/"), ("jti_number", "jti", 10**25),
        ("iat_string", "iat", str(NOW)), ("iat_negative", "iat", -1), ("iat_true", "iat", True),
        ("iat_beyond_64_bits", "iat", 10**20), ("exp_string", "exp", str(NOW + 30)), ("exp_fraction", "exp", NOW + 30.5),
        ("iat_1_5", "iat", 1.5), ("nbf_string", "nbf", str(NOW)), ("nbf_fraction", "nbf", NOW + 0.5),
        ("auth_time_string", "auth_time", str(NOW)), ("auth_time_fraction", "auth_time", NOW - 0.5),
        ("amr_string", "amr", "pwd"), ("amr_of_numbers", "amr", [1, 2]), ("acr_number", "acr", 2), ("target_number", "target", 1),
    ):
        add(name, "claim_malformed", f"{claim} of the wrong kind or size", claims={claim: value})

    def iat_written(written):
        return compact(GOOD_CLAIMS).replace(f'"iat":{NOW}'.encode(), f'"iat":{written}'.encode())

    for name, written in (("iat_written_1_0", f"{NOW}.0"), ("iat_written_with_exponent", "18e8"), ("iat_written_as_java_does", "1.8E9"),
                          ("iat_written_with_long_fraction", f"{NOW}.000000000000000000000")):
        add(name, "accepted", "a whole number, written as a double", claims=iat_written(written))
    add("times_written_as_doubles", "accepted", "as Java, C# and PHP write what they hold as a double",
        claims=text_of(f',"nbf":{NOW}.0,"auth_time":1.7999999E9').replace(b'"exp":1800000030', b'"exp":1.80000003E9'))
    for name, written in (("iat_written_with_fraction", f"{NOW}.5"), ("iat_written_with_small_fraction", f"{NOW}.000001"),
                          ("iat_written_with_fraction_and_exponent", "1.80000000001E9"), ("iat_huge_exponent", "1e300"),
                          ("iat_tiny_exponent", "1e-300"), ("iat_2_to_the_53", "9007199254740992.0")):
        add(name, "claim_malformed", "no whole number, or too large", claims=iat_written(written))
    add("iat_beyond_doubles", "claims_not_json", "a number that no double holds", claims=iat_written("1e400"))
    for name, written in (("iat_minus_zero", "-0"), ("iat_minus_zero_as_double", "-0.0")):
        add(name, "lifetime_too_long", "zero is zero, and long ago", claims=iat_written(written))
    add("times_in_milliseconds", "lifetime_too_long", "seconds, not milliseconds",
        claims={"iat": NOW * 1000, "exp": (NOW + 30) * 1000})
    add("optional_claims_null", "accepted", "null is absent, where a claim may be",
        claims={name: None for name, (required, _) in CLAIMS.items() if not required})
    for claim in ("sub", "provider_code", "login_name", "jti", "iat", "exp"):
        add(f"{claim}_null", "claim_malformed", f"{claim} is required", claims={claim: None})
    add("amr_of_null", "claim_malformed", "an array of strings", claims={"amr": [None]})
    add("aud_null", "wrong_aud", "exactly our issuer identifier, alone", claims={"aud": None})
    add("times_64_bits", "claim_malformed", "a time is less than 2^53", claims={"iat": 2**63 - 31, "exp": 2**63 - 1})

    # --- times
    add("exp_equals_iat", "exp_before_iat", "exp must be later than iat", claims={"exp": NOW})
    add("exp_before_iat", "exp_before_iat", "exp must be later than iat", claims={"exp": NOW - 1})
    add("lifetime_60", "accepted", "the longest", claims={"exp": NOW + 60})
    add("lifetime_61", "lifetime_too_long", "one second too long", claims={"exp": NOW + 61})
    add("iat_5_ahead", "accepted", "clocks may differ by 5 s", claims={"iat": NOW + 5, "exp": NOW + 35})
    add("iat_6_ahead", "issued_in_future", "and by no more", claims={"iat": NOW + 6, "exp": NOW + 36})
    add("iat_far_ahead", "issued_in_future", "the largest times", claims={"iat": 2**53 - 31, "exp": 2**53 - 1})
    add("nbf_5_ahead", "accepted", "clocks may differ by 5 s", claims={"nbf": NOW + 5})
    add("nbf_6_ahead", "not_yet_valid", "and by no more", claims={"nbf": NOW + 6})
    add("29_seconds_later", "accepted", "the last whole second", now=NOW + 29)
    add("30_seconds_later", "timed_out", "at the deadline it is late", now=NOW + 30)
    add("30_seconds_later_long_exp", "timed_out", "a later exp does not stretch the 30 s", claims={"exp": NOW + 60}, now=NOW + 30)
    add("a_day_later", "timed_out", "long ago", now=NOW + 86_400)
    add("exp_10_after_9", "accepted", "an exp that is sooner counts", claims={"exp": NOW + 10}, now=NOW + 9)
    add("exp_10_after_10", "timed_out", "an exp that is sooner counts", claims={"exp": NOW + 10}, now=NOW + 10)

    # --- two faults at once: the earlier check gives the reason
    add("order_size_then_shape", "assertion_too_large", "size before shape", "." * 8193)
    add("order_header_then_claims", "wrong_typ", "the header before the claims", header={"typ": "JWT"}, claims=b"{")
    add("order_member_then_typ", "header_member_not_allowed", "members before typ", header={"typ": "JWT", "cty": "JWT"})
    add("order_typ_then_alg", "wrong_typ", "typ before alg", header={"typ": "JWT", "alg": "none"})
    add("order_kid_then_claims", "kid_missing", "kid before the claims", header={"kid": WITHOUT}, claims=b"{")
    add("order_issuer_then_kid", "unknown_issuer", "issuer before kid", header={"kid": "x"}, claims={"iss": "https://attacker.example"})
    add("order_signature_then_aud", "bad_signature", "nothing is recorded before a good signature",
        claims={"aud": "https://elsewhere.example.org"}, key=FOREIGN)
    add("order_signature_then_late", "bad_signature", "nor is a forged assertion late", key=FOREIGN, now=NOW + 86_400)
    add("order_aud_then_claims", "wrong_aud", "audience before the other claims", claims={"aud": "x", "sub": WITHOUT})
    add("order_claims_then_late", "claim_malformed", "form before time", claims={"target": 1}, now=NOW + 86_400)
    add("order_lifetime_then_late", "lifetime_too_long", "form before time", claims={"exp": NOW + 61}, now=NOW + 86_400)


def hs256(v, header, secret):
    signed = f"{b64(compact(GOOD_HEADER | header))}.{b64(compact(GOOD_CLAIMS))}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def pkcs1_as_ps256(v):
    signed = f"{b64(compact(GOOD_HEADER | {'alg': 'PS256', 'kid': PS}))}.{b64(compact(GOOD_CLAIMS))}"
    return f"{signed}.{b64(sign(v.keys[PS] | {'alg': 'RS256'}, signed.encode()))}"


def key_set(keys, issuer):
    return {"keys": [public(jwk) for kid, jwk in keys.items() if KEYS[kid][0] == issuer]}


def main():
    old = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"signing": {"keys": []}, "vectors": []}
    kept = {jwk["kid"]: jwk for jwk in old["signing"]["keys"]}
    keys = {kid: kept.get(kid) or new_private_jwk(kid) for kid in KEYS}
    vectors = Vectors(keys, {vector["name"]: vector["assertion"] for vector in old["vectors"]})
    fill(vectors)
    names = [vector["name"] for vector in vectors.made]
    assert len(set(names)) == len(names), "two vectors of one name"
    text = json.dumps({
        "about": "Handoff assertions and the one right answer to each. Made by make_vectors.py; explained in docs/handoff.md.",
        "audience": AUDIENCE,
        "issuer": ISSUER,
        "now": NOW,
        "jwks": key_set(keys, ISSUER),
        "other_issuers": [
            {"issuer": OTHER, "enabled": True, "jwks": key_set(keys, OTHER)},
            {"issuer": DISABLED, "enabled": False, "jwks": key_set(keys, DISABLED)},
        ],
        "vectors": vectors.made,
        "signing": {"TEST_ONLY": TEST_ONLY, "keys": list(keys.values())},
    }, indent=1, ensure_ascii=False) + "\n"
    if "--check" in sys.argv[1:]:
        if not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
            sys.exit("vectors.json is not what make_vectors.py makes: run make_vectors.py")
    else:
        FILE.write_text(text, encoding="utf-8")
    print(f"{len(names)} vectors, {len({v['expect'] for v in vectors.made}) - 1} reasons")


if __name__ == "__main__":
    main()
