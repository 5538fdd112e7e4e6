// SPDX-License-Identifier: BSD-3-Clause
'use strict';

// BullMQ as a job queue with worker processes: usage  node bullmq.js PORT
//
// Its scripts build the names of keys from parts, so they touch some that they do not declare.

const assert = require('node:assert/strict');
const path = require('node:path');
const { fork } = require('node:child_process');
const Redis = require('ioredis');
const { FlowProducer, Queue, QueueEvents, Worker } = require('bullmq');
const { check, eventually, port, range } = require('./support');

const connection = { port, host: '127.0.0.1' };

function openQueue(t, name) {
  const queue = new Queue(name, { connection });
  t.after(() => queue.close());
  return queue;
}

function openRedis(t) {
  const r = new Redis(connection);
  t.after(() => r.disconnect());
  return r;
}

// A worker process that has connected. `heard` is what it says besides.
async function startWorker(t, queue, concurrency, lockMs) {
  const child = fork(path.join(__dirname, 'bullmq_worker.js'),
    [port, queue, concurrency, ...(lockMs ? [lockMs] : [])]);
  const worker = { child, heard: [], gone: new Promise((done) => child.on('exit', done)) };
  child.on('message', (message) => worker.heard.push(message));
  t.after(() => child.kill('SIGKILL'));
  await eventually(() => worker.heard.includes('ready'), 'a worker process is ready');
  return worker;
}

async function stopWorker(worker) {
  worker.child.send('stop');
  assert.equal(await worker.gone, 0);
  assert.deepEqual(worker.heard.filter((message) => message.error), []);
}

