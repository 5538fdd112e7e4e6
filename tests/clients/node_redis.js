// SPDX-License-Identifier: BSD-3-Clause
'use strict';

// node-redis, in RESP2 and RESP3, with its client-side cache: usage  node node_redis.js PORT

const assert = require('node:assert/strict');
const { BasicClientSideCache, BasicPooledClientSideCache, ErrorReply, RESP_TYPES, WatchError,
  createClient, createClientPool, defineScript } = require('redis');
const { check, eventually, port, range } = require('./support');

const SCRIPTS = {
  addTo: defineScript({
    SCRIPT: 'return redis.call("INCRBY", KEYS[1], ARGV[1])',
    NUMBER_OF_KEYS: 1,
    parseCommand(parser, key, by) {
      parser.pushKey(key);
      parser.push(String(by));
    },
    transformReply: undefined,
  }),
};

const FUNCTIONS = {
  noderedislib: {
    scored: {
      NUMBER_OF_KEYS: 1,
      parseCommand(parser, key, member) {
        parser.pushKey(key);
        parser.push(member);
      },
      transformReply: undefined,
    },
  },
};

const LIBRARY = '#!lua name=noderedislib\n' +
  'redis.register_function("scored", function(keys, args)\n' +
  '  return redis.call("ZINCRBY", keys[1], 1, args[1])\nend)';

// A connection for one test, closed after it.
async function open(t, options = {}) {
  const client = createClient({
    socket: { port, host: '127.0.0.1' }, scripts: SCRIPTS, functions: FUNCTIONS, ...options });
  client.on('error', () => {});  // Some tests kill connections; their commands say what failed.
  await client.connect();
  t.after(() => client.destroy());
  return client;
}

function checkBoth(name, body) {
  for (const RESP of [2, 3]) check(`RESP${RESP}: ${name}`, (t) => body(t, { RESP }, `r${RESP}`));
}

checkBoth('replies have the types the library gives them', async (t, options, p) => {
  const r = await open(t, { ...options, database: 1, name: p });
  assert.equal(await r.clientGetName(), p);
  assert.equal(await r.set('s', 'v', { expiration: { type: 'EX', value: 100 } }), 'OK');
  assert.equal(await r.set('s', 'w', { condition: 'NX' }), null);
  const bytes = Buffer.from(range(256));
  await r.set('bytes', bytes);
  assert.deepEqual(await r.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get('bytes'), bytes);
  await r.hSet(`${p}h`, { a: 1, b: 'two' });
  assert.deepEqual({ ...await r.hGetAll(`${p}h`) }, { a: '1', b: 'two' });
  await r.zAdd(`${p}z`, [{ score: 1.5, value: 'a' }, { score: Infinity, value: 'b' }]);
  assert.deepEqual((await r.zRangeWithScores(`${p}z`, 0, -1)).map((m) => ({ ...m })),
    [{ value: 'a', score: 1.5 }, { value: 'b', score: Infinity }]);
  assert.equal(await r.zScore(`${p}z`, 'a'), 1.5);
  await r.sAdd(`${p}set`, ['x', 'y']);
  assert.deepEqual((await r.sMembers(`${p}set`)).sort(), ['x', 'y']);
  assert.deepEqual(await r.smIsMember(`${p}set`, ['x', 'z']), [1, 0]);
  await r.geoAdd(`${p}geo`, { longitude: 13.361389, latitude: 38.115556, member: 'Palermo' });
  assert.equal((await r.geoPos(`${p}geo`, 'Palermo')).length, 1);
  assert.equal((await r.configGet('maxmemory-policy'))['maxmemory-policy'], 'noeviction');
  await assert.rejects(r.lPush('s', 'x'), (e) => e instanceof ErrorReply && /^WRONGTYPE/.test(e.message));
  await r.flushDb();
});

