# SPDX-License-Identifier: BSD-3-Clause
"""CONFIG, INFO, COMMAND, DEBUG, MEMORY, the command line, shutting down, what is off."""

import os
import re
import signal
import subprocess
import threading
import time

from harness import (ONCE, PROTOCOLS, Error, Server, as_dict, cairn_only, check,
                     equal, eventually, matrix, near, server_binary, skip, slow_build)

MATRIX = PROTOCOLS


def info(client, *sections):
    lines = client.call("INFO", *sections).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def test_config_get_and_set(env):
    c = env.c
    equal(as_dict(c.call("CONFIG", "GET", "databases")), {b"databases": b"16"})
    equal(set(as_dict(c.call("CONFIG", "GET", "max?lients", "tim[e]out"))),
          {b"maxclients", b"timeout"})
    equal(as_dict(c.call("CONFIG", "GET", "nosuchoption")), {})
    equal(c.call("CONFIG", "SET", "timeout", 100, "tcp-keepalive", 60), b"OK")
    equal(as_dict(c.call("CONFIG", "GET", "timeout")), {b"timeout": b"100"})
    equal(c.call("CONFIG", "SET", "timeout", 0, "tcp-keepalive", 300), b"OK")


def test_config_set_is_all_or_nothing(env):
    c = env.c
    reply = c.call("CONFIG", "SET", "timeout", 77, "tcp-keepalive", "abc")
    check(isinstance(reply, Error), "a bad value is taken")
    equal(as_dict(c.call("CONFIG", "GET", "timeout")), {b"timeout": b"0"})
    equal(c.call("CONFIG", "SET", "nosuch", 1).text[:19], b"ERR Unknown option "[:19])
    equal(c.call("CONFIG", "SET", "databases", 5).code, b"ERR")
    equal(c.call("CONFIG", "SET", "timeout", 1, "timeout", 2).code, b"ERR")


def test_mean_time_to_live(env):
    c = env.c
    for i in range(100):
        c.call("SET", f"k{i}", "v", "EX", 1000)
        c.call("SET", f"p{i}", "v")

    def mean():
        fields = dict(part.split("=") for part in info(c, "keyspace")["db0"].split(","))
        return int(fields["avg_ttl"])
    # Until the active cycle has come by it is 0.
    eventually(lambda: 900_000 < mean() <= 1_000_000, note="the mean TTL in INFO keyspace")
    for i in range(100):
        c.call("EXPIRE", f"k{i}", 5000)
    eventually(lambda: 4_900_000 < mean() <= 5_000_000, note="it follows the keys")


def test_config_units(env):
    for text, want in (("1mb", b"1048576"), ("2M", b"2000000"), ("1gb", b"1073741824"),
                       ("1500kb", b"1536000"), ("5000000", b"5000000")):
        env.config(proto_max_bulk_len=text)
        equal(as_dict(env.c.call("CONFIG", "GET", "proto-max-bulk-len")),
              {b"proto-max-bulk-len": want}, text)


def test_config_aliases(env):
    c = env.c
    equal(c.call("CONFIG", "SET", "hash-max-ziplist-entries", 77), b"OK")
    equal(as_dict(c.call("CONFIG", "GET", "hash-max-listpack-entries")),
          {b"hash-max-listpack-entries": b"77"})
    equal(c.call("CONFIG", "SET", "hash-max-listpack-entries", 512), b"OK")
    check(b"slave-read-only" in as_dict(c.call("CONFIG", "GET", "slave-read-only")),
          "the old name is not answered")


def test_config_resetstat(env):
    c = env.c
    for _ in range(10):
        c.call("GET", "x")
    check(int(info(c, "stats")["keyspace_misses"]) >= 10, "misses are not counted")
    equal(c.call("CONFIG", "RESETSTAT"), b"OK")
    check(int(info(c, "stats")["keyspace_misses"]) < 5, "RESETSTAT resets nothing")


