//! Whom a handoff means, with all that it is checked by, read at once: the issuer, the account, and how the two are tied.

use super::Handoff;
use crate::model::login_name::LoginName;
use crate::model::provider::ProviderCode;
use crate::model::user::Account;
use crate::store::issuers::Tied;
use crate::store::users::account_columns;
use crate::store::{Conn, Error, FromRow, Row, Tx, locking, parsed, query};

/// The ties of an issuer `i` to the user `u` of the provider `p`, and to a `sub`.
macro_rules! ties {
    ($sub:literal) => {
        concat!(
            "LEFT JOIN handoff_ties ts ON ts.issuer_id = i.id AND ts.provider_id = p.id AND ts.sub = ",
            $sub,
            " \
         LEFT JOIN handoff_ties tu ON tu.issuer_id = i.id AND tu.provider_id = p.id AND tu.user_id = u.id "
        )
    };
}

/// What an assertion names.
#[derive(Clone, Debug)]
pub struct Meant {
    /// The issuer's id.
    pub issuer_id: String,
    /// Its revision.
    pub issuer_revision: i64,
    /// Its epoch.
    pub issuer_epoch: i64,
    /// What its `jwks_uri` last gave.
    pub last_good_jwks: Option<String>,
    /// The user, if there is one.
    pub account: Option<Account>,
    of_sub: Option<String>,
    of_user: Option<String>,
}

impl FromRow for Meant {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let user: Option<String> = row.get("id")?;
        Ok(Self {
            issuer_id: row.get("issuer_id")?,
            issuer_revision: row.get("issuer_revision")?,
            issuer_epoch: row.get("issuer_epoch")?,
            last_good_jwks: row.get("last_good_jwks")?,
            account: user.map(|_| Account::from_row(row)).transpose()?,
            of_sub: row.get("of_sub")?,
            of_user: row.get("of_user")?,
        })
    }
}

impl Meant {
    /// What the ties say.
    #[must_use]
    pub fn tied(&self, sub: &str) -> Tied {
        let user = self.account.as_ref().map_or("", |account| account.id.as_str());
        Tied::of((sub, self.of_sub.as_deref()), (user, self.of_user.as_deref()))
    }
}

/// Whom an assertion means; `None` when there is no such issuer.
///
/// # Errors
/// When the database cannot be asked.
pub async fn named(
    conn: &mut Conn,
    issuer: &str,
    sub: &str,
    code: Option<&ProviderCode>,
    name: Option<&LoginName>,
) -> Result<Option<Meant>, Error> {
    const SQL: &str = concat!(
        "SELECT i.id AS issuer_id, i.revision AS issuer_revision, i.epoch AS issuer_epoch, i.last_good_jwks, \
         ts.user_id AS of_sub, tu.sub AS of_user, ",
        account_columns!(),
        " FROM issuers i LEFT JOIN providers p ON p.code = $3 \
         LEFT JOIN users u ON u.provider_id = p.id AND u.login_name_key = $4 \
         LEFT JOIN strikes s ON s.user_id = u.id ",
        ties!("$1"),
        "WHERE i.issuer = $2"
    );
    let (code, name) = (code.map(ProviderCode::as_str), name.map(LoginName::key));
    query(SQL).bind(sub).bind(issuer).bind(code).bind(name).fetch_optional(conn).await
}

/// A handoff, and what it rests on by now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The handoff.
    pub handoff: Handoff,
    /// The user.
    pub account: Account,
    /// Whether the issuer is switched on, and its sessions were not ended since.
    pub issuer_stands: bool,
    /// What the ties say.
    pub tied: Tied,
}

impl FromRow for Standing {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let account = Account::from_row(row)?;
        let (sub, of_sub, of_user): (String, Option<String>, Option<String>) =
            (row.get("sub")?, row.get("of_sub")?, row.get("of_user")?);
        let tied = Tied::of((&sub, of_sub.as_deref()), (&account.id, of_user.as_deref()));
        let handoff = Handoff {
            id: row.get("handoff_id")?,
            handle_hash: row.get("handle_hash")?,
            state: parsed(&row.get::<String>("state")?)?,
            issuer_id: row.get("issuer_id")?,
            jti_hash: row.get("jti_hash")?,
            provider_id: account.provider_id.clone(),
            user_id: account.id.clone(),
            user_epoch: row.get("user_epoch")?,
            provider_epoch: row.get("born_provider_epoch")?,
            issuer_epoch: row.get("issuer_epoch")?,
            sub,
            deadline: row.get("deadline")?,
            auth_time: row.get("auth_time")?,
            acr: row.get("acr")?,
            amr: row.get("amr")?,
            target: row.get("target")?,
            address: row.get("address")?,
            browser: row.get("browser")?,
            reference: row.get("reference")?,
        };
        Ok(Self { handoff, account, issuer_stands: row.get("issuer_stands")?, tied })
    }
}

/// The handoff of this id and handle, with what it rests on. Its row, the provider, the user, the strikes and the issuer are held until
/// the transaction ends: whoever takes any of it away waits for the session that is being born, or comes before it (G9).
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, id: &str, handle_hash: &str) -> Result<Option<Standing>, Error> {
    query(locking!(
        (concat!(
            "SELECT h.id AS handoff_id, h.handle_hash, h.state, h.issuer_id, h.jti_hash, h.user_epoch, \
             h.provider_epoch AS born_provider_epoch, h.issuer_epoch, h.sub, h.deadline, h.auth_time, h.acr, h.amr, h.target, \
             h.address, h.browser, h.reference, i.epoch = h.issuer_epoch AND i.enabled AS issuer_stands, \
             ts.user_id AS of_sub, tu.sub AS of_user, ",
            account_columns!(),
            " FROM handoffs h JOIN users u ON u.id = h.user_id JOIN providers p ON p.id = u.provider_id \
             JOIN strikes s ON s.user_id = u.id JOIN issuers i ON i.id = h.issuer_id ",
            ties!("h.sub"),
            "WHERE h.id = $1 AND h.handle_hash = $2"
        )),
        "FOR NO KEY UPDATE OF h FOR SHARE OF p, u, s, i"
    ))
    .bind(id)
    .bind(handle_hash)
    .fetch_optional(tx)
    .await
}