checkBoth('scan iterators see every key', async (t, options) => {
  const r = await open(t, { ...options, database: 2 });
  await Promise.all(range(5000).map((i) => r.set(`scan:${i}`, i)));
  const seen = new Set();
  for await (const keys of r.scanIterator({ MATCH: 'scan:*', COUNT: 300 })) {
    keys.forEach((key) => seen.add(key));
  }
  assert.equal(seen.size, 5000);
  await r.hSet('hash', Object.fromEntries(range(2000).map((i) => [`f${i}`, `${i}`])));
  let fields = 0;
  for await (const entries of r.hScanIterator('hash')) fields += entries.length;
  assert.equal(fields, 2000);
  await r.flushDb();
});

checkBoth('commands of one turn leave as a pipeline, and an error stays in its place',
  async (t, options, p) => {
    const r = await open(t, options);
    const replies = await Promise.allSettled(range(5000).map((i) =>
      (i % 1000 === 999 ? r.lPush(`${p}:counter`, 'x') : r.incr(`${p}:counter`))));
    let counter = 0;
    replies.forEach((reply, i) => {
      if (i % 1000 === 999) assert.match(reply.reason.message, /^WRONGTYPE/);
      else assert.equal(reply.value, ++counter);
    });
    assert.deepEqual(await r.multi().incr(`${p}:counter`).get(`${p}:counter`).execAsPipeline(),
      [4996, '4996']);
  });

checkBoth('transactions, WATCH', async (t, options, p) => {
  const r = await open(t, options);
  assert.deepEqual(await r.multi().set(`${p}t`, '1').incr(`${p}t`).get(`${p}t`).exec(), ['OK', 2, '2']);
  await assert.rejects(r.multi().set(`${p}t`, '1').addCommand(['GET']).exec(),
    /wrong number of arguments for 'get'/);
  await assert.rejects(r.multi().incr(`${p}t`).lPush(`${p}t`, 'x').exec(),
    (e) => e.errors().next().value.message.startsWith('WRONGTYPE'));
  assert.equal(await r.get(`${p}t`), '3');

  let conflicts = 0;
  await Promise.all(range(6).map(async () => {
    const mine = await open(t, options);
    for (let done = 0; done < 20;) {
      await mine.watch(`${p}w`);
      const value = Number(await mine.get(`${p}w`));
      try {
        await mine.multi().set(`${p}w`, value + 1).exec();
        done++;
      } catch (error) {
        assert.ok(error instanceof WatchError);
        conflicts++;
      }
    }
  }));
  assert.equal(await r.get(`${p}w`), '120');
  assert.ok(conflicts > 0);
});

checkBoth('pub/sub: channels, patterns, shard channels, in order', async (t, options, p) => {
  const publisher = await open(t, options);
  const subscriber = await open(t, options);
  const got = [];
  const note = (message, channel) => got.push([channel, String(message)]);
  await subscriber.subscribe([`${p}:1`, `${p}:2`], note);
  await subscriber.pSubscribe(`${p}pat:*`, note);
  await subscriber.sSubscribe(`${p}shard`, note, true);
  assert.equal(await publisher.publish(`${p}:1`, 'one'), 1);
  assert.equal(await publisher.publish(`${p}pat:x`, 'two'), 1);
  assert.equal(await publisher.sPublish(`${p}shard`, 'three'), 1);
  await eventually(() => got.length === 3, 'three messages');
  assert.deepEqual(got.splice(0).map((entry) => entry[1]).sort(), ['one', 'three', 'two']);
  await Promise.all(range(5000).map((i) => publisher.publish(`${p}:${1 + (i % 2)}`, String(i))));
  await eventually(() => got.length === 5000, '5000 messages');
  assert.deepEqual(got.map((entry) => entry[1]), range(5000).map(String));
  if (options.RESP === 3) assert.equal(await subscriber.incr('while:subscribed'), 1);
  await subscriber.sUnsubscribe(`${p}shard`);
  await subscriber.pUnsubscribe(`${p}pat:*`);
  await subscriber.unsubscribe();
  assert.equal(await subscriber.get('none'), null);
  assert.equal(await publisher.publish(`${p}:1`, 'nobody'), 0);
});