@matrix(ONCE)
def test_config_rewrite_keeps_comments(env):
    path = "/tmp/cairn-test-%d.conf" % env.rng.getrandbits(60)
    with open(path, "w") as out:
        out.write("# a comment\nmaxclients 500\n\n# another\ntimeout 7\n")
    server = Server(config_file=path, threads=env.threads)
    env.own.append(server)
    c = env.client(2, server)
    equal(as_dict(c.call("CONFIG", "GET", "timeout")), {b"timeout": b"7"})
    c.call("CONFIG", "SET", "timeout", 9)
    equal(c.call("CONFIG", "REWRITE"), b"OK")
    with open(path) as written:
        text = written.read()
    os.unlink(path)
    check(text.startswith("# a comment\nmaxclients 500\n\n# another\ntimeout 9\n"), text)


def test_info(env):
    c = env.c
    everything = info(c)
    for field in ("redis_version", "redis_mode", "process_id", "run_id", "tcp_port",
                  "uptime_in_seconds", "connected_clients", "blocked_clients", "used_memory",
                  "used_memory_human", "used_memory_rss", "maxmemory", "maxmemory_policy",
                  "mem_allocator", "loading", "aof_enabled", "total_connections_received",
                  "total_commands_processed", "keyspace_hits", "keyspace_misses", "expired_keys",
                  "evicted_keys", "role", "connected_slaves", "master_replid",
                  "master_repl_offset", "used_cpu_sys", "used_cpu_user", "cluster_enabled"):
        check(field in everything, "INFO lacks %s" % field)
    equal(everything["role"], "master")
    equal(everything["loading"], "0")
    check(re.match(r"7\.(4|0)\.", everything["redis_version"]), everything["redis_version"])
    equal(set(info(c, "clients", "cpu")) & {"role", "used_memory"}, set())
    equal(info(c, "nosuchsection"), {})
    check(int(everything["connected_clients"]) >= 1, "nobody is connected")


def test_info_keyspace_and_counters(env):
    c = env.c
    c.call("MSET", "a", 1, "b", 2)
    c.call("EXPIRE", "a", 100)
    check(info(c, "keyspace")["db0"].startswith("keys=2,expires=1,"), "db0 in INFO keyspace")
    before = info(c, "stats")
    c.pipeline([("GET", "a"), ("GET", "a"), ("GET", "nokey")])
    after = info(c, "stats")
    equal(int(after["keyspace_hits"]) - int(before["keyspace_hits"]), 2)
    equal(int(after["keyspace_misses"]) - int(before["keyspace_misses"]), 1)
    calls = int(info(c, "commandstats")["cmdstat_get"].split(",")[0].split("=")[1])
    check(calls >= 3, "cmdstat_get")


def test_command(env):
    c = env.c
    count = c.call("COMMAND", "COUNT")
    equal(len(c.call("COMMAND")), count)
    listed = c.call("COMMAND", "LIST")
    check(len(listed) > count and b"config|get" in listed, "subcommands are listed too")
    get, none = c.call("COMMAND", "INFO", "get", "nosuch")
    equal(none, None)
    equal(get[:2], [b"get", 2])
    check(b"readonly" in get[2] and b"fast" in get[2], get[2])
    equal(get[3:6], [1, 1, 1])
    equal(c.call("COMMAND", "GETKEYS", "MSET", "a", 1, "b", 2), [b"a", b"b"])
    equal(c.call("COMMAND", "GETKEYS", "PING", "x"),
          Error(b"ERR The command has no key arguments"))
    docs = as_dict(c.call("COMMAND", "DOCS", "set"))
    check(b"summary" in as_dict(docs[b"set"]), "COMMAND DOCS")
    check(b"get" in c.call("COMMAND", "LIST", "FILTERBY", "PATTERN", "g*t"), "FILTERBY PATTERN")


