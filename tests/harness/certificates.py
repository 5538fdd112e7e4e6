# SPDX-License-Identifier: BSD-3-Clause
"""Certificates for tests, made by the openssl command: an authority and what it signs.

    ca = Authority(folder, "ca")
    server = ca.sign("server", san="DNS:localhost,IP:127.0.0.1")     # server.cert, server.key

Keys are of elliptic curves: made in a moment.
"""

import os
import subprocess


def openssl(*words):
    done = subprocess.run(("openssl",) + words, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (" ".join(words), done.stderr))
    return done.stdout


class Signed:
    def __init__(self, cert, key):
        self.cert, self.key = cert, key


class Authority:
    def __init__(self, folder, name):
        self.folder = folder
        self.name = name
        self.cert, self.key = self._path(name, "crt"), self._path(name, "key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "3650", "-subj", "/CN=" + name, "-keyout", self.key,
                "-out", self.cert)

    def _path(self, name, suffix):
        return os.path.join(self.folder, name + "." + suffix)

    def sign(self, name, common_name=None, san=None, password=None):
        key, request, cert = (self._path(name, s) for s in ("key", "csr", "crt"))
        cipher = ["-passout", "pass:" + password] if password else ["-nodes"]
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-subj", "/CN=" + (common_name or name), "-keyout", key, "-out", request, *cipher)
        words = ["x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key,
                 "-CAcreateserial", "-days", "3650", "-out", cert]
        if san:
            extensions = self._path(name, "ext")
            with open(extensions, "w") as file:
                file.write("subjectAltName=" + san + "\n")
            words += ["-extfile", extensions]
        openssl(*words)
        return Signed(cert, key)
