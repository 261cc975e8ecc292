//! What an operator does to a provider: each one transaction with exactly one record, and none when nothing changed.
//! Functions that take a `Tx` are the same actions as parts of a larger one (`apply`).

use super::admin_context::{AdminContext, Changed, Edited, Switched, ValidationError, in_act};
use crate::config::Config;
use crate::model::activity::Kind;
use crate::model::provider::{Provider, ProviderCode, ProviderKind, Step, UnifiedLogin};
use crate::model::text::check_line;
use crate::store::{Error, Tx, activity, providers, strikes, unified_login};
use crate::time::zone_exists;

/// What an administrator may set on a provider. What is absent stays as it is, or is the default at creation.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Name.
    pub name: Option<String>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// Whom users ask for help; an empty text takes it away.
    pub contact: Option<String>,
    /// Its own idle limit; 0 returns to the operator's.
    pub idle_minutes: Option<u32>,
    /// Its own absolute limit; 0 returns to the operator's.
    pub absolute_hours: Option<u32>,
    /// Its users may set a forgotten password by a mailed link.
    pub reset_by_mail: Option<bool>,
}

impl Draft {
    /// Checks every value that is given.
    ///
    /// # Errors
    /// The first key whose value is not accepted.
    pub fn check(&self, config: &Config) -> Result<(), ValidationError> {
        if let Some(name) = &self.name {
            check_line(name, 200).map_err(|why| ValidationError::new("name", why))?;
        }
        if let Some(zone) = self.time_zone.as_deref().filter(|zone| !zone_exists(zone)) {
            return Err(ValidationError::new(
                "time_zone",
                format!("{zone:?} is not a time zone: write one such as America/Chicago"),
            ));
        }
        if let Some(contact) = self.contact.as_deref().filter(|text| !text.is_empty()) {
            check_line(contact, 500).map_err(|why| ValidationError::new("contact", why))?;
        }
        let within = |key: &'static str, value: Option<u32>, limit: u32| match value {
            Some(value) if value > limit => Err(ValidationError::new(
                key,
                format!(
                    "must not be more than the operator's limit, {limit}: take a smaller number, or 0 for the operator's"
                ),
            )),
            _ => Ok(()),
        };
        within("idle_minutes", self.idle_minutes, config.session.idle_minutes)?;
        within("absolute_hours", self.absolute_hours, config.session.absolute_hours)
    }

    /// Writes the given values over a provider; the keys whose values are new.
    fn write_over(&self, provider: &mut Provider) -> Vec<&'static str> {
        let mut keys = Vec::new();
        let mut set = |key: &'static str, changed: bool| {
            if changed {
                keys.push(key);
            }
        };
        let text = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
        let limit = |number: &u32| Some(i64::from(*number)).filter(|n| *n > 0);
        set("name", replace(&mut provider.name, self.name.clone()));
        set("time_zone", replace(&mut provider.time_zone, self.time_zone.clone()));
        set("contact", replace(&mut provider.contact, self.contact.as_ref().map(text)));
        set("idle_minutes", replace(&mut provider.idle_minutes, self.idle_minutes.as_ref().map(limit)));
        set("absolute_hours", replace(&mut provider.absolute_hours, self.absolute_hours.as_ref().map(limit)));
        set("reset_by_mail", replace(&mut provider.reset_by_mail, self.reset_by_mail));
        keys
    }
}

/// Puts a value in place of another, if one is given; whether it is new.
pub(super) fn replace<T: PartialEq>(place: &mut T, value: Option<T>) -> bool {
    match value {
        Some(value) if value != *place => {
            *place = value;
            true
        }
        _ => false,
    }
}

/// The result of a creation.
#[derive(Clone, Debug)]
pub enum Created {
    /// The provider, as it stands now.
    Yes(Box<Provider>),
    /// A provider has the code already, in this or another case.
    CodeTaken,
}

/// A provider that is not stored yet. The draft was checked, and has a name.
#[must_use]
pub fn build(
    act: &AdminContext,
    code: &ProviderCode,
    draft: &Draft,
    active: bool,
    unified_login: UnifiedLogin,
) -> Provider {
    let mut provider = Provider {
        id: act.app.random.id(act.now),
        kind: ProviderKind::Agency,
        code: code.as_str().to_owned(),
        name: code.as_str().to_owned(),
        active,
        unified_login,
        time_zone: "America/New_York".into(),
        contact: None,
        idle_minutes: None,
        absolute_hours: None,
        reset_by_mail: true,
        epoch: 1,
        revision: 1,
    };
    draft.write_over(&mut provider);
    provider
}

