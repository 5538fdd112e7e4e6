// SPDX-License-Identifier: BSD-3-Clause
'use strict';

// ioredis: usage  node ioredis.js PORT

const assert = require('node:assert/strict');
const Redis = require('ioredis');
const { check, eventually, port, range } = require('./support');

const connect = (options = {}) => new Redis({ port, host: '127.0.0.1', ...options });

// A connection for one test, closed after it.
function open(t, options) {
  const client = connect(options);
  t.after(() => client.disconnect());
  return client;
}

// The library sends SUBSCRIBE as soon as it is connected, and where that comes between the parts of
// its own greeting, refuses the rest of it and connects anew.
const ready = (...clients) => Promise.all(clients.map((client) => client.ping()));

check('replies have the types the library gives them', async (t) => {
  const r = open(t, { db: 1, connectionName: 'types' });
  assert.equal(await r.client('GETNAME'), 'types');
  assert.equal(await r.set('s', 'v', 'EX', 100, 'NX'), 'OK');
  assert.equal(await r.set('s', 'w', 'NX'), null);
  assert.deepEqual(await r.getBuffer('s'), Buffer.from('v'));
  const bytes = Buffer.from(range(256));
  await r.set('bytes', bytes);
  assert.deepEqual(await r.getBuffer('bytes'), bytes);
  await r.hset('h', { a: 1, b: 'two' });
  assert.deepEqual(await r.hgetall('h'), { a: '1', b: 'two' });
  await r.zadd('z', 1.5, 'a', '+inf', 'b');
  assert.deepEqual(await r.zrange('z', 0, -1, 'WITHSCORES'), ['a', '1.5', 'b', 'inf']);
  await r.mset(new Map([['m1', '1'], ['m2', '2']]));
  assert.deepEqual(await r.mget('m1', 'none', 'm2'), ['1', null, '2']);
  await assert.rejects(r.lpush('s', 'x'), /^ReplyError: WRONGTYPE/);
  await assert.rejects(r.call('NONESUCH', 'x'), /^ReplyError: ERR unknown command 'NONESUCH'/);
  assert.equal(await r.select(0), 'OK');
  assert.equal(await r.get('s'), null);
});

check('scan streams see every key once', async (t) => {
  const r = open(t, { db: 2 });
  const pipeline = r.pipeline();
  for (const i of range(10000)) pipeline.set(`scan:${i}`, i);
  await pipeline.exec();
  const seen = new Map();
  for await (const keys of r.scanStream({ match: 'scan:*', count: 500 })) {
    for (const key of keys) seen.set(key, (seen.get(key) || 0) + 1);
  }
  assert.equal(seen.size, 10000);
  assert.ok([...seen.values()].every((times) => times === 1));
  await r.flushdb();
});

check('pipelines keep order, and an error stays in its place', async (t) => {
  const r = open(t);
  const pipeline = r.pipeline();
  for (const i of range(10000)) {
    if (i % 1000 === 999) pipeline.lpush('p:counter', 'x');
    else pipeline.incr('p:counter');
  }
  const replies = await pipeline.exec();
  assert.equal(replies.length, 10000);
  let counter = 0;
  replies.forEach(([error, value], i) => {
    if (i % 1000 === 999) assert.match(error.message, /^WRONGTYPE/);
    else assert.equal(value, ++counter);
  });
});

check('automatic pipelining', async (t) => {
  const r = open(t, { enableAutoPipelining: true });
  await Promise.all(range(2000).map((i) => r.set(`auto:${i}`, i)));
  const values = await Promise.all(range(2000).map((i) => r.get(`auto:${i}`)));
  assert.deepEqual(values, range(2000).map(String));
});

check('transactions', async (t) => {
  const r = open(t);
  assert.deepEqual(
    await r.multi().set('t:a', '1').incr('t:a').lpush('t:a', 'x').get('t:a').exec()
      .then((replies) => replies.map(([error, value]) => (error ? error.message : value))),
    ['OK', 2, 'WRONGTYPE Operation against a key holding the wrong kind of value', '2']);
  await assert.rejects(r.multi().call('GET').get('t:a').exec(), /^ReplyError: EXECABORT/);
  await r.multi({ pipeline: false });
  assert.equal(await r.incr('t:a'), 'QUEUED');
  assert.deepEqual(await r.exec(), [[null, 3]]);
  await r.multi({ pipeline: false });
  await r.incr('t:a');
  assert.equal(await r.discard(), 'OK');
  assert.equal(await r.get('t:a'), '3');
});

check('WATCH: increments of eight clients, none lost', async (t) => {
  let conflicts = 0;
  await Promise.all(range(8).map(async () => {
    const r = open(t);
    for (let done = 0; done < 25;) {
      await r.watch('w:counter');
      const value = Number(await r.get('w:counter'));
      const replies = await r.multi().set('w:counter', value + 1).exec();
      if (replies === null) conflicts++;
      else done++;
    }
  }));
  assert.equal(await open(t).get('w:counter'), '200');
  assert.ok(conflicts > 0);
});

