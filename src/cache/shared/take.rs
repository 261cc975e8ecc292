//! One try out of a bucket, in one step that Redis does as a whole.

use redis::RedisResult;

use super::connect::Connection;

/// Takes one try from a bucket that refills by the minute. It is kept as the moment at which it will be full again, in
/// microseconds by Redis' own clock, and is forgotten then. Says how long to wait, 0 for not at all; or -1 where
/// something was in its place that this cannot have written, and that it has now replaced.
const TAKE: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local step, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local full, answer = now, 0
local kept = redis.pcall('GETRANGE', KEYS[1], 0, 20)
if type(kept) == 'table' and not string.find(kept.err, 'WRONGTYPE') then return kept end
if kept ~= '' then
  local at = type(kept) == 'string' and tonumber(kept)
  if at and at <= now + window + 5000000 then full = math.max(now, at) else answer = -1 end
end
if full + step > now + window then return full + step - now - window end
redis.call('SET', KEYS[1], string.format('%.0f', full + step), 'PX', math.ceil((full + step - now) / 1000))
return answer";

pub(super) const MINUTE_US: u64 = 60_000_000;

/// How many microseconds to wait for one of a given number of tries a minute: see [`TAKE`].
pub(super) async fn take(mut connection: Connection, key: &str, per_minute: u32) -> RedisResult<i64> {
    let step = MINUTE_US / u64::from(per_minute.max(1));
    connection.ask(redis::cmd("EVAL").arg(TAKE).arg(1).arg(key).arg(step).arg(MINUTE_US)).await
}
