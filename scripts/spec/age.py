"""Encrypted archives ("Encrypted archives" in docs/format.md): the age format, version 1, written from age-encryption.org/v1.

Only X25519 and passphrases. It is slow and not constant in time, for checks alone.
"""
import base64
import hashlib
import hmac
import struct

from .basics import Failure

PREFIX = "AGE-SECRET-KEY-"
FIRST_LINE = b"age-encryption.org/v1\n"
CHUNK, TAG = 1 << 16, 16


def decrypt(file, identities=(), passphrase=None):
    """What a file holds; identities are texts that begin with AGE-SECRET-KEY-1."""
    if not file.startswith(FIRST_LINE):
        raise Failure("Corrupt: no header of age")
    mac_at = file.index(b"\n--- ") + 1
    end = file.index(b"\n", mac_at)
    stanzas, lines = [], file[len(FIRST_LINE) : mac_at].decode().splitlines()
    for line in lines:
        if line.startswith("-> "):
            stanzas.append((line[3:].split(), []))
        else:
            stanzas[-1][1].append(line)
    key = None
    for args, body in stanzas:
        body = unbase64("".join(body))
        if args[0] == "X25519":
            share = unbase64(args[1])
            for identity in identities:
                scalar = bech32(identity)
                own = x25519(scalar, (9).to_bytes(32, "little"))
                wrap = hkdf(x25519(scalar, share), share + own, b"age-encryption.org/v1/X25519")
                key = key or open_sealed(wrap, bytes(12), body)
        elif args[0] == "scrypt" and passphrase is not None:
            salt, factor = b"age-encryption.org/v1/scrypt" + unbase64(args[1]), int(args[2])
            wrap = hashlib.scrypt(
                passphrase.encode(), salt=salt, n=1 << factor, r=8, p=1, maxmem=2 << (factor + 10), dklen=32
            )
            key = open_sealed(wrap, bytes(12), body)
    if key is None:
        raise Failure("WrongKey: nothing opens it")
    mac = hmac.new(hkdf(key, b"", b"header"), file[: mac_at + 3], hashlib.sha256).digest()
    if mac != unbase64(file[mac_at + 4 : end].decode()):
        raise Failure("Corrupt: the header does not match its MAC")
    nonce, payload = file[end + 1 : end + 17], file[end + 17 :]
    key, content = hkdf(key, nonce, b"payload"), b""
    count = max(1, -(-len(payload) // (CHUNK + TAG)))
    for i in range(count):
        chunk = payload[i * (CHUNK + TAG) : (i + 1) * (CHUNK + TAG)]
        opened = open_sealed(key, i.to_bytes(11, "big") + bytes([i == count - 1]), chunk)
        if opened is None:
            raise Failure(f"Corrupt: chunk {i} does not match its tag")
        content += opened
    return content


def padme(n):
    """The length to which an archive of n bytes is padded."""
    if n < 2:
        return n
    e = n.bit_length() - 1
    s = e.bit_length() if e else 0
    b = 1 << (e - s)
    return -(-n // b) * b


def unbase64(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))


def bech32(text):
    digits = [("qpzry9x8gf2tvdw0s3jn54khce6mua7l").index(c) for c in text.strip().lower().rpartition("1")[2]]
    number = 0
    for digit in digits[:-6]:
        number = number << 5 | digit
    bits = 5 * (len(digits) - 6)
    return (number >> (bits % 8)).to_bytes(bits // 8, "big")


def hkdf(key, salt, info):
    secret = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    return hmac.new(secret, info + b"\1", hashlib.sha256).digest()


def x25519(scalar, point):
    """RFC 7748."""
    p = 2**255 - 19
    k = int.from_bytes(scalar, "little") & ~7 & (1 << 255) - 1 | 1 << 254
    u = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3 = 1, 0, u, 1
    for t in reversed(range(255)):
        if k >> t & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % p, c * b % p
        aa, bb = a * a % p, b * b % p
        x3, z3 = (da + cb) ** 2 % p, u * (da - cb) ** 2 % p
        x2, z2 = aa * bb % p, (aa - bb) * (aa + 121665 * (aa - bb)) % p
        if k >> t & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


def chacha20(key, nonce, counter):
    """A block of 64 bytes (RFC 8439)."""
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    start += [*struct.unpack("<8L", key), counter, *struct.unpack("<3L", nonce)]
    x = list(start)
    for _ in range(10):
        for a, b, c, d in (
            (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
        ):  # fmt: skip
            for p, q, r, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[p] = (x[p] + x[q]) & 0xFFFFFFFF
                y = x[r] ^ x[p]
                x[r] = (y << turn | y >> (32 - turn)) & 0xFFFFFFFF
    return struct.pack("<16L", *((a + b) & 0xFFFFFFFF for a, b in zip(x, start)))


def open_sealed(key, nonce, sealed):
    """ChaCha20-Poly1305 without associated data; None if the tag is another."""
    if len(sealed) < TAG:
        return None
    coded, tag = sealed[:-TAG], sealed[-TAG:]
    once = chacha20(key, nonce, 0)
    r = int.from_bytes(once[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    data = coded + bytes(-len(coded) % 16) + struct.pack("<QQ", 0, len(coded))
    for i in range(0, len(data), 16):
        total = (total + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    if (total + int.from_bytes(once[16:32], "little")) % 2**128 != int.from_bytes(tag, "little"):
        return None
    blocks = b"".join(chacha20(key, nonce, 1 + i) for i in range(-(-len(coded) // 64)))
    return bytes(a ^ b for a, b in zip(coded, blocks))
