//! `/api/v1/providers/{provider_code}/users`: the users of a provider.

pub(in crate::api) mod actions;
pub(in crate::api) mod import;

use axum::Json;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

use super::caller::{InProvider, ReadUsers, WriteUsers};
use super::etag::{FIRST_REVISION, IfMatch, WithEtag, stale};
use super::extract::{Body, Change, FieldErrors, Page, Paging, Query, UserId, bad_cursor, one_more, storable};
use super::idempotency::{IdempotencyKey, New, external_id_taken};
use super::providers::AtProvider;
use crate::api::problem::{Details, Kind, Problem};
use crate::app::App;
use crate::model::claims::Claims;
use crate::model::email;
use crate::model::email_state::{EmailState, UserEmail};
use crate::model::tenant::ProviderScope;
use crate::model::user::UserType;
use crate::model::validation_error::ValidationError;
use crate::operations::admin_context::Edited;
use crate::operations::idempotent_create::Creation;
use crate::operations::users::{self, Changed, Draft, invitation};
use crate::store;
use crate::store::users::NewUser;
use crate::store::users::directory::{self, Listed, Sort, State};
use crate::store::users::external_ids;
use crate::time::Timestamp;

/// A person's account in a provider.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct View {
    /// Never changes, never used again.
    #[schema(format = "uuid")]
    id: String,
    /// Login Name.
    login_name: String,
    /// What other systems, such as the agency's HR system, call the user.
    external_id: Option<String>,
    /// The person's name.
    name: String,
    /// User Type.
    user_type: UserType,
    /// Not deactivated.
    active: bool,
    /// Locked by three wrong passwords in a row.
    password_locked: bool,
    /// Locked by an administrator.
    admin_locked: bool,
    /// Until when the temporary password works; `null` for the user's own.
    #[schema(format = DateTime)]
    temporary_password_until: Option<String>,
    /// When the account came to be.
    #[schema(format = DateTime)]
    created_at: String,
    /// The last sign-in that the record knows of.
    #[schema(format = DateTime)]
    last_sign_in_at: Option<String>,
    /// What is known of the e-mail address. `checked` is by an administrator of the agency: e-mails about the account go
    /// there, and apps are not told that it is verified.
    email_state: EmailState,
    /// Since when that is so, where it is known.
    #[schema(format = DateTime)]
    email_state_since: Option<String>,
    /// Standard claims (OpenID Connect Core §5.1), such as `email`.
    #[schema(value_type = Object)]
    claims: Value,
}

impl View {
    fn of(user: Listed) -> Self {
        let time = |at: i64| Timestamp(at).rfc3339();
        let claims = Claims::from_json(&user.claims).unwrap_or_default();
        let email = UserEmail::of(&claims, user.email_checked.as_deref(), user.email_at);
        Self {
            email_state: email.state,
            email_state_since: email.since.map(time),
            password_locked: user.password_locked(),
            id: user.id,
            login_name: user.login_name,
            external_id: user.external_id,
            name: user.name,
            user_type: user.user_type,
            active: user.active,
            admin_locked: user.admin_locked,
            temporary_password_until: user.temporary_until.map(time),
            created_at: time(user.created_at),
            last_sign_in_at: user.last_sign_in.map(time),
            claims: serde_json::from_str(&user.claims).unwrap_or_else(|_| json!({})),
        }
    }
}

/// A user as it stands.
pub(super) async fn read(app: &App, scope: &ProviderScope, id: &str) -> Result<WithEtag<View>, Problem> {
    let mut conn = app.db.read_much().await?;
    let user = directory::one(&mut conn, scope, id).await?.ok_or_else(Problem::not_found)?;
    Ok(WithEtag::ok(user.revision, View::of(user)))
}

/// Which users.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// A part of the name or the Login Name, in any case.
    q: Option<String>,
    /// Exactly this Login Name, in any case.
    login_name: Option<String>,
    /// Exactly this external id.
    external_id: Option<String>,
    /// In this state.
    #[param(inline)]
    state: Option<State>,
    /// Of this User Type.
    #[param(inline)]
    user_type: Option<UserType>,
    /// In this order.
    #[param(inline)]
    sort: Option<Sort>,
    /// At most this number of rows.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// List the users of a provider
///
/// Whoever never signed in is asked for user by user: such a page may hold fewer rows than asked for, or none, and
/// still have a `next`.
#[utoipa::path(get, operation_id = "listUsers", path = "/api/v1/providers/{provider_code}/users", tag = "Users", params(AtProvider, Search),
    security(("oauth2" = ["users.read"])), responses((status = 200, description = "A page of them", body = Page<View>)))]
