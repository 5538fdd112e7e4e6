// SPDX-License-Identifier: BSD-3-Clause
'use strict';

// A worker process of bullmq.js: usage  fork('bullmq_worker.js', [PORT, QUEUE, CONCURRENCY])
//
// Every run of a job is counted in the hash runs:QUEUE under the job's id before the job does
// anything, so that one done twice or not at all shows. A job's data says what it does.

const Redis = require('ioredis');
const { Worker } = require('bullmq');

const [port, queue, concurrency] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const connection = { port, host: '127.0.0.1' };
const counters = new Redis(connection);

async function run(job) {
  await counters.hincrby(`runs:${queue}`, job.id, 1);
  await counters.incr(`runs:${queue}:${process.pid}`);
  if (job.data.due && Date.now() < job.data.due) await counters.incr(`early:${queue}`);
  if (job.data.hang) {
    process.send('hanging');
    await new Promise(() => {});
  }
  if (job.attemptsMade < (job.data.failures || 0)) throw new Error(`attempt ${job.attemptsMade}`);
  return job.data.number;
}

const worker = new Worker(queue, run, { connection, concurrency, stalledInterval: 300,
  lockDuration: Number(process.argv[5] || 30000), drainDelay: 1 });
worker.on('error', (error) => process.send({ error: String(error) }));
worker.waitUntilReady().then(() => process.send('ready'));
process.on('message', async () => {
  await worker.close();
  counters.disconnect();
  process.disconnect();
});
