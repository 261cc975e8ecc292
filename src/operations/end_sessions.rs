//! A browser's logout: the session is dead on the server, recorded, and noted for the clients that were signed in under it.

use super::act::{Act, in_act};
use super::open_session::{Browser, RENEWAL, of_session};
use crate::app::App;
use crate::model::event::{Event, Kind, Outcome, Visitor};
use crate::model::session::{EndReason, Session};
use crate::store::{self, in_transaction};
use crate::time::Timestamp;

/// What is left to do in the browser.
#[derive(Clone, Debug, Default)]
pub struct LoggedOut {
    /// The addresses to frame, one for each client that wants to hear of it in the browser (OpenID Connect Front-Channel
    /// Logout §2).
    pub frames: Vec<String>,
}

/// What is to end.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Whatever session the browser holds.
    Any,
    /// The session that the browser holds if it is under this `sid`.
    Under(String),
    /// No session.
    None,
}

impl Wanted {
    fn is(&self, session: &Session) -> bool {
        match self {
            Self::Any => true,
            Self::Under(sid) => *sid == session.sid,
            Self::None => false,
        }
    }
}

/// Ends what a browser holds, also where it is idle: what was born of it would live on. Harmless when it holds nothing.
///
/// # Errors
/// When the database fails: then the session lives.
pub async fn log_out(
    app: &App,
    browser: &Browser,
    wanted: &Wanted,
    visitor: &Visitor,
    note: Option<String>,
    now: Timestamp,
) -> Result<LoggedOut, store::Error> {
    let event = Event::new(Kind::Logout, Outcome::Success, "user", visitor, now, &app.random);
    let event = Event { note, ..event };
    let (browser, wanted) = (browser.clone(), wanted.clone());
    let ended = in_transaction!(app.db, app.ordinary_deadline(now), [browser, wanted, event], |tx| {
        let mut ended = None;
        let held = match &browser.session {
            Some(secret_hash) => store::sessions::to_log_out(tx, secret_hash, now.before(RENEWAL), now).await?,
            None => None,
        };
        if let Some(session) = held.filter(|session| wanted.is(session))
            && store::sessions::end(tx, &session.id, EndReason::Logout, now).await?
        {
            store::activity::record(tx, &of_session(event, &session)).await?;
            ended = Some(session.sid);
        }
        if let Some(pre_auth) = &browser.pre_auth {
            store::pre_auths::remove(tx, pre_auth).await?;
        }
        Ok(ended)
    })?;
    let Some(sid) = ended else {
        return Ok(LoggedOut::default());
    };
    let clients = store::logouts::clients_of(&mut app.db.read().await?, &sid).await?;
    let frames = clients.iter().filter_map(|client| {
        let address = client.metadata.frontchannel_logout_uri.as_ref()?;
        let joint = if address.contains('?') { '&' } else { '?' };
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("iss", &app.config.issuer)
            .append_pair("sid", &sid)
            .finish();
        Some(format!("{address}{joint}{query}"))
    });
    Ok(LoggedOut { frames: frames.collect() })
}

/// Ends every session of one provider, or of all, with all that came of them; then what clients were given for themselves
/// too. How many providers. For the hour of an incident, and after a restore (G36).
///
/// # Errors
/// When it cannot be written: then nothing was ended.
pub async fn end_all(act: &Act, only: Option<&str>) -> Result<usize, store::Error> {
    let only = only.map(str::to_owned);
    in_act!(act, [only], |tx| {
        let ids = store::providers::ids(tx, only.as_deref()).await?;
        for id in &ids {
            let Some(provider) = store::providers::hold(tx, id).await? else { continue };
            store::providers::bump_epoch(tx, id).await?;
            let event = act.event_of(Kind::SessionEnded, &provider).noting("every session of the provider");
            store::activity::record(tx, &event).await?;
        }
        if only.is_none() {
            store::access_tokens::revoke_all(tx, act.now).await?;
        }
        Ok(ids.len())
    })
}