pub async fn list(
    app: App,
    program: InProvider<ReadUsers>,
    Query(asked): Query<Search>,
) -> Result<Json<Page<View>>, Problem> {
    let rows = Paging::rows(asked.limit)?;
    let mut conn = app.db.read_much().await?;
    if asked.login_name.is_some() || asked.external_id.is_some() {
        let provider_id = &program.provider.id;
        let mut ids = Vec::new();
        if let Some(name) = asked.login_name {
            ids.push(match users::parse_login_name(&name) {
                Ok(name) => store::users::id_of_name(&mut conn, provider_id, &name).await?,
                Err(_) => None,
            });
        }
        if let Some(external_id) = asked.external_id {
            ids.push(match users::check_external_id(&external_id) {
                Ok(()) => external_ids::user_of(&mut conn, provider_id, &external_id).await?,
                Err(_) => None,
            });
        }
        // By both: whom both name.
        let is_one = ids.iter().all(|id| *id == ids[0]);
        let found = match ids.swap_remove(0).filter(|_| is_one) {
            Some(id) => directory::one(&mut conn, &program.scope, &id).await?,
            None => None,
        };
        return Ok(Json(Page { items: found.into_iter().map(View::of).collect(), next: None }));
    }
    let search = directory::Search {
        text: storable(asked.q),
        state: asked.state.unwrap_or_default(),
        user_type: asked.user_type,
        away_since: None,
        sort: asked.sort.unwrap_or_default(),
    }
    .settled();
    let place = match asked.cursor {
        Some(text) => directory::cursor(&mut conn, &program.scope, search.sort, &text).await?.ok_or_else(bad_cursor)?,
        None => directory::Cursor::default(),
    };
    let mut found = directory::page(&mut conn, &program.scope, &search, &place, one_more(rows)).await?;
    let next = found.cut(rows).map(|place| place.written(search.sort));
    Ok(Json(Page { items: found.users.into_iter().map(View::of).collect(), next }))
}

/// A user to be.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
pub struct ToCreate {
    /// Login Name.
    #[schema(min_length = 1, max_length = 255)]
    login_name: String,
    /// What other systems, such as the agency's HR system, call the user; nobody else of the provider has it.
    external_id: Option<String>,
    /// The person's name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// User Type: `Regular User` (the default) or `Provider Admin`.
    user_type: Option<UserType>,
    /// A temporary password; one is made where none is given.
    #[schema(format = Password)]
    temporary_password: Option<String>,
    /// Mail a link to the `email` of the claims, by which the user sets a password, instead of a temporary password.
    #[serde(default)]
    #[schema(default = false)]
    invite: bool,
    /// Standard claims (OpenID Connect Core §5.1), such as `email`.
    #[schema(value_type = Option<Object>)]
    claims: Option<Map<String, Value>>,
}

/// A user that was just created, and its temporary password, this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedUser {
    /// The user.
    #[serde(flatten)]
    user: View,
    /// Hand it to the person; it is replaced at the first sign-in. `null` for a user who was invited.
    temporary_password: Option<String>,
}

/// The temporary password that is given, or one that is made.
pub(super) fn temporary_password(app: &App, given: Option<&str>) -> Result<Zeroizing<String>, ValidationError> {
    users::temporary_password(given, &app.random)
        .map_err(|invalid| ValidationError::new("temporary_password", invalid.why))
}

/// A user's claims with a merge patch over them (RFC 7396). What is new is not verified unless the patch says so, and
/// an agency's own program cannot say so: apps know people by what is verified.
fn patched(
    before: &Map<String, Value>,
    patch: &Map<String, Value>,
    of_provider: bool,
) -> Result<Claims, ValidationError> {
    let mut after = Value::Object(before.clone());
    merge(&mut after, Value::Object(patch.clone()));
    let mut after = after.as_object().cloned().unwrap_or_default();
    for (name, flag) in [("email", "email_verified"), ("phone_number", "phone_number_verified")] {
        let text =
            |claims: &Map<String, Value>| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_new = !email::is_same(&text(&after), &text(before));
        if is_new && !patch.contains_key(flag) {
            after.remove(flag);
        }
        // Taken away, it is not what nobody spoke of.
        if patch.get(flag).is_some_and(Value::is_null) && before.contains_key(flag) {
            after.insert(flag.to_owned(), false.into());
        }
        let says_so = after.get(flag).is_some_and(|value| *value == true);
        let stood_so = !is_new && before.get(flag).is_some_and(|value| *value == true);
        if of_provider && says_so && !stood_so {
            return Err(ValidationError::new(
                "claims",
                format!("cannot hold {flag}: only the operator's programs say so"),
            ));
        }
    }
    let claims = Claims::parse(after).map_err(|why| ValidationError::new("claims", why))?;
    if before.get("email") != claims.members().get("email") {
        users::check_email(claims.email())?;
    }
    Ok(claims)
}

