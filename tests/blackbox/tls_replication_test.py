# SPDX-License-Identifier: BSD-3-Clause
"""tls-replication: TLS links between Cairn and redis-server, and leaders that are not trusted."""

import os

from harness import ONCE, check, equal, eventually, limit, server_binary, skip
from harness.certificates import Authority
from harness.replication import PATIENCE, cairn, follow, in_step, info, oracle
from harness.server import free_port

MATRIX = ONCE


class Files:
    def __init__(self, env):
        if "/thread/" in server_binary():
            skip("OpenSSL is built without the thread sanitizer, which does not see its atomics")
        self.ca = Authority(env.folder(), "ca")
        self.server = self.ca.sign("server", san="DNS:localhost,IP:127.0.0.1")
        self.link = self.ca.sign("link")

    def directives(self, **more):
        return {"tls_port": free_port(), "tls_cert_file": self.server.cert,
                "tls_key_file": self.server.key, "tls_ca_cert_file": self.ca.cert,
                "tls_replication": "yes", **more}


class TlsPort:
    """What `follow` is told of a leader: its TLS port."""

    def __init__(self, directives):
        self.port = directives["tls_port"]


def run(env, files, make_leader, make_follower, leader_options=None):
    directives = files.directives(**(leader_options or {}))
    leader, follower = make_leader(env, **directives), make_follower(env, **files.directives())
    with leader.client() as c:
        c.pipeline([("SET", "k:%d" % i, os.urandom(1000)) for i in range(1000)])
        follow(follower, TlsPort(directives))
        in_step(leader, follower)
        # More than a TLS record at a time.
        c.pipeline([("SET", "big:%d" % i, os.urandom(100000)) for i in range(50)])
        in_step(leader, follower)
        check("port=%s," % follower.directives["tls-port"] in info(c, "slave0"),
              "the follower announces another port: " + info(c, "slave0"))


@limit(120)
def test_cairn_follows_cairn(env):
    run(env, Files(env), cairn, cairn)


@limit(120)
def test_cairn_follows_redis(env):
    run(env, Files(env), oracle, cairn, {"repl_diskless_sync_delay": 0})


@limit(120)
def test_redis_follows_cairn(env):
    run(env, Files(env), cairn, oracle)


@limit(60)
def test_certificates(env):
    """The link shows its own certificate or the server's; a leader of another authority is none."""
    files = Files(env)
    other = Authority(env.folder(), "other")
    directives = files.directives()
    leader = cairn(env, **directives)
    follower = cairn(env, **files.directives(tls_ca_cert_file=other.cert))
    follow(follower, TlsPort(directives))
    eventually(lambda: "certificate verify failed" in follower.log_text(), PATIENCE,
               "a leader of another authority is trusted")
    with follower.client() as c:
        check(info(c, "master_link_status") == "down", "the link is up")
        equal(c.call("CONFIG", "SET", "tls-ca-cert-file", files.ca.cert), b"OK")
        in_step(leader, follower)
        # A certificate that the leader does not take.
        foreign = other.sign("foreign")
        equal(c.call("CONFIG", "SET", "tls-client-cert-file", foreign.cert, "tls-client-key-file",
                     foreign.key), b"OK")
        equal(c.call("REPLICAOF", "NO", "ONE"), b"OK")
        follow(follower, TlsPort(directives))
        eventually(lambda: "Error accepting a client connection" in leader.log_text() or
                   info(c, "master_link_status") == "down", PATIENCE)
        equal(c.call("CONFIG", "SET", "tls-client-cert-file", files.link.cert,
                     "tls-client-key-file", files.link.key), b"OK")
        in_step(leader, follower)


@limit(60)
def test_plain_and_tls_do_not_mix(env):
    files = Files(env)
    leader, follower = cairn(env), cairn(env, **files.directives())
    follow(follower, leader)
    eventually(lambda: "TLS handshake with the leader" in follower.log_text(), PATIENCE)
    with follower.client() as c:
        equal(c.call("CONFIG", "SET", "tls-replication", "no"), b"OK")
    in_step(leader, follower)