def test_command_byte_for_byte(env):
    ours, theirs = env.c, env.oracle_client(env.protocol)
    for request in ("INFO nosuch", "INFO config|nosuch", "INFO get|x", "LIST x", "LIST FILTERBY",
                    "LIST FILTERBY PATTERN config|g*", "LIST FILTERBY PATTERN [",
                    "LIST FILTERBY ACLCAT nosuch", "LIST FILTERBY MODULE x",
                    "LIST FILTERBY NOSUCH x", "DOCS nosuch", "COUNT x", "GETKEYS get",
                    "GETKEYS get a b", "GETKEYS nosuch a", "GETKEYS ping a", "GETKEYS eval x 0",
                    "GETKEYS eval x 2 a", "GETKEYS mset a b c", "GETKEYSANDFLAGS mset a b c d",
                    "GETKEYSANDFLAGS sort a by x store b store c", "GETKEYS object help k",
                    "GETKEYSANDFLAGS set a b get", "GETKEYSANDFLAGS ssubscribe a"):
        words = ("COMMAND", *request.split())
        equal(ours.raw(*words), theirs.raw(*words), request)


def test_time_lolwut_ping_echo(env):
    c = env.c
    seconds, micros = c.call("TIME")
    near(int(seconds) + int(micros) / 1e6, time.time(), 60)
    check(c.call("LOLWUT"), "LOLWUT says nothing")
    equal(c.call("LOLWUT", "VERSION", "x").text, b"ERR value is not an integer or out of range")
    for count in ("x", -2):
        equal(c.call("SLOWLOG", "GET", count).text,
              b"ERR count should be greater than or equal to -1")
    equal(c.call("PING", "x y"), b"x y")
    equal(c.call("ECHO", ""), b"")
    equal(c.call("WAIT", 0, 0), 0)


def test_what_is_off_says_so(env):
    c, oracle = env.c, env.oracle_client()
    for command in (("CLUSTER", "INFO"), ("CLUSTER", "SLOTS"), ("READONLY",), ("READWRITE",),
                    ("ASKING",), ("MODULE", "LIST"), ("CLUSTER", "NODES")):
        equal(c.raw(*command), oracle.raw(*command), " ".join(command))


def test_debug_digest_is_that_of_redis(env):
    c, oracle = env.c, env.oracle_client()
    for client in (c, oracle):
        client.call("MSET", "a", 1, "b", "text", "", "empty name")
        client.call("SELECT", 3)
        client.call("SET", "a", "other db", "EX", 1000)
        client.call("RPUSH", "l", 1, 2, "x")
    equal(c.call("DEBUG", "DIGEST"), oracle.call("DEBUG", "DIGEST"))
    equal(c.call("DEBUG", "DIGEST-VALUE", "a", "l", "nokey"),
          oracle.call("DEBUG", "DIGEST-VALUE", "a", "l", "nokey"))


@matrix(((2, 1), (2, 4)))
def test_debug_sleep_parks_every_worker(env):
    sleeper, others = env.client(), [env.client() for _ in range(8)]
    awake = threading.Event()
    longest = [0.0] * len(others)

    def server_time(client):
        seconds, micros = client.call("TIME")
        return int(seconds) + int(micros) / 1e6

    def ask(index, last):
        """Whenever this thread runs: the time is the server's."""
        over = False
        while not over:
            over = awake.is_set()
            now = server_time(others[index])
            longest[index], last = max(longest[index], now - last), now
            time.sleep(0.002)

    # Each was answered before the sleep begins, so between two of its answers lies the whole of it.
    threads = [threading.Thread(target=ask, args=(i, server_time(other)))
               for i, other in enumerate(others)]
    for thread in threads:
        thread.start()
    equal(sleeper.call("DEBUG", "SLEEP", "0.3"), b"OK")
    awake.set()
    for thread in threads:
        thread.join()
    check(min(longest) > 0.28, "somebody was served while the server slept: %r" % longest)