/// Create a user with a temporary password, or with an invitation by e-mail
///
/// Where e-mail is configured, a new address that is not verified is mailed a link to verify it.
#[utoipa::path(post, operation_id = "createUser", path = "/api/v1/providers/{provider_code}/users", tag = "Users", request_body = ToCreate,
    params(AtProvider, ("Idempotency-Key" = String, Header, description = "A repeat under the same key gets the same answer, for 24 hours")),
    security(("oauth2" = ["users.write"])),
    responses((status = 201, description = "The user and the temporary password", body = CreatedUser,
        headers(("Location", description = "Where the user is"), ("ETag", description = "The user's revision"))),
        (status = 409, description = "The provider has this Login Name or external id already", body = Details, content_type = "application/problem+json")))]
pub async fn create(
    app: App,
    program: InProvider<WriteUsers>,
    key: IdempotencyKey,
    body: Body<ToCreate>,
) -> Result<Response, Problem> {
    let new = body.read;
    let mut faults = FieldErrors::default();
    let login_name = faults.check(users::parse_login_name(&new.login_name));
    if let Some(external_id) = &new.external_id {
        faults.check(users::check_external_id(external_id));
    }
    faults.check(users::check_name(&new.name));
    let password = faults.check(temporary_password(&app, new.temporary_password.as_deref()));
    let of_provider = program.caller.is_of_provider();
    let claims = faults.check(patched(&Map::new(), &new.claims.unwrap_or_default(), of_provider));
    if new.invite && new.temporary_password.is_some() {
        let why = "cannot stand beside temporary_password: the user sets the password";
        faults.check(Err::<(), _>(ValidationError::new("invite", why)));
    }
    faults.none()?;
    let (Some(login_name), Some(password), Some(claims)) = (login_name, password, claims) else {
        return Err(Problem::unavailable("a value was neither accepted nor refused"));
    };
    let password = if new.invite { invitation::unknown_password(&app.random) } else { password };
    let act = program.caller.act(&app);
    let until = users::temporary_until(&app, act.now);
    let hash = users::hash(&app, &password).await.map_err(|_| Problem::unavailable("no room to hash"))?;
    let user_type = new.user_type.unwrap_or(UserType::Regular);
    let user = users::with_temporary_password(&act, login_name, new.name, user_type, &claims, hash);
    let user = NewUser { external_id: new.external_id, ..user };
    let email = UserEmail::of(&claims, None, Some(act.now.0));
    let invite = new.invite;
    let view = View {
        id: user.id.clone(),
        login_name: user.login_name.shown().to_owned(),
        external_id: user.external_id.clone(),
        name: user.name.clone(),
        user_type: user.user_type,
        active: true,
        password_locked: false,
        admin_locked: false,
        temporary_password_until: Some(until.rfc3339()),
        created_at: act.now.rfc3339(),
        last_sign_in_at: None,
        email_state: email.state,
        email_state_since: email.since.map(|at| Timestamp(at).rfc3339()),
        claims: Value::Object(claims.members().clone()),
    };
    let new = New {
        location: format!("/api/v1/providers/{}/users/{}", program.provider.code, user.id),
        body: json!(CreatedUser { user: view, temporary_password: (!invite).then(|| password.to_string()) }),
        revision: FIRST_REVISION,
        creation: if invite {
            Creation::InvitedUser(Box::new(program.provider), Box::new(user))
        } else {
            Creation::User(Box::new(program.provider), Box::new(user))
        },
        name: "login_name",
    };
    key.create(&app, &program.caller, &body.bytes, new).await
}

/// The user in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `InProvider` and `Id` read")]
pub struct AtUser {
    /// Provider Code; capital and small letters matter.
    provider_code: String,
    /// The user's `id`.
    #[param(format = "uuid")]
    user_id: String,
}

/// Show a user
#[utoipa::path(get, operation_id = "getUser", path = "/api/v1/providers/{provider_code}/users/{user_id}", tag = "Users", params(AtUser),
    security(("oauth2" = ["users.read"])),
    responses((status = 200, description = "The user", body = View, headers(("ETag", description = "The user's revision")))))]
pub async fn show(app: App, program: InProvider<ReadUsers>, UserId(id): UserId) -> Result<WithEtag<View>, Problem> {
    read(&app, &program.scope, &id).await
}

