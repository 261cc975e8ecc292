//! What the operator sets: a TOML file, then `CONNECT_IDP__SECTION__KEY` variables over it. Parsed and floored once,
//! at start; an unknown key, a zero or an absurd value stops the start with a sentence that names the key (G21).

mod addresses;
mod agreement;
mod fault;
mod keys;
mod listen;
mod mail;
mod otlp;
mod proxies;
mod redis_address;
mod reference;
mod sections;
mod show;
mod sources;
mod value;

pub use self::addresses::{has_password, is_whole, without_password};
pub use self::fault::{Fault, NOT_WHOLE};
pub use self::keys::{ENV_PREFIX, Source};
pub use self::listen::Listen;
pub use self::mail::{Mail, MailTls};
pub use self::otlp::Otlp;
pub use self::redis_address::{Address as RedisAddress, Kind as RedisKind, Redis};
pub use self::sections::{
    Config, Database, Handoff, Keys, LIVE, Log, LogFormat, Outbound, Password, Pooling, Session, Site, Throttle, Tls,
    Tokens,
};
pub use self::show::changed;
pub use self::sources::Loaded;