/// Makes an agency.
pub async fn create(act: &AdminContext, code: &ProviderCode, draft: &Draft) -> Result<Created, Error> {
    let provider = build(act, code, draft, true, UnifiedLogin::Off);
    in_act!(act, [provider], |tx| {
        let added = add(tx, &act, &provider).await?;
        Ok(if added { Created::Yes(Box::new(provider)) } else { Created::CodeTaken })
    })
}

/// Adds an agency; `false` when its code is taken.
pub async fn add(tx: &mut Tx, act: &AdminContext, provider: &Provider) -> Result<bool, Error> {
    if !providers::insert(tx, provider, &provider.code.to_ascii_lowercase(), act.now).await? {
        return Ok(false);
    }
    let mut note = provider.name.clone();
    if provider.unified_login != UnifiedLogin::Off {
        note = format!("{note}; Unified Login {}", provider.unified_login);
    }
    if !provider.active {
        note.push_str("; inactive");
    }
    activity::record(tx, &act.event_of(Kind::ProviderCreated, provider).noting(note)).await?;
    Ok(true)
}

/// Changes a provider's data.
pub async fn set(act: &AdminContext, provider_id: &str, draft: &Draft) -> Result<Changed, Error> {
    let provider_id = provider_id.to_owned();
    in_act!(act, holding providers(provider_id), [provider_id, draft], |tx| {
        match providers::lock_for_update(tx, &provider_id).await? {
            Some(provider) => change(tx, &act, provider, &draft).await,
            None => Ok(Changed::NotFound),
        }
    })
}

/// Changes the data of a provider whose row is held.
pub async fn change(tx: &mut Tx, act: &AdminContext, mut provider: Provider, draft: &Draft) -> Result<Changed, Error> {
    let keys = draft.write_over(&mut provider);
    if provider.kind == ProviderKind::Operator && keys.contains(&"name") {
        return Ok(Changed::OperatorRealm);
    }
    if !keys.is_empty() {
        providers::update(tx, &provider).await?;
        activity::record(tx, &act.event_of(Kind::ProviderChanged, &provider).noting(keys.join(", "))).await?;
    }
    Ok(Changed::Keys(keys))
}

/// Activates or deactivates a provider. Deactivating ends every session of it.
pub async fn set_active(act: &AdminContext, provider_id: &str, active: bool) -> Result<Switched, Error> {
    let provider_id = provider_id.to_owned();
    in_act!(act, holding providers(provider_id), [provider_id], |tx| {
        match providers::lock_for_update(tx, &provider_id).await? {
            Some(provider) if act.is_stale(provider.version()) => Ok(Switched::Stale),
            Some(provider) => switch_active(tx, &act, &provider, active).await,
            None => Ok(Switched::NotFound),
        }
    })
}

/// Activates or deactivates a provider whose row is held.
pub async fn switch_active(
    tx: &mut Tx,
    act: &AdminContext,
    provider: &Provider,
    active: bool,
) -> Result<Switched, Error> {
    if provider.kind == ProviderKind::Operator && !active {
        return Ok(Switched::OperatorRealm);
    }
    if !providers::set_active(tx, &provider.id, active).await? {
        return Ok(Switched::Already);
    }
    let kind = if active { Kind::ProviderReactivated } else { Kind::ProviderDeactivated };
    activity::record(tx, &act.event_of(kind, provider)).await?;
    Ok(Switched::Done)
}

/// Switches a provider's Unified Login (U1).
pub async fn set_unified_login(act: &AdminContext, provider_id: &str, state: UnifiedLogin) -> Result<Switched, Error> {
    let provider_id = provider_id.to_owned();
    in_act!(act, holding providers(provider_id), [provider_id], |tx| {
        match providers::lock_for_update(tx, &provider_id).await? {
            Some(provider) => switch_unified_login(tx, &act, &provider, state).await,
            None => Ok(Switched::NotFound),
        }
    })
}

/// Switches the Unified Login of a provider whose row is held.
pub async fn switch_unified_login(
    tx: &mut Tx,
    act: &AdminContext,
    provider: &Provider,
    state: UnifiedLogin,
) -> Result<Switched, Error> {
    if provider.kind == ProviderKind::Operator && state != UnifiedLogin::Off {
        return Ok(Switched::OperatorRealm);
    }
    if provider.unified_login == state {
        return Ok(Switched::Already);
    }
    let step = Step::between(provider.unified_login, state);
    Ok(if take_step(tx, act, provider, step, None).await? { Switched::Done } else { Switched::Already })
}