@cairn_only("a check of our own journal")
def test_debug_reload_and_loadaof(env):
    c = env.c
    c.call("MSET", "a", 1, "b", 2)
    before = c.call("DEBUG", "DIGEST")
    reply = c.call("DEBUG", "LOADAOF")
    check(reply == b"OK" or isinstance(reply, Error), "LOADAOF: %r" % (reply,))
    equal(c.call("DEBUG", "DIGEST"), before)


@matrix(ONCE)
def test_debug_is_refused_unless_enabled(env):
    server = env.start(enable_debug_command="no")
    equal(env.client(2, server).call("DEBUG", "SLEEP", 0).code, b"ERR")


def test_memory(env):
    c = env.c
    c.call("SET", "k", "v" * 1000)
    usage = c.call("MEMORY", "USAGE", "k")
    check(1000 < usage < 3000, "MEMORY USAGE says %r" % usage)
    equal(c.call("MEMORY", "USAGE", "nokey"), None)
    stats = as_dict(c.call("MEMORY", "STATS"))
    check(stats[b"total.allocated"] > 0, "MEMORY STATS")
    check(c.call("MEMORY", "DOCTOR"), "MEMORY DOCTOR")
    equal(c.call("MEMORY", "PURGE"), b"OK")


@matrix(ONCE)
def test_info_knows_the_rate_of_commands(env):
    def busy():
        env.c.pipeline([("PING",)] * 200)
        stats = info(env.c, "stats")
        return int(stats["instantaneous_ops_per_sec"]) > 100 and \
            float(stats["instantaneous_input_kbps"]) > 0

    eventually(busy, 30, "INFO sees no commands")


