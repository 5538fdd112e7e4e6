# SPDX-License-Identifier: BSD-3-Clause
"""TLS: handshakes good, bad, slow and half, certificates, their reload and their users."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess

from harness import (ONCE, Client, as_dict, cairn_only, check, equal, eventually, limit, server_binary,
                     skip)
from harness.certificates import Authority
from harness.server import free_port

MATRIX = ONCE

SAN = "DNS:localhost,IP:127.0.0.1"


def start(env, folder_files=None, **directives):
    """A server with a TLS port, its authority and the port's number."""
    if "/thread/" in server_binary():
        skip("OpenSSL is built without the thread sanitizer, which does not see its atomics")
    ca = folder_files or make_files(env)
    port = free_port()
    options = {"tls-port": port, "tls-cert-file": ca.server.cert, "tls-key-file": ca.server.key,
               "tls-ca-cert-file": ca.cert, "tls-auth-clients": "no"}
    options.update({name.replace("_", "-"): value for name, value in directives.items()})
    server = env.start(**options)
    server.tls_port = port
    return server, ca


def make_files(env):
    ca = Authority(env.folder(), "ca")
    ca.server = ca.sign("server", san=SAN)
    return ca


def context(ca, signed=None, version=None):
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    result.load_verify_locations(ca.cert)
    if signed is not None:
        result.load_cert_chain(signed.cert, signed.key)
    if version is not None:
        result.minimum_version = result.maximum_version = version
    return result


def connect(server, ca, signed=None, version=None, **options):
    plain = socket.create_connection(("127.0.0.1", server.tls_port), 60)
    wrapped = context(ca, signed, version).wrap_socket(plain, server_hostname="localhost")
    return Client(sock=wrapped, **options)


def refused(server, ca, signed=None):
    """True if the handshake, or with TLS 1.3 the first read after it, fails."""
    try:
        with connect(server, ca, signed) as client:
            client.call("PING")
        return False
    except (ssl.SSLError, OSError, EOFError):
        return True


def serial(server, ca):
    with connect(server, ca) as client:
        return client.sock.getpeercert()["serialNumber"]


