"""The registry in Redis, as scripts: each runs as one step, by Redis' own clock.

Keys, all after ``PREFIX:``
    nodes         sorted set: NAME/EPOCH of each node, by the end of its lease (ms)
    facts         hash: NAME/EPOCH → "MS JSON": when it beat last, what it told
    names         sorted set: name of each node of the last day, by its last beat (ms)
    calls:EPOCH   hash: call → its brief view as JSON, of one run of a node
    owner         hash: call → NAME/EPOCH
    graves        hash: NAME/EPOCH → JSON {at, facts, calls} of a node whose lease ran out
    diggers       hash: NAME/EPOCH → the node that tells of the loss
    buried:EPOCH  that this run was taken for dead: the ids of the calls it had, as JSON
    seq:EPOCH     number of the newest event that this run wrote
    ev            stream of events
    claim:KEY     a claim
Channels: ``cmd:EPOCH`` for commands, ``re:EPOCH`` for replies.

Every script begins with ARGV: prefix, NAME/EPOCH of who runs it.
"""

from __future__ import annotations

from voiceagent.cluster.events import KEPT

FORGOTTEN_S = 86_400
"""Everything of a fleet that nobody belongs to any more is gone after a day."""

KEPT_S = 900
"""Events, words of callers among them, stay no longer than a reader may be away."""

_BEGIN = """
local prefix, me = ARGV[1], ARGV[2]
local function key(name) return prefix .. ':' .. name end
local function epoch(member) return member:match('([^/]*)$') end
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
if redis.replicate_commands then redis.replicate_commands() end
local function beat(facts, lease)
  local now = now_ms()
  redis.call('ZADD', key('nodes'), now + lease, me)
  redis.call('HSET', key('facts'), me, string.format('%d', now) .. ' ' .. facts)
  redis.call('ZADD', key('names'), now, me:match('^(.*)/'))
  return now
end
local function lives() return redis.call('ZSCORE', key('nodes'), me) end
local function disown(member)
  for _, call in ipairs(redis.call('HKEYS', key('calls:' .. epoch(member)))) do
    if redis.call('HGET', key('owner'), call) == member then redis.call('HDEL', key('owner'), call) end
  end
  redis.call('DEL', key('calls:' .. epoch(member)))
  redis.call('ZREM', key('nodes'), member)
  redis.call('HDEL', key('facts'), member)
end
"""

REGISTER = (
    _BEGIN
    + """
-- ARGV 3 facts, 4 lease ms
-- → {'ok', now, calls it was buried with, as JSON, or nil} | {'taken', now, member, end of its lease, facts}
local name, now = me:match('^(.*)/'), now_ms()
for _, other in ipairs(redis.call('ZRANGEBYSCORE', key('nodes'), string.format('(%d', now), '+inf')) do
  if other ~= me and other:match('^(.*)/') == name then
    return {'taken', now, other, redis.call('ZSCORE', key('nodes'), other),
      redis.call('HGET', key('facts'), other) or ''}
  end
end
beat(ARGV[3], tonumber(ARGV[4]))
redis.call('HDEL', key('graves'), me)
redis.call('HDEL', key('diggers'), me)
return {'ok', now, redis.call('GET', key('buried:' .. epoch(me)))}  -- stays until a beat: this may be lost
"""
)

BEAT = (
    _BEGIN
    + f"""
-- ARGV 3 facts, 4 lease ms, 5 whether to bury
-- → {{'gone', now}} | {{'ok', now, whether our own lease was over, living, graves for us}}
local lease_end = lives()
if not lease_end then return {{'gone', now_ms()}} end
local now, mine = beat(ARGV[3], tonumber(ARGV[4])), {{}}
local late = tonumber(lease_end) <= now and 1 or 0
local kept = {{'nodes', 'facts', 'names', 'owner', 'graves', 'diggers', 'ev', 'calls:' .. epoch(me)}}
for _, name in ipairs(kept) do
  redis.call('EXPIRE', key(name), {FORGOTTEN_S})
end
redis.call('DEL', key('buried:' .. epoch(me)))
redis.call('ZREMRANGEBYSCORE', key('names'), '-inf', string.format('%d', now - {1000 * FORGOTTEN_S}))
redis.call('XTRIM', key('ev'), 'MINID', string.format('%d', now - {1000 * KEPT_S}))
if ARGV[5] == '1' and late == 0 then
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', key('nodes'), '-inf', now)) do
    local calls = redis.call('HGETALL', key('calls:' .. epoch(dead)))
    local facts = redis.call('HGET', key('facts'), dead) or ''
    redis.call('HSET', key('graves'), dead, cjson.encode({{at = now, facts = facts, calls = calls}}))
    redis.call('HSET', key('diggers'), dead, me)
    local ids = cjson.encode(redis.call('HKEYS', key('calls:' .. epoch(dead))))
    redis.call('SET', key('buried:' .. epoch(dead)), ids, 'EX', {FORGOTTEN_S})
    disown(dead)
  end
  local diggers = redis.call('HGETALL', key('diggers'))
  for i = 1, #diggers, 2 do
    local dead, digger = diggers[i], diggers[i + 1]
    if digger == me or not redis.call('ZSCORE', key('nodes'), digger) then
      redis.call('HSET', key('diggers'), dead, me)
      mine[#mine + 1] = dead
      mine[#mine + 1] = redis.call('HGET', key('graves'), dead) or ''
    end
  end
end
return {{'ok', now, late, redis.call('ZRANGEBYSCORE', key('nodes'), string.format('(%d', now), '+inf'), mine}}
"""
)