/// Takes a step on the way of the Unified Login of a provider whose row is held: the state, the note of the step and
/// the record; `false` when it stood so already.
pub(super) async fn take_step(
    tx: &mut Tx,
    act: &AdminContext,
    provider: &Provider,
    step: Step,
    words: Option<&str>,
) -> Result<bool, Error> {
    let state = step.leads_to();
    if !providers::set_unified_login(tx, &provider.id, state).await? {
        return Ok(false);
    }
    let id = act.app.random.id(act.now);
    unified_login::insert(tx, &id, &provider.id, act.now, step, &act.actor.name, words).await?;
    let mut note = format!("from {} to {state}", provider.unified_login);
    if matches!(step, Step::Withdrawn | Step::Declined) {
        note = format!("{note}; {step}");
    }
    if let Some(words) = words {
        note = format!("{note}; {words}");
    }
    activity::record(tx, &act.event_of(Kind::UnifiedLoginChanged, provider).noting(note)).await?;
    Ok(true)
}

/// Writes an admin's form over a provider's data, unless somebody else wrote since it was read.
pub async fn edit(
    act: &AdminContext,
    provider_id: &str,
    revision: i64,
    draft: &Draft,
) -> Result<Edited<Changed>, Error> {
    let provider_id = provider_id.to_owned();
    in_act!(act, holding providers(provider_id), [provider_id, draft], |tx| {
        match providers::lock_for_update(tx, &provider_id).await? {
            Some(provider) if provider.revision != revision => Ok(Edited::Stale),
            Some(provider) => change(tx, &act, provider, &draft).await.map(Edited::Changed),
            None => Ok(Edited::Changed(Changed::NotFound)),
        }
    })
}

/// Ends every session of a provider at once, whatever their number; half-done sign-ins and pending handoffs with them.
pub async fn end_sessions(act: &AdminContext, provider_id: &str) -> Result<Switched, Error> {
    let provider_id = provider_id.to_owned();
    in_act!(act, holding providers(provider_id), [provider_id], |tx| {
        let Some(provider) = providers::lock_for_update(tx, &provider_id).await? else {
            return Ok(Switched::NotFound);
        };
        if act.is_stale(provider.version()) {
            return Ok(Switched::Stale);
        }
        end_sessions_of(tx, &act, &provider).await?;
        Ok(Switched::Done)
    })
}

/// Ends every session of a provider whose row is held, with all that came of them.
pub async fn end_sessions_of(tx: &mut Tx, act: &AdminContext, provider: &Provider) -> Result<(), Error> {
    providers::bump_epoch(tx, &provider.id).await?;
    let event = act.event_of(Kind::SessionEnded, provider).noting("every session of the provider");
    activity::record(tx, &event).await
}

/// Takes the password lock off every user of a provider, as after somebody's attack on it; how many had one. An admin's
/// locks stay. `None` when there is no such provider.
pub async fn unlock_all(act: &AdminContext, provider_id: &str) -> Result<Option<u64>, Error> {
    let provider_id = provider_id.to_owned();
    in_act!(act, holding providers(provider_id), [provider_id], |tx| {
        let Some(provider) = providers::lock_for_update(tx, &provider_id).await? else {
            return Ok(None);
        };
        let count = strikes::clear_locks(tx, &provider.id).await?;
        if count > 0 {
            let note = format!("every password lock of the provider: {count}");
            activity::record(tx, &act.event_of(Kind::AccountUnlocked, &provider).noting(note)).await?;
        }
        Ok(Some(count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(draft: &Draft) -> Result<(), ValidationError> {
        draft.check(&Config::default())
    }

    #[test]
    fn each_value_has_its_bounds() {
        assert!(check(&Draft { idle_minutes: Some(30), absolute_hours: Some(0), ..Draft::default() }).is_ok());
        assert_eq!(check(&Draft { idle_minutes: Some(31), ..Draft::default() }).unwrap_err().key, "idle_minutes");
        assert_eq!(check(&Draft { absolute_hours: Some(13), ..Draft::default() }).unwrap_err().key, "absolute_hours");
        assert_eq!(check(&Draft { name: Some(String::new()), ..Draft::default() }).unwrap_err().key, "name");
        assert_eq!(check(&Draft { time_zone: Some("Mars".into()), ..Draft::default() }).unwrap_err().key, "time_zone");
        assert!(check(&Draft { contact: Some(String::new()), ..Draft::default() }).is_ok());
    }
}
