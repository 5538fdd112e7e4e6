# SPDX-License-Identifier: BSD-3-Clause
"""Real client libraries against the server."""