check('pub/sub: channels, patterns, shard channels, in order', async (t) => {
  const publisher = open(t);
  const subscriber = open(t);
  // The library leaves its subscriber mode at the first count of zero, and Redis counts apart.
  const sharded = open(t);
  await ready(subscriber, sharded);
  const got = [];
  subscriber.on('message', (channel, message) => got.push([channel, message]));
  subscriber.on('pmessage', (pattern, channel, message) => got.push([pattern, channel, message]));
  sharded.on('smessageBuffer', (channel, message) => got.push([String(channel), message]));
  assert.equal(await subscriber.subscribe('ch:1', 'ch:2'), 2);
  assert.equal(await subscriber.psubscribe('pat:*'), 3);
  assert.equal(await sharded.ssubscribe('shard'), 1);
  await assert.rejects(subscriber.get('x'), /subscriber mode/);
  assert.equal(await publisher.publish('ch:1', 'one'), 1);
  assert.equal(await publisher.publish('pat:x', 'two'), 1);
  assert.equal(await publisher.spublish('shard', 'three'), 1);
  await eventually(() => got.length === 3, 'three messages');
  const byShard = got.findIndex((entry) => entry[0] === 'shard');
  assert.deepEqual(got.splice(byShard, 1), [['shard', Buffer.from('three')]]);
  assert.deepEqual(got.splice(0), [['ch:1', 'one'], ['pat:*', 'pat:x', 'two']]);

  const pipeline = publisher.pipeline();
  for (const i of range(5000)) pipeline.publish(i % 2 ? 'ch:1' : 'ch:2', i);
  await pipeline.exec();
  await eventually(() => got.length === 5000, '5000 messages');
  assert.deepEqual(got.map((entry) => entry[1]), range(5000).map(String));
  assert.deepEqual(await publisher.pubsub('NUMSUB', 'ch:1', 'none'), ['ch:1', 1, 'none', 0]);
  assert.equal(await sharded.sunsubscribe('shard'), 0);
  assert.equal(await subscriber.punsubscribe('pat:*'), 2);
  assert.equal(await subscriber.unsubscribe(), 0);
  assert.equal(await subscriber.get('x'), null);
});

check('a killed subscriber comes back and subscribes again', async (t) => {
  const r = open(t);
  const subscriber = open(t, { connectionName: 'phoenix', retryStrategy: () => 10 });
  await ready(subscriber);
  const got = [];
  subscriber.on('message', (channel, message) => got.push(message));
  await subscriber.subscribe('ashes');
  const line = (await r.client('LIST')).split('\n').find((l) => l.includes('name=phoenix'));
  assert.equal(await r.client('KILL', 'ID', /id=(\d+)/.exec(line)[1]), 1);
  await eventually(async () => {
    await r.publish('ashes', 'rise');
    return got.length;
  }, 'a message after the reconnection');
});

check('scripts: eval, evalsha, defineCommand, after SCRIPT FLUSH too', async (t) => {
  const r = open(t);
  assert.deepEqual(await r.eval('return {KEYS[1], ARGV[1], 3.9, true, false, {"x"}}', 1, 'k', 'v'),
    ['k', 'v', 3, 1, null, ['x']]);
  const sha = await r.script('LOAD', 'return redis.call("INCRBY", KEYS[1], ARGV[1])');
  assert.equal(await r.evalsha(sha, 1, 's:n', 5), 5);
  assert.deepEqual(await r.script('EXISTS', sha, '0'.repeat(40)), [1, 0]);
  await r.script('FLUSH');
  await assert.rejects(r.evalsha(sha, 1, 's:n', 5), /^ReplyError: NOSCRIPT/);
  r.defineCommand('pushAll', {
    numberOfKeys: 1,
    lua: 'for _, v in ipairs(ARGV) do redis.call("RPUSH", KEYS[1], v) end ' +
         'return redis.call("LRANGE", KEYS[1], 0, -1)',
  });
  r.defineCommand('peek', { numberOfKeys: 1, readOnly: true, lua: 'return redis.call("GET", KEYS[1])' });
  assert.deepEqual(await r.pushAll('s:l', 'a', 'b'), ['a', 'b']);
  await r.script('FLUSH');
  const replies = await r.pipeline().pushAll('s:l', 'c').peek('s:n').pushAll('s:l', 'd').exec();
  assert.deepEqual(replies, [[null, ['a', 'b', 'c']], [null, '5'], [null, ['a', 'b', 'c', 'd']]]);
  assert.deepEqual(await r.multi().peek('s:n').pushAll('s:l', 'e').exec(),
    [[null, '5'], [null, ['a', 'b', 'c', 'd', 'e']]]);
  await assert.rejects(r.eval('return redis.call("LPUSH", KEYS[1], "x")', 1, 's:n'),
    /WRONGTYPE Operation against a key holding the wrong kind of value/);
});