@limit(60)
def test_commands_of_all_sizes(env):
    server, ca = start(env)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with connect(server, ca, version=version) as c:
            equal(c.call("PING"), b"PONG")
            for size in (1, 16383, 16384, 16385, 70000, 3_000_000):
                value = os.urandom(size // 2) + b"x" * (size - size // 2)
                equal(c.call("SET", "key", value), b"OK")
                check(c.call("GET", "key") == value, "%d bytes come back as others" % size)
            # Many small replies and a large one leave in one batch.
            for i in range(3000):
                c.send("ECHO", "small-%d" % i)
            c.send("GET", "key")
            for i in range(3000):
                equal(c.read(), b"small-%d" % i)
            check(c.read() == value, "the large one among small ones")


def test_a_reader_that_is_slow_gets_all(env):
    server, ca = start(env)
    with connect(server, ca) as c:
        value = os.urandom(1_000_000)
        c.call("SET", "key", value)
        for _ in range(40):
            c.send("GET", "key")
            c.send("PING")
        with server.client() as other:  # all have run, and no socket takes 40 MB
            eventually(lambda: b"cmdstat_get:calls=40," in other.call("INFO", "commandstats"), 30)
        for _ in range(40):
            check(c.read() == value, "a value was damaged")
            equal(c.read(), b"PONG")


def test_pubsub_and_many_clients(env):
    server, ca = start(env)
    clients = [connect(server, ca) for _ in range(20)]
    for c in clients:
        equal(c.call("SUBSCRIBE", "news"), [b"subscribe", b"news", 1])
    with connect(server, ca) as publisher:
        equal(publisher.call("PUBLISH", "news", "hello"), 20)
    for c in clients:
        equal(c.read(), [b"message", b"news", b"hello"])
        c.close()


def test_redis_cli(env):
    if shutil.which("redis-cli") is None:
        skip("no redis-cli")
    server, ca = start(env, tls_auth_clients="yes")
    signed = ca.sign("client")
    out = subprocess.run(
        ["redis-cli", "-h", "localhost", "-p", str(server.tls_port), "--tls", "--cacert", ca.cert,
         "--cert", signed.cert, "--key", signed.key, "SET", "a", "b"],
        capture_output=True, text=True, timeout=60)
    equal(out.stdout.strip(), "OK", out.stderr)
    with server.client() as c:
        equal(c.call("GET", "a"), b"b")


def test_client_certificates(env):
    ca = make_files(env)
    good = ca.sign("client")
    bad = Authority(env.folder(), "other").sign("stranger")
    server, _ = start(env, ca, tls_auth_clients="yes")
    check(refused(server, ca), "no certificate is taken")
    check(refused(server, ca, bad), "a stranger's is taken")
    check(not refused(server, ca, good), "a good one is refused")
    with server.client() as c:
        equal(c.call("CONFIG", "SET", "tls-auth-clients", "optional"), b"OK")
        check(not refused(server, ca), "none is refused though it is optional")
        check(refused(server, ca, bad), "a stranger's is taken where it is optional")
        equal(c.call("CONFIG", "SET", "tls-auth-clients", "no"), b"OK")
        check(not refused(server, ca, bad), "it was not to be asked for")


@cairn_only("Redis has it since 8.6")
def test_certificates_name_users(env):
    server, ca = start(env, tls_auth_clients="optional", tls_auth_clients_user="CN")
    admin = server.client()
    equal(admin.call("ACL", "SETUSER", "alice", "on", "~*", "+@all"), b"OK")
    equal(admin.call("ACL", "SETUSER", "bob", "off", "~*", "+@all"), b"OK")

    def user_of(signed):
        with connect(server, ca, signed) as c:
            user = c.call("ACL", "WHOAMI")
            listed = admin.call("CLIENT", "LIST", "ID", c.call("CLIENT", "ID"))
            check(b" user=%s " % user in listed, listed)
            return user

    equal(user_of(ca.sign("one", common_name="alice")), b"alice")
    equal(user_of(ca.sign("two", common_name="bob")), b"default")
    equal(user_of(ca.sign("three", common_name="nobody")), b"default")
    equal(user_of(None), b"default")
    denied = re.search(rb"acl_access_denied_tls_cert:(\d+)", admin.call("INFO", "stats"))
    equal(int(denied.group(1)), 2)
    refused = [as_dict(entry) for entry in admin.call("ACL", "LOG")]
    equal([(e[b"reason"], e[b"context"], e[b"object"], e[b"username"]) for e in refused],
          [(b"tls-cert", b"toplevel", name, name) for name in (b"nobody", b"bob")])

    # A password that others need is none of alice's business.
    equal(admin.call("CONFIG", "SET", "requirepass", "secret"), b"OK")
    equal(user_of(ca.sign("four", common_name="alice")), b"alice")
    with connect(server, ca, ca.sign("five", common_name="nobody")) as c:
        equal(c.call("PING").code, b"NOAUTH")

    equal(admin.call("CONFIG", "SET", "requirepass", "", "tls-auth-clients-user", "URI"), b"OK")
    equal(admin.call("ACL", "SETUSER", "urn:carol", "on", "~*", "+@all"), b"OK")
    equal(user_of(ca.sign("six", common_name="alice", san="URI:urn:x,URI:urn:carol")), b"urn:carol")
    equal(user_of(ca.sign("seven", common_name="alice")), b"default")
    equal(admin.call("CONFIG", "SET", "tls-auth-clients-user", "off"), b"OK")
    equal(user_of(ca.sign("eight", common_name="alice", san="URI:urn:carol")), b"default")
    admin.close()


def test_certificates_are_read_again(env):
    server, ca = start(env)
    old = serial(server, ca)
    staying = connect(server, ca)
    fresh = ca.sign("fresh", san=SAN)
    with server.client() as c:
        equal(c.call("CONFIG", "SET", "tls-cert-file", fresh.cert, "tls-key-file", fresh.key), b"OK")
        new = serial(server, ca)
        check(new != old, "the old certificate is still shown")
        # What cannot be read changes nothing.
        reply = c.call("CONFIG", "SET", "tls-cert-file", "/nonexistent")
        equal(reply, "ERR CONFIG SET failed (possibly related to argument 'tls-cert-file') - "
                     "Unable to update TLS configuration. Check server logs.")
        equal(c.call("CONFIG", "GET", "tls-cert-file"), [b"tls-cert-file", fresh.cert.encode()])
        equal(serial(server, ca), new)
        equal(c.call("CONFIG", "SET", "tls-protocols", "TLSv9").code, b"ERR")
    equal(staying.call("PING"), b"PONG")
    staying.close()
    # The same names with other content: a signal is enough.
    latest = ca.sign("latest", san=SAN)
    os.replace(latest.key, fresh.key)
    os.replace(latest.cert, fresh.cert)
    equal(serial(server, ca), new)
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: serial(server, ca) != new, 30, "SIGHUP read nothing")
    os.remove(fresh.cert)
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "stay in force" in server.log_text(), 30)
    check(not refused(server, ca), "a certificate that went took the old one along")