/// What is to be different: what is absent stays as it is; a claim that is `null` is taken away (RFC 7396).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = UserChange)]
#[serde(deny_unknown_fields)]
pub struct ToChange {
    /// Another Login Name: the user signs in by it from now on, and the old one is free. The `id` stays, and with it
    /// sessions, locks, the password and links to Therap Services; there the user must get the new name, too.
    login_name: Option<String>,
    /// What other systems, such as the agency's HR system, call the user; nobody else of the provider has it. `null` takes
    /// it away.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    external_id: Change<String>,
    /// The person's name.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// User Type: `Regular User` or `Provider Admin`.
    user_type: Option<UserType>,
    /// Standard claims (OpenID Connect Core §5.1), such as `email`.
    #[schema(value_type = Option<Object>)]
    claims: Option<Map<String, Value>>,
}

/// Change a user
#[utoipa::path(patch, operation_id = "updateUser", path = "/api/v1/providers/{provider_code}/users/{user_id}", tag = "Users", request_body = ToChange,
    params(AtUser, ("If-Match" = String, Header, description = "The ETag that was read, or `*`")),
    security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "The user as it is now", body = View, headers(("ETag", description = "The user's revision"))),
        (status = 409, description = "Another user has this Login Name or external id", body = Details, content_type = "application/problem+json")))]
pub async fn edit(
    app: App,
    program: InProvider<WriteUsers>,
    UserId(id): UserId,
    if_match: IfMatch,
    body: Body<ToChange>,
) -> Result<WithEtag<View>, Problem> {
    let now = read(&app, &program.scope, &id).await?;
    let revision = if_match.allows(now.revision)?;
    let change = body.read;
    let mut faults = FieldErrors::default();
    let login_name = change.login_name.and_then(|name| faults.check(users::parse_login_name(&name)));
    if let Change::Set(external_id) = &change.external_id {
        faults.check(users::check_external_id(external_id));
    }
    if let Some(name) = &change.name {
        faults.check(users::check_name(name));
    }
    let before = now.body.claims.as_object().cloned().unwrap_or_default();
    let of_provider = program.caller.is_of_provider();
    let claims = change.claims.map(|patch| patched(&before, &patch, of_provider));
    let claims = claims.and_then(|checked| faults.check(checked));
    faults.none()?;
    let draft = Draft {
        login_name,
        external_id: change.external_id.for_draft(),
        name: change.name,
        user_type: change.user_type,
        claims,
    };
    match users::edit(&program.caller.act(&app), &program.provider.id, &id, revision, &draft).await? {
        Edited::Changed(Changed::Keys(_)) => read(&app, &program.scope, &id).await,
        Edited::Changed(Changed::NotFound) => Err(Problem::not_found()),
        Edited::Changed(Changed::NameTaken) => Err(name_taken()),
        Edited::Changed(Changed::ExternalIdTaken) => Err(external_id_taken()),
        Edited::Changed(Changed::WrongType | Changed::Own) => {
            Err(ValidationError::new("user_type", "cannot be had here").into())
        }
        Edited::Stale => Err(stale()),
    }
}

fn name_taken() -> Problem {
    Problem::new(Kind::Conflict, "Another user of this provider has this login_name. Nothing was done.")
}

/// A JSON merge patch (RFC 7396 §2).
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(members) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_not_verified() {
        let before = json!({"email": "a@example.org", "email_verified": true});
        let before = before.as_object().unwrap();
        let after = |patch: Value, of_provider| {
            patched(before, patch.as_object().unwrap(), of_provider)
                .map(|claims| Value::Object(claims.members().clone()))
        };
        assert_eq!(after(json!({"email": "b@example.org"}), true).unwrap(), json!({"email": "b@example.org"}));
        assert_eq!(after(json!({"locale": "fr"}), true).unwrap()["email_verified"], true);
        let verified = json!({"email": "b@example.org", "email_verified": true});
        assert_eq!(after(verified.clone(), true).unwrap_err().key, "claims");
        assert_eq!(after(verified.clone(), false).unwrap(), verified);
        assert_eq!(after(json!({"email": "b@example.org\r\nBcc: c@example.org"}), false).unwrap_err().key, "email");
        let nobody = patched(&Map::new(), verified.as_object().unwrap(), true);
        assert_eq!(nobody.unwrap_err().key, "claims");
    }

    /// RFC 7396 Appendix A.
    #[test]
    fn a_patch_is_merged_as_the_standard_shows() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, patch.clone());
            assert_eq!(merged, result, "{target} + {patch}");
        }
    }
}