check('functions', async (t) => {
  const r = open(t);
  const code = '#!lua name=ioredislib\n' +
    'redis.register_function("addto", function(keys, args)\n' +
    '  return redis.call("HINCRBY", keys[1], args[1], args[2])\nend)';
  assert.equal(await r.function('LOAD', 'REPLACE', code), 'ioredislib');
  assert.equal(await r.fcall('addto', 1, 'f:h', 'field', 4), 4);
  assert.equal((await r.function('LIST', 'LIBRARYNAME', 'ioredislib')).length, 1);
  assert.equal(await r.function('DELETE', 'ioredislib'), 'OK');
});

check('blocking queues: every element served once', async (t) => {
  const seen = new Map();
  const note = (job) => seen.set(job, (seen.get(job) || 0) + 1);
  const producer = open(t);
  const loops = {
    blpop: async (r) => (await r.blpop('q:high', 'q:low', 0))[1],
    brpoplpush: async (r) => {
      const job = await r.brpoplpush('q:safe', 'q:taken', 0);
      await r.lrem('q:taken', 1, job);
      return job;
    },
    bzpopmin: async (r) => (await r.bzpopmin('q:ranked', 0))[1],
    blmpop: async (r) => (await r.blmpop(0, 2, 'q:m1', 'q:m2', 'LEFT'))[1][0],
  };
  const workers = Object.keys(loops).flatMap((kind) => range(3).map(async () => {
    const r = open(t);
    for (;;) {
      const job = await loops[kind](r);
      if (job.startsWith('stop')) return;
      note(job);
    }
  }));
  const pipeline = producer.pipeline();
  for (const i of range(1000)) {
    pipeline.rpush(i % 3 ? 'q:high' : 'q:low', `l${i}`);
    pipeline.lpush('q:safe', `s${i}`);
    pipeline.zadd('q:ranked', i, `z${i}`);
    pipeline.rpush(i % 2 ? 'q:m1' : 'q:m2', `m${i}`);
  }
  await pipeline.exec();
  for (const i of range(3)) {
    await producer.multi().rpush('q:low', 'stop').lpush('q:safe', 'stop').rpush('q:m2', 'stop')
      .zadd('q:ranked', 5000 + i, `stop${i}`).exec();
  }
  await Promise.all(workers);
  assert.equal(seen.size, 4000);
  assert.ok([...seen.values()].every((times) => times === 1));
});

check('a client that leaves while blocked takes nothing with it', async (t) => {
  const r = open(t);
  const leaver = open(t, { maxRetriesPerRequest: 0, retryStrategy: null });
  const id = await leaver.client('ID');
  const blocked = leaver.blpop('leave', 0);
  await eventually(async () => / flags=b /.test(await r.client('LIST', 'ID', id)), 'blocked');
  leaver.disconnect();
  await assert.rejects(blocked);
  await eventually(async () => await r.client('LIST', 'ID', id) === '', 'gone');
  await r.rpush('leave', 'a');
  assert.deepEqual(await r.lrange('leave', 0, -1), ['a']);
  assert.equal(await r.blpop('none', 0.01), null);
});

check('streams and consumer groups', async (t) => {
  const r = open(t);
  const reader = open(t);
  await r.xgroup('CREATE', 'x', 'g', '$', 'MKSTREAM');
  const waiting = reader.xreadgroup('GROUP', 'g', 'one', 'COUNT', 10, 'BLOCK', 0, 'STREAMS', 'x', '>');
  await eventually(async () => /blocked_clients:1/.test(await r.info('clients')), 'blocked');
  const id = await r.xadd('x', '*', 'k', 'v');
  assert.deepEqual(await waiting, [['x', [[id, ['k', 'v']]]]]);
  assert.deepEqual((await r.xpending('x', 'g')).slice(0, 3), [1, id, id]);
  assert.equal((await r.xautoclaim('x', 'g', 'two', 0, '0'))[1].length, 1);
  assert.equal(await r.xack('x', 'g', id), 1);
});

check('MONITOR', async (t) => {
  const r = open(t);
  const monitor = await open(t).monitor();
  t.after(() => monitor.disconnect());
  const lines = [];
  monitor.on('monitor', (time, args) => lines.push(args));
  await r.set('mon', 'itored');
  await eventually(() => lines.some((args) => args.join(' ') === 'set mon itored'), 'the line');
});

check('users: name and password, and what they may not', async (t) => {
  const r = open(t);
  await r.acl('SETUSER', 'iouser', 'on', '>secret', '~own:*', '+@all', '-@dangerous', '+info');
  const user = open(t, { username: 'iouser', password: 'secret' });
  assert.equal(await user.set('own:a', 1), 'OK');
  await assert.rejects(user.set('other', 1), /^ReplyError: NOPERM/);
  await assert.rejects(user.flushall(), /^ReplyError: NOPERM/);
  await r.acl('DELUSER', 'iouser');
});

check('commands given before the connection stands are sent when it does', async (t) => {
  const r = open(t, { lazyConnect: true });
  const set = r.set('lazy', 'yes');
  assert.equal(await set, 'OK');
  assert.equal(await r.quit(), 'OK');
});