// The queue has come to an end: this many jobs done, this many failed, none anywhere else.
async function settled(queue, completed, failed) {
  const wanted = { active: 0, completed, delayed: 0, failed, paused: 0, prioritized: 0, waiting: 0,
    'waiting-children': 0 };
  let counts;
  await eventually(async () => {
    counts = await queue.getJobCounts();
    return counts.completed + counts.failed >= completed + failed && counts.active === 0;
  }, `${completed} done, ${failed} failed`).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(counts)}`);
  });
  assert.deepEqual(counts, wanted);
}

// What the job of this number is like, and how often it has to run.
function jobOf(number) {
  const job = { name: 'n', data: { number }, opts: {}, runs: 1 };
  if (number % 40 === 0) {
    job.opts.delay = 100 + (number % 1000);
    job.data.due = Date.now() + job.opts.delay;
  } else if (number % 40 === 1) {
    Object.assign(job.opts, { attempts: 3, backoff: { type: 'fixed', delay: 20 } });
    job.data.failures = 2;
    job.runs = 3;
  } else if (number % 40 === 2) {
    job.opts.priority = 1 + (number % 9);
  } else if (number % 400 === 3) {
    job.opts.attempts = 2;
    job.data.failures = 1000;
    job.runs = 2;
  }
  return job;
}

check('10,000 jobs, two worker processes: none lost, none done twice', async (t) => {
  const queue = openQueue(t, 'load');
  const r = openRedis(t);
  const workers = await Promise.all(range(2).map(() => startWorker(t, 'load', 100)));
  const wantedRuns = new Map();
  for (const start of range(20)) {
    const jobs = range(500).map((i) => jobOf(start * 500 + i));
    (await queue.addBulk(jobs)).forEach((job, i) => wantedRuns.set(job.id, String(jobs[i].runs)));
  }
  assert.equal(wantedRuns.size, 10000);
  await settled(queue, 9975, 25);
  const runs = await r.hgetall('runs:load');
  assert.deepEqual({ ...runs }, Object.fromEntries(wantedRuns));
  assert.equal(await r.get('early:load'), null);
  for (const worker of workers) {
    assert.ok(Number(await r.get(`runs:load:${worker.child.pid}`)) > 0);
    await stopWorker(worker);
  }
  const last = await queue.getJob(String(10000));
  assert.equal(last.returnvalue, last.data.number);
  await queue.obliterate();
});

check('priorities: the most urgent first, equals in the order they came', async (t) => {
  const queue = openQueue(t, 'ranked');
  await queue.addBulk(range(200).map((number) => (
    { name: 'n', data: { number }, opts: { priority: (number * 7) % 11 } })));
  const order = [];
  const worker = new Worker('ranked', async (job) => order.push(job), { connection, concurrency: 1 });
  await settled(queue, 200, 0);
  await worker.close();
  const wanted = [...order].sort((a, b) => a.opts.priority - b.opts.priority || a.id - b.id);
  assert.deepEqual(order.map((job) => job.id), wanted.map((job) => job.id));
});

check('flows: parents after their children, with what these returned', async (t) => {
  const events = new QueueEvents('flow', { connection });
  const flows = new FlowProducer({ connection });
  const queue = openQueue(t, 'flow');
  await events.waitUntilReady();
  const done = [];
  const worker = new Worker('flow', async (job) => {
    const children = Object.values(await job.getChildrenValues());
    done.push(job.name);
    return children.reduce((sum, value) => sum + value, 1);
  }, { connection, concurrency: 8 });
  const child = (name) => ({ name, queueName: 'flow', data: {} });
  const roots = await Promise.all(range(20).map((i) => flows.add({ ...child(`root${i}`),
    children: range(4).map((j) => ({ ...child(`mid${i}.${j}`),
      children: range(3).map((k) => child(`leaf${i}.${j}.${k}`)) })) })));
  const sums = await Promise.all(roots.map((root) => root.job.waitUntilFinished(events)));
  assert.deepEqual(sums, range(20).map(() => 17));
  assert.equal(new Set(done).size, 20 * 17);
  assert.equal(done.length, 20 * 17);
  for (const i of range(20)) {
    assert.ok(range(4).every((j) => done.indexOf(`mid${i}.${j}`) < done.indexOf(`root${i}`)));
  }
  await settled(queue, 340, 0);
  await Promise.all([worker.close(), events.close(), flows.close()]);
});

check('jobs of a killed worker process are done by another', async (t) => {
  const queue = openQueue(t, 'stalled');
  const r = openRedis(t);
  // A lock ends where its holder did not run for half of its time.
  const doomed = await startWorker(t, 'stalled', 3, 5000);
  await queue.addBulk(range(3).map((number) => ({ name: 'n', data: { number, hang: true } })));
  await eventually(() => doomed.heard.filter((m) => m === 'hanging').length === 3, 'three hang');
  doomed.child.kill('SIGKILL');
  await doomed.gone;
  for (const job of await queue.getActive()) await job.updateData({ number: job.data.number });
  const heir = await startWorker(t, 'stalled', 3, 5000);
  await settled(queue, 3, 0);
  assert.deepEqual(Object.values(await r.hgetall('runs:stalled')), ['2', '2', '2']);
  await stopWorker(heir);
});

check('repeating jobs, a limit of rate, deduplication, pausing', async (t) => {
  const queue = openQueue(t, 'odds');
  const done = [];
  const worker = new Worker('odds', async (job) => done.push(job.name),
    { connection, concurrency: 10, limiter: { max: 20, duration: 100 } });
  await queue.upsertJobScheduler('tick', { every: 20 }, { name: 'tick' });
  await eventually(() => done.filter((name) => name === 'tick').length >= 5, 'five ticks');
  assert.equal(await queue.removeJobScheduler('tick'), true);
  const same = await Promise.all(range(10).map(() =>
    queue.add('once', {}, { delay: 500, deduplication: { id: 'only' } })));
  assert.equal(new Set(same.map((job) => job.id)).size, 1);
  await queue.addBulk(range(60).map(() => ({ name: 'many', data: {} })));
  await eventually(() => done.filter((name) => name === 'many').length === 60, 'sixty jobs');
  await eventually(() => done.includes('once'), 'the one job');
  assert.equal(done.filter((name) => name === 'once').length, 1);
  await queue.pause();
  await queue.add('later', {});
  assert.equal((await queue.getJobCounts()).paused, 1);
  assert.ok(!done.includes('later'));
  await queue.resume();
  await eventually(() => done.includes('later'), 'the job after the pause');
  await worker.close();
});