TOLD = (
    _BEGIN
    + """
-- ARGV 3 … graves whose loss we have told
for i = 3, #ARGV do
  if redis.call('HGET', key('diggers'), ARGV[i]) == me then
    redis.call('HDEL', key('diggers'), ARGV[i])
    redis.call('HDEL', key('graves'), ARGV[i])
  end
end
return 'ok'
"""
)

WRITE = (
    _BEGIN
    + f"""
-- ARGV 3, 4 how many calls changed, ended; call and data of the first, the second, then events of four each
if not lives() then return 'gone' end
local at = 5
for _ = 1, tonumber(ARGV[3]) do
  redis.call('HSET', key('calls:' .. epoch(me)), ARGV[at], ARGV[at + 1])
  redis.call('HSET', key('owner'), ARGV[at], me)
  at = at + 2
end
for _ = 1, tonumber(ARGV[4]) do
  redis.call('HDEL', key('calls:' .. epoch(me)), ARGV[at])
  if redis.call('HGET', key('owner'), ARGV[at]) == me then redis.call('HDEL', key('owner'), ARGV[at]) end
  at = at + 1
end
if at > #ARGV then return 'ok' end
local newest, name = tonumber(redis.call('GET', key('seq:' .. epoch(me))) or '0'), me:match('^(.*)/')
while at <= #ARGV do
  local seq = tonumber(ARGV[at])
  if seq > newest then
    redis.call('XADD', key('ev'), 'MAXLEN', '~', {KEPT}, '*',
      'n', name, 't', ARGV[at + 1], 'c', ARGV[at + 2], 'd', ARGV[at + 3])
    newest = seq
  end
  at = at + 4
end
redis.call('SET', key('seq:' .. epoch(me)), string.format('%d', newest), 'EX', {FORGOTTEN_S})
return 'ok'
"""
)

FORGET_PAGE = 500

FORGET = (
    _BEGIN
    + f"""
-- ARGV 3 where in the stream to begin; 4 … calls → {{how many of their events were removed, where to go on}}
local calls, removed, last = {{}}, 0, ''
for at = 4, #ARGV do calls[ARGV[at]] = true end
local page = redis.call('XRANGE', key('ev'), ARGV[3], '+', 'COUNT', {FORGET_PAGE})
for _, entry in ipairs(page) do
  for at = 1, #entry[2], 2 do
    if entry[2][at] == 'c' and calls[entry[2][at + 1]] then
      removed = removed + redis.call('XDEL', key('ev'), entry[1])
    end
  end
  last = '(' .. entry[1]
end
return {{removed, #page == {FORGET_PAGE} and last or ''}}
"""
)

LEAVE = (
    _BEGIN
    + """
disown(me)
redis.call('DEL', key('seq:' .. epoch(me)))
return 'ok'
"""
)

RELEASE = (
    _BEGIN
    + """
-- ARGV 3 key of a claim: another run's stays
if redis.call('GET', key('claim:' .. ARGV[3])) == me then redis.call('DEL', key('claim:' .. ARGV[3])) end
return 'ok'
"""
)

NODES = (
    _BEGIN
    + """
-- → {member, facts, …} of the living
local found = {}
local since = string.format('(%d', now_ms())
for _, member in ipairs(redis.call('ZRANGEBYSCORE', key('nodes'), since, '+inf')) do
  found[#found + 1] = member
  found[#found + 1] = redis.call('HGET', key('facts'), member) or ''
end
return found
"""
)

ABSENT = (
    _BEGIN
    + """
-- → {name, ms of its last beat, …} of those that live no more
local living, found = {}, {}
local since = string.format('(%d', now_ms())
for _, member in ipairs(redis.call('ZRANGEBYSCORE', key('nodes'), since, '+inf')) do
  living[member:match('^(.*)/')] = true
end
local all = redis.call('ZRANGE', key('names'), 0, -1, 'WITHSCORES')
for at = 1, #all, 2 do
  if not living[all[at]] then
    found[#found + 1] = all[at]
    found[#found + 1] = all[at + 1]
  end
end
return found
"""
)

CALLS = (
    _BEGIN
    + """
-- → {member, {call, data, …}, …} of all others, and of those not yet known to be dead
local found = {}
for _, member in ipairs(redis.call('ZRANGE', key('nodes'), 0, -1)) do
  if member ~= me then
    found[#found + 1] = member
    found[#found + 1] = redis.call('HGETALL', key('calls:' .. epoch(member)))
  end
end
return found
"""
)

OWNER = (
    _BEGIN
    + """
-- ARGV 3 call → {member, data} | {}
local member = redis.call('HGET', key('owner'), ARGV[3])
if not member then return {} end
return {member, redis.call('HGET', key('calls:' .. epoch(member)), ARGV[3]) or '{}'}
"""
)