@cairn_only("arguments are shown in the words of 7.4")
def test_command_docs_describe_arguments(env):
    docs = as_dict(as_dict(env.c.call("COMMAND", "DOCS", "set"))[b"set"])
    arguments = [as_dict(a) for a in docs[b"arguments"]]
    equal([a[b"name"] for a in arguments], [b"key", b"value", b"condition", b"get", b"expiration"])
    equal(arguments[0][b"key_spec_index"], 0)
    equal(arguments[3][b"token"], b"GET")
    equal(list(arguments[3][b"flags"]), [b"optional"])
    equal(arguments[4][b"type"], b"oneof")
    equal([as_dict(a)[b"token"] for a in arguments[4][b"arguments"]],
          [b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL"])
    equal(b"arguments" in as_dict(as_dict(env.c.call("COMMAND", "DOCS", "dbsize"))[b"dbsize"]),
          False)


@matrix(ONCE)
def test_memory_is_given_back(env):
    if slow_build(server_binary()):
        skip("a sanitizer's allocator keeps what is freed")
    # Without a journal: its buffers grow with the disk's delays, and are kept.
    c = env.client(2, env.start(appendonly="no"))

    def used():
        return int(info(c, "memory")["used_memory"])

    before = used()
    for i in range(200):
        c.call("SET", "k%d" % i, b"x" * 100_000)
    check(used() - before > 15_000_000, "20 MB count as %d" % (used() - before))
    c.call("FLUSHALL")
    eventually(lambda: used() < before + 4_000_000, 20, "memory is not given back")


def start_and_fail(*arguments, text=None):
    """Starts the server under test with these arguments; it must end by itself with status 1."""
    done = subprocess.run([server_binary(), *arguments], input=text, capture_output=True,
                          timeout=60, check=False, text=True)
    equal(done.returncode, 1, done.stdout + done.stderr)
    return done.stdout + done.stderr


@matrix(ONCE)
def test_bad_starts_end_with_a_clear_line(env):
    check("nosuchdirective" in start_and_fail("--nosuchdirective", "1"), "unknown directive")
    check("port" in start_and_fail("--port", "abc"), "bad value")
    out = start_and_fail("-", text="maxclients 100\ntimeout abc\n")
    check("2" in out and "timeout" in out, "line and directive are named: " + out)
    start_and_fail("/no/such/file.conf")
    taken = env.server.port
    out = start_and_fail("--port", str(taken), "--bind", "127.0.0.1", "--dir", env.start().folder,
                         "--appendonly", "no")
    check("in use" in out, "port in use: " + out)


@matrix(ONCE)
def test_a_start_that_fails_leaves_the_other_servers_pid_file(env):
    server = env.start(pidfile="pid")
    path = os.path.join(server.folder, "pid")
    out = start_and_fail("--port", str(server.port), "--bind", "127.0.0.1", "--dir", "/tmp",
                         "--pidfile", path, "--appendonly", "no")
    check("in use" in out, out)
    with open(path) as file:
        equal(int(file.read()), server.pid)
    server.stop()
    check(not os.path.exists(path), "the pid file stays")


@matrix(ONCE)
def test_localhost_is_where_clients_look_for_it(env):
    server = env.start(bind="localhost")
    equal(env.client(2, server).call("PING"), b"PONG")


@matrix(ONCE)
def test_version_and_help(env):
    for flag in ("--version", "--help"):
        done = subprocess.run([server_binary(), flag], capture_output=True, timeout=60,
                              check=False)
        check(done.stdout + done.stderr, flag)


@matrix(ONCE)
def test_signals(env):
    for sig in (signal.SIGTERM, signal.SIGINT):
        if env.is_cairn:
            server = env.start(logfile="server.log")
            # SIGHUP opens the log file anew: the sign that it was heeded.
            path = os.path.join(server.folder, "server.log")
            os.rename(path, path + ".old")
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: os.path.exists(path), 10, "SIGHUP does not reopen the log")
        else:
            server = env.start()
        equal(env.client(2, server).call("SET", "a", 1), b"OK", "SIGHUP kills it")
        equal(server.stop(sig), 0)


@matrix(ONCE)
def test_shutdown_command(env):
    server = env.start()
    c = env.client(2, server)
    equal(c.call("SHUTDOWN", "FOO"), Error(b"ERR syntax error"))
    c.send("SHUTDOWN", "NOSAVE")
    equal(c.read_until_closed(), b"")
    equal(server.process.wait(60), 0)


@matrix(ONCE)
@cairn_only("the stand-in has no journal by default")
def test_clean_restart_keeps_everything(env):
    for policy in ("always", "everysec", "no"):
        server = env.start(appendfsync=policy)
        c = env.client(2, server)
        c.pipeline([("SET", "k%d" % i, "v%d" % i) for i in range(2000)])
        c.call("EXPIRE", "k5", 1000)
        c.call("SELECT", 4)
        c.call("MSET", "x", 1, "", 2, b"\x00\xff", b"\r\n")
        digest = c.call("DEBUG", "DIGEST")
        server.restart()
        c = env.client(2, server)
        equal(c.call("DEBUG", "DIGEST"), digest, policy)
        near(c.call("TTL", "k5"), 1000, 30)


def test_memory_stats_and_info_agree(env):
    c = env.c
    c.call("SET", "k", "v")
    stats = as_dict(c.call("MEMORY", "STATS"))
    shown = info(c, "memory")
    check(stats[b"peak.allocated"] >= stats[b"total.allocated"], "more than the peak is allocated")
    check(stats[b"total.allocated"] >= stats[b"overhead.total"] + stats[b"dataset.bytes"],
          "the parts are more than the whole")
    check(stats[b"overhead.total"] > stats[b"startup.allocated"] > 0, "the table counts for nothing")
    equal(stats[b"keys.count"], 1)
    check(as_dict(stats[b"db.0"])[b"overhead.hashtable.main"] > 0, "a table without bytes")
    equal(int(shown["used_memory_startup"]), stats[b"startup.allocated"])
    check(int(shown["used_memory_peak"]) >= int(shown["used_memory"]), "peak below use")
    check(int(shown["mem_clients_normal"]) > 0, "a client without memory")