checkBoth('a killed subscriber comes back and subscribes again', async (t, options, p) => {
  const r = await open(t, options);
  const subscriber = await open(t, { ...options, name: `${p}phoenix`,
    socket: { port, host: '127.0.0.1', reconnectStrategy: 10 } });
  let got = 0;
  await subscriber.subscribe(`${p}ashes`, () => got++);
  const victim = (await r.clientList()).find((c) => c.name === `${p}phoenix`);
  assert.equal(await r.clientKill({ filter: 'ID', id: String(victim.id) }), 1);
  await eventually(async () => {
    await r.publish(`${p}ashes`, 'rise');
    return got;
  }, 'a message after the reconnection');
});

checkBoth('scripts and functions', async (t, options, p) => {
  const r = await open(t, options);
  assert.deepEqual(await r.eval('return {KEYS[1], ARGV[1], 3.9, false, {"x"}}',
    { keys: ['k'], arguments: ['v'] }), ['k', 'v', 3, null, ['x']]);
  assert.equal(await r.addTo(`${p}n`, 4), 4);
  await r.scriptFlush();
  assert.equal(await r.addTo(`${p}n`, 4), 8);
  const sha = await r.scriptLoad('return {map = {a = 1.5}}');
  assert.deepEqual(await r.scriptExists([sha, '0'.repeat(40)]), [1, 0]);
  await r.functionLoad(LIBRARY, { REPLACE: true });
  assert.equal(Number(await r.noderedislib.scored(`${p}fz`, 'm')), 1);
  assert.equal(Number(await r.noderedislib.scored(`${p}fz`, 'm')), 2);
  assert.equal((await r.functionList({ LIBRARYNAME: 'noderedislib' })).length, 1);
  await assert.rejects(r.eval('return redis.call("LPUSH", KEYS[1], "x")', { keys: [`${p}n`] }),
    /WRONGTYPE/);
  assert.deepEqual(await r.multi().addTo(`${p}n`, 1).get(`${p}n`).exec(), [9, '9']);
});

check('RESP3: scripts that answer in RESP3 types', async (t) => {
  const r = await open(t, { RESP: 3 });
  const lua = 'redis.setresp(3) return {redis.call("HGETALL", KEYS[1]), {double = 1.5}, true}';
  await r.hSet('resp3:h', 'f', 'v');
  const [map, double, yes] = await r.eval(lua, { keys: ['resp3:h'] });
  assert.deepEqual({ ...map }, { f: 'v' });
  assert.equal(double, 1.5);
  assert.equal(yes, true);
});

checkBoth('blocking queues on a pool: every element served once', async (t, options, p) => {
  const pool = createClientPool({ socket: { port, host: '127.0.0.1' }, ...options },
    { minimum: 9, maximum: 9 });
  pool.on('error', () => {});
  await pool.connect();
  t.after(() => pool.destroy());
  const producer = await open(t, options);
  const seen = new Map();
  const kinds = [
    async (r) => (await r.blPop([`${p}high`, `${p}low`], 0)).element,
    async (r) => {
      const job = await r.blMove(`${p}safe`, `${p}taken`, 'LEFT', 'RIGHT', 0);
      await r.lRem(`${p}taken`, 1, job);
      return job;
    },
    async (r) => (await r.bzPopMin(`${p}ranked`, 0)).value,
  ];
  const workers = kinds.flatMap((take) => range(3).map(() => pool.execute(async (r) => {
    for (;;) {
      const job = await take(r);
      if (job.startsWith('stop')) return;
      seen.set(job, (seen.get(job) || 0) + 1);
    }
  })));
  await Promise.all(range(700).flatMap((i) => [
    producer.rPush(i % 3 ? `${p}high` : `${p}low`, `l${i}`),
    producer.rPush(`${p}safe`, `s${i}`),
    producer.zAdd(`${p}ranked`, { score: i, value: `z${i}` }),
  ]));
  for (const i of range(3)) {
    await producer.multi().rPush(`${p}low`, 'stop').rPush(`${p}safe`, 'stop')
      .zAdd(`${p}ranked`, { score: 5000 + i, value: `stop${i}` }).exec();
  }
  await Promise.all(workers);
  assert.equal(seen.size, 2100);
  assert.ok([...seen.values()].every((times) => times === 1));
});

