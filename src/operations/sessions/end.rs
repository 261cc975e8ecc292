//! Logging out, by a browser or by an app's hint: the session is dead on the server, recorded, and noted for the
//! clients that were signed in under it.

use crate::app::App;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::session::{EndReason, Session};
use crate::operations::admin_context::{AdminContext, in_act};
use crate::operations::providers::end_sessions_of;
use crate::operations::sessions::open::{Browser, RENEWAL, of_session};
use crate::store::{self, in_transaction};
use crate::time::Timestamp;

/// What was ended, and what is left to do in the browser.
#[derive(Clone, Debug, Default)]
pub struct LoggedOut {
    /// The session that the browser held.
    pub session: bool,
    /// The unfinished sign-in that it held.
    pub unfinished: bool,
    /// The session that a hint named and the browser did not hold.
    pub elsewhere: bool,
    /// The addresses to frame, one for each client that wants to hear of it in the browser (OpenID Connect
    /// Front-Channel Logout §2).
    pub frames: Vec<String>,
}

/// The session that a logout in this browser ends, also where it is idle.
pub async fn held(app: &App, browser: &Browser, now: Timestamp) -> Result<Option<Session>, store::Error> {
    match &browser.session {
        Some(secret) => store::sessions::to_log_out(&mut app.db.read().await?, secret, now.before(RENEWAL), now).await,
        None => Ok(None),
    }
}

/// Ends what a browser holds and what is under the `sid` of a hint, also where it is idle: what was born of it would
/// live on. Harmless when there is nothing.
///
/// # Errors
/// When the database fails: then the session lives.
pub async fn log_out(
    app: &App,
    browser: &Browser,
    hinted: Option<&str>,
    visitor: &Visitor,
    note: Option<String>,
    now: Timestamp,
) -> Result<LoggedOut, store::Error> {
    let event = || Event {
        note: note.clone(),
        ..Event::new(Kind::Logout, Outcome::Success, "user", visitor, now, &app.random)
    };
    let events = [event(), event()];
    let (browser, hinted) = (browser.clone(), hinted.map(str::to_owned));
    let (ended, sids) = in_transaction!(app.db, app.ordinary_deadline(now), [browser, hinted, events], |tx| {
        let held = match &browser.session {
            Some(secret_hash) => store::sessions::to_log_out(tx, secret_hash, now.before(RENEWAL), now).await?,
            None => None,
        };
        let elsewhere = match hinted.filter(|sid| held.as_ref().is_none_or(|session| session.sid != *sid)) {
            Some(sid) => store::sessions::under(tx, &sid, now).await?,
            None => None,
        };
        let (mut ended, mut sids) = (LoggedOut::default(), Vec::new());
        for ((session, event), done) in
            [held, elsewhere].into_iter().zip(events).zip([&mut ended.session, &mut ended.elsewhere])
        {
            if let Some(session) = session
                && store::sessions::end(tx, &session.id, EndReason::Logout, now).await?
            {
                store::activity::record(tx, &of_session(event, &session)).await?;
                *done = true;
                sids.push(session.sid);
            }
        }
        if let Some(pre_auth) = &browser.pre_auth {
            ended.unfinished = store::passwords::pre_auths::remove(tx, pre_auth).await?;
        }
        Ok((ended, sids))
    })?;
    let mut frames = Vec::new();
    for sid in sids {
        let clients = store::logouts::clients_of(&mut app.db.read().await?, &sid).await?;
        frames.extend(clients.iter().filter_map(|client| {
            let address = client.metadata.frontchannel_logout_uri.as_ref()?;
            let joint = if address.contains('?') { '&' } else { '?' };
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("iss", &app.config.issuer)
                .append_pair("sid", &sid)
                .finish();
            Some(format!("{address}{joint}{query}"))
        }));
    }
    Ok(LoggedOut { frames, ..ended })
}

/// Ends every session of one provider, or of all, with all that came of them; then what clients were given for
/// themselves too. How many providers. For the hour of an incident, and after a restore (G36).
///
/// # Errors
/// When it cannot be written: then nothing was ended.
pub async fn end_all(act: &AdminContext, only: Option<&str>) -> Result<usize, store::Error> {
    let only = only.map(str::to_owned);
    in_act!(act, [only], |tx| {
        let ids = store::providers::ids(tx, only.as_deref()).await?;
        for id in &ids {
            let Some(provider) = store::providers::lock_for_update(tx, id).await? else { continue };
            end_sessions_of(tx, &act, &provider).await?;
        }
        if only.is_none() {
            store::tokens::access::revoke_all(tx, act.now).await?;
        }
        Ok(ids.len())
    })
}
