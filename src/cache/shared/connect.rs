//! The way to one server, to a cluster, or by sentinels to whichever server is the master.

use std::time::Duration;

use anyhow::Context as _;
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, RedisResult, TlsMode,
};

use crate::config::{RedisAddress, RedisKind};

/// How long one host is waited for. Of several, others are left.
const ONE_HOST: Duration = Duration::from_millis(900);

/// Makes connections.
pub(super) enum Client {
    Server(Box<redis::Client>),
    Cluster(Box<ClusterClient>),
    Sentinel(Box<SentinelClient>),
}

/// One connection, which many requests share.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Client {
    pub(super) fn new(address: &RedisAddress) -> anyhow::Result<Self> {
        const WRONG: &str = "redis.url is not usable";
        let parse = |node: &url::Url| node.as_str().into_connection_info().map(plain);
        let nodes = address.nodes.iter().map(parse).collect::<RedisResult<Vec<_>>>().context(WRONG)?;
        Ok(match &address.kind {
            RedisKind::Server => {
                let node = nodes.into_iter().next().context(WRONG)?;
                Self::Server(Box::new(redis::Client::open(node).context(WRONG)?))
            }
            RedisKind::Cluster => {
                let client = ClusterClientBuilder::new(nodes)
                    .connection_timeout(ONE_HOST)
                    .response_timeout(ONE_HOST)
                    .retries(1)
                    .build();
                Self::Cluster(Box::new(client.context(WRONG)?))
            }
            RedisKind::Sentinel(name) => {
                let settings = nodes.first().context(WRONG)?.redis_settings().clone();
                // User, password and database are those of the servers.
                let sentinels = nodes.into_iter().map(|node| node.set_redis_settings(bare())).collect();
                let mut server = SentinelNodeConnectionInfo::default().set_redis_connection_info(settings);
                if address.is_tls() {
                    server = server.set_tls_mode(TlsMode::Secure);
                }
                let client = SentinelClient::build(sentinels, name.clone(), Some(server), SentinelServerType::Master);
                Self::Sentinel(Box::new(client.context(WRONG)?))
            }
        })
    }

    pub(super) async fn connect(&mut self) -> RedisResult<Connection> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ONE_HOST))
            // Whoever asks has a patience of their own.
            .set_response_timeout(Some(ONE_HOST));
        Ok(match self {
            Self::Server(client) => {
                Connection::Server(client.get_multiplexed_async_connection_with_config(&settings).await?)
            }
            Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
            Self::Sentinel(client) => Connection::Server(client.get_async_connection_with_config(&settings).await?),
        })
    }
}

impl Connection {
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

/// Settings by which a connection sends no more than it must.
fn bare() -> RedisConnectionInfo {
    RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name()
}

fn plain(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
    info.set_redis_settings(settings)
}