def test_protocols_and_ciphers(env):
    server, ca = start(env, tls_protocols="TLSv1.2", tls_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
    with connect(server, ca) as c:
        equal(c.sock.version(), "TLSv1.2")
        equal(c.sock.cipher()[0], "ECDHE-ECDSA-AES256-GCM-SHA384")
        equal(c.call("CONFIG", "SET", "tls-protocols", "TLSv1.3", "tls-ciphersuites",
                     "TLS_CHACHA20_POLY1305_SHA256"), b"OK")
    with connect(server, ca) as c:
        equal(c.sock.version(), "TLSv1.3")
        equal(c.sock.cipher()[0], "TLS_CHACHA20_POLY1305_SHA256")


def test_sessions_are_resumed(env):
    server, ca = start(env)

    def reused(version):
        shared = context(ca, version=version)
        session = None
        for _ in range(2):
            plain = socket.create_connection(("127.0.0.1", server.tls_port), 60)
            with Client(sock=shared.wrap_socket(plain, server_hostname="localhost",
                                                session=session)) as c:
                equal(c.call("PING"), b"PONG")  # TLS 1.3 sends its tickets behind the handshake
                session, result = c.sock.session, c.sock.session_reused
        return result

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        check(reused(version), "%s: a full handshake again" % version)
        with server.client() as c:
            equal(c.call("CONFIG", "SET", "tls-session-caching", "no"), b"OK")
            check(not reused(version), "%s: resumed though that is off" % version)
            equal(c.call("CONFIG", "SET", "tls-session-caching", "yes"), b"OK")


def test_key_with_password(env):
    ca = make_files(env)
    ca.server = ca.sign("locked", san=SAN, password="sesame")
    server, _ = start(env, ca, tls_key_file_pass="sesame")
    check(not refused(server, ca))
    with server.client() as c:
        equal(c.call("CONFIG", "SET", "tls-key-file-pass", "wrong").code, b"ERR")
    check(not refused(server, ca))


def test_port_is_opened_and_closed_at_run_time(env):
    server, ca = start(env)
    with server.client() as c:
        equal(c.call("CONFIG", "SET", "tls-port", 0), b"OK")
        eventually(lambda: refused(server, ca), 30, "the port is still open")
        for _ in range(5):  # somebody may take the number first
            server.tls_port = free_port()
            if c.call("CONFIG", "SET", "tls-port", server.tls_port) == b"OK":
                break
        eventually(lambda: not refused(server, ca), 30, "the port was not opened")


@cairn_only("redis-server prints its reason into its log only")
def test_a_bad_configuration_ends_the_start(env):
    for directives, reason in (({"tls-port": free_port()}, "No tls-cert-file configured!"),
                               ({"tls-port": free_port(), "tls-cert-file": "/nonexistent",
                                 "tls-key-file": "/nonexistent", "tls-auth-clients": "no"},
                                "Failed to load certificate: /nonexistent")):
        out = subprocess.run([server_binary(), "--port", str(free_port()), "--dir",
                              env.folder()] + [w for k, v in directives.items()
                                               for w in ("--" + k, str(v))],
                             capture_output=True, text=True, timeout=120)
        equal(out.returncode, 1)
        check(reason in out.stdout + out.stderr, out.stdout + out.stderr)


def closed_by_server(sock):
    """Reads until the end; False if the server keeps the connection for a minute."""
    sock.settimeout(60)
    try:
        while sock.recv(65536):
            pass
        return True
    except socket.timeout:
        return False
    except OSError:
        return True


def test_a_certificate_logs_in_while_a_script_is_busy(env):
    server, ca = start(env, tls_auth_clients="optional", tls_auth_clients_user="CN",
                       busy_reply_threshold=100)
    with server.client() as admin, server.client() as slow:
        equal(admin.call("ACL", "SETUSER", "alice", "on", "~*", "+@all"), b"OK")
        signed = ca.sign("one", common_name="alice")
        slow.send("EVAL", "while true do end", 0)
        eventually(lambda: str(admin.call("PING")).find("BUSY") >= 0)
        for _ in range(8):  # every worker's turn
            with connect(server, ca, signed) as c:
                equal(c.call("PING").code, "BUSY")
        equal(admin.call("SCRIPT", "KILL"), b"OK")
        slow.read()
        with connect(server, ca, signed) as c:
            equal(c.call("ACL", "WHOAMI"), b"alice")


@limit(150)
def test_garbage_and_half_handshakes(env):
    server, ca = start(env)
    garbage = []
    for data in (b"PING\r\n", b"\x16\x03\x01", os.urandom(5000), b"GET / HTTP/1.1\r\n\r\n",
                 b"\x16\x03\x01\x40\x00" + b"\x01" * 16384, b"\x80" * 100, b""):
        sock = socket.create_connection(("127.0.0.1", server.tls_port), 60)
        try:
            sock.sendall(data)
        except OSError:
            pass
        garbage.append(sock)
    # Each is a client while its handshake lasts, and honest ones are served beside it.
    for _ in range(5):
        with connect(server, ca) as c:
            equal(c.call("PING"), b"PONG")
    # A hello that arrives byte by byte is slow, not wrong.
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context(ca).wrap_bio(incoming, outgoing, server_hostname="localhost")
    slow = socket.create_connection(("127.0.0.1", server.tls_port), 60)
    slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    done = False
    while not done:
        try:
            session.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        for byte in outgoing.read():
            slow.send(bytes([byte]))
        if not done:
            incoming.write(slow.recv(65536))
    session.write(b"PING\r\n")
    slow.sendall(outgoing.read())
    answer = b""
    while not answer:
        incoming.write(slow.recv(65536))
        try:
            answer = session.read(100)
        except ssl.SSLWantReadError:
            pass
    equal(answer, b"+PONG\r\n")
    slow.close()
    # Those that never finish are cut off, when the time for handshakes is over.
    for sock in garbage:
        check(closed_by_server(sock), "a handshake may last for ever")
        sock.close()
    with server.client() as c:
        eventually(lambda: c.call("CLIENT", "LIST").count(b"\n") == 1, 30)


def test_truncated_streams(env):
    """Peers that vanish in the middle of anything leave nothing behind."""
    server, ca = start(env)
    for cut in (1, 7, 100):
        c = connect(server, ca)
        c.sock.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n" + b"v" * cut)
        raw = c.sock.detach()
        socket.socket(fileno=raw).close()
    with server.client() as c:
        eventually(lambda: c.call("CLIENT", "LIST").count(b"\n") == 1, 30)
        equal(c.call("EXISTS", "k"), 0)
