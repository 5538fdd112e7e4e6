// SPDX-License-Identifier: BSD-3-Clause
'use strict';

// What the scripts of this folder share: where the server is, tests with a deadline, waiting.

const { test } = require('node:test');

const port = Number(process.argv[2]);
const patience = (process.env.SLOW ? 4 : 1) * 90000;

// A test that counts as failed when it takes longer than anything but a lost reply explains.
function check(name, body) {
  test(name, { timeout: patience }, body);
}

// Polls until `condition` gives something true, and returns that.
async function eventually(condition, what) {
  const deadline = Date.now() + patience / 2;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const range = (count) => Array.from({ length: count }, (_, i) => i);

module.exports = { check, eventually, patience, port, range };