checkBoth('streams and consumer groups', async (t, options, p) => {
  const r = await open(t, options);
  const reader = await open(t, { ...options, name: `${p}reader` });
  await r.xGroupCreate(`${p}x`, 'g', '$', { MKSTREAM: true });
  const waiting = reader.xReadGroup('g', 'one', { key: `${p}x`, id: '>' }, { COUNT: 10, BLOCK: 0 });
  await eventually(async () => (await r.clientList()).some((c) => c.name === `${p}reader` &&
    c.flags.includes('b')), 'blocked');
  const id = await r.xAdd(`${p}x`, '*', { k: 'v' });
  const reply = await waiting;
  if (options.RESP === 3) {  // Which the library passes on as it came.
    assert.deepEqual({ ...reply }, { [`${p}x`]: [[id, ['k', 'v']]] });
  } else {
    assert.equal(reply[0].name, `${p}x`);
    assert.equal(reply[0].messages[0].id, id);
    assert.deepEqual({ ...reply[0].messages[0].message }, { k: 'v' });
  }
  assert.equal((await r.xPending(`${p}x`, 'g')).pending, 1);
  assert.equal(await r.xAck(`${p}x`, 'g', id), 1);
  const info = await r.xInfoStream(`${p}x`);
  assert.equal(info.length, 1);
});

check('the client-side cache: hits, and what invalidates it', async (t) => {
  const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: 'LRU' });
  const r = await open(t, { RESP: 3, clientSideCache: cache });
  const other = await open(t, { RESP: 3 });
  await other.set('csc:s', 'one');
  await other.hSet('csc:h', 'f', 'one');
  for (const i of range(10)) {
    assert.equal(await r.get('csc:s'), 'one', i);
    assert.equal(await r.hGet('csc:h', 'f'), 'one', i);
  }
  assert.equal(cache.stats().hitCount, 18);
  assert.equal(cache.stats().missCount, 2);

  const seen = async (read, wanted) => {
    await eventually(async () => await read() === wanted, `the cache sees ${wanted}`);
  };
  await other.set('csc:s', 'two');
  await seen(() => r.get('csc:s'), 'two');
  await other.multi().hSet('csc:h', 'f', 'two').set('csc:s', 'three').exec();
  await seen(() => r.hGet('csc:h', 'f'), 'two');
  await seen(() => r.get('csc:s'), 'three');
  await other.addTo('csc:n', 1);
  assert.equal(await r.get('csc:n'), '1');
  await other.addTo('csc:n', 1);
  await seen(() => r.get('csc:n'), '2');
  await other.set('csc:s', 'brief', { expiration: { type: 'PX', value: 30 } });
  await seen(() => r.get('csc:s'), null);
  await other.set('csc:s', 'four');
  await seen(() => r.get('csc:s'), 'four');
  await other.flushDb();
  await seen(() => r.get('csc:s'), null);
  await seen(() => r.hGet('csc:h', 'f'), null);
});

check('the cache of a pool', async (t) => {
  const cache = new BasicPooledClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: 'LRU' });
  const pool = createClientPool({ socket: { port, host: '127.0.0.1' }, RESP: 3 },
    { minimum: 3, maximum: 3, clientSideCache: cache });
  pool.on('error', () => {});
  await pool.connect();
  t.after(() => pool.destroy());
  const other = await open(t, { RESP: 3 });
  for (const value of range(50).map(String)) {
    await other.set('pool:s', value);
    await eventually(async () =>
      (await Promise.all(range(6).map(() => pool.get('pool:s')))).every((v) => v === value),
      'every connection sees the new value');
  }
  assert.ok(cache.stats().hitCount > 0);
});

check('users: name and password, and what they may not', async (t) => {
  const r = await open(t);
  await r.aclSetUser('nodeuser', ['on', '>secret', '~own:*', '+@all', '-@dangerous']);
  const user = await open(t, { RESP: 3, username: 'nodeuser', password: 'secret' });
  assert.equal(await user.set('own:a', '1'), 'OK');
  await assert.rejects(user.set('other', '1'), /NOPERM/);
  await assert.rejects(open(t, { username: 'nodeuser', password: 'wrong',
    socket: { port, host: '127.0.0.1', reconnectStrategy: false } }), /WRONGPASS/);
  await r.aclDelUser('nodeuser');
});
