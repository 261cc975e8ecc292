//! Many users out of one CSV file. What is done with each row is known before anything is written; each is made whole
//! or not at all.

use std::collections::HashMap;

use zeroize::Zeroizing;

use crate::app::App;
use crate::model::claims::Claims;
use crate::model::issuer::TrustedIssuer;
use crate::model::login_name::LoginName;
use crate::model::provider::Provider;
use crate::model::user::UserType;
use crate::operations::admin_context::{AdminContext, ValidationError, in_act};
use crate::operations::csv::file;
use crate::operations::csv::table::{self, Columns};
use crate::operations::csv::text::Encoding;
use crate::operations::issuers;
use crate::operations::users::with_temporary_password;
use crate::operations::users::{self, Created, invitation};
use crate::store::issuers::Tied;
use crate::store::users::{NewUser, external_ids};
use crate::store::{self, Conn, Error, Tx, providers};

/// The columns that a file may have, in any order; the first two it must have.
pub const COLUMNS: Columns = Columns {
    names: &["login_name", "name", "user_type", "email", "password", "handoff_sub", "handoff_issuer", "external_id"],
    required: 2,
};

/// A file to begin with: the names of the columns, and nothing that could be imported by mistake.
#[must_use]
pub fn template() -> Vec<u8> {
    file::Head::of(COLUMNS.names.iter().copied()).into_bytes()
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct People {
    /// Its rows, in order.
    pub rows: Vec<Row>,
    /// What was passed over in it, each a sentence.
    pub notes: Vec<String>,
}

/// One row of the file.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its line in the file.
    pub line: u64,
    /// The Login Name as it stands there.
    pub login_name: String,
    /// The name as it stands there.
    pub name: String,
    /// What is done with it.
    pub plan: RowPlan,
    /// Whom it means, as far as that can be read: also a row with faults is held against those who are there.
    means: Means,
}

#[derive(Clone, Debug, Default)]
struct Means {
    login_name: Option<LoginName>,
    sub: Option<Sub>,
}

/// What is done with a row.
#[derive(Clone, Debug)]
pub enum RowPlan {
    /// A user is made of it.
    Create(Box<Person>),
    /// There is such a user already: nothing is done.
    Exists,
    /// It cannot be: everything that is wrong with it, each beginning with its column.
    Refused(Vec<String>),
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct Person {
    /// Login Name.
    pub login_name: LoginName,
    /// The person's name.
    pub name: String,
    /// User Type.
    pub user_type: UserType,
    claims: Claims,
    /// The temporary password that the file gives, prepared; one is made where it gives none.
    password: Option<Prepared>,
    sub: Option<Sub>,
    external_id: Option<String>,
}

#[derive(Clone)]
struct Prepared(Zeroizing<String>);

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prepared(…)")
    }
}

#[derive(Clone, Debug)]
struct Sub {
    sub: String,
    issuer: TrustedIssuer,
}

impl Person {
    /// The password to hash and to hand out: the given one, or a new one.
    #[must_use]
    pub fn password(&self, app: &App) -> Zeroizing<String> {
        self.password.as_ref().map_or_else(|| users::generate_password(&app.random), |given| given.0.clone())
    }

    /// Whether an invitation by e-mail may take the place of a temporary password: the file gives an address, and no
    /// password.
    #[must_use]
    pub fn may_be_invited(&self) -> bool {
        self.password.is_none() && !self.claims.email().is_empty()
    }
}

/// The rows of a file with what would be done with each as things stand; or, as a sentence, why it is no such file.
pub async fn plan(
    conn: &mut Conn,
    provider: &Provider,
    text: &str,
    encoding: Encoding,
    most: usize,
) -> Result<Result<People, String>, Error> {
    let trusted = store::issuers::list(conn).await?;
    let mut people = match read(text, provider, &trusted, most) {
        Ok(people) => people,
        Err(why) => return Ok(Err(why)),
    };
    people.notes.splice(0..0, encoding.note());
    compare(conn, provider, &mut people.rows).await?;
    Ok(Ok(people))
}

/// Reads the text of a file and checks each row alone and beside the others.
fn read(text: &str, provider: &Provider, trusted: &[TrustedIssuer], most: usize) -> Result<People, String> {
    let table = table::read(text, COLUMNS, most)?;
    let mut seen = Seen::default();
    let rows = table.rows.iter().map(|row| {
        let cells = Given {
            login_name: table.text(row, "login_name"),
            name: table.text(row, "name"),
            user_type: table.text(row, "user_type"),
            email: table.text(row, "email"),
            // As it is handed out: no export has any.
            password: Zeroizing::new(table.cell(row, "password").to_owned()),
            sub: table.text(row, "handoff_sub"),
            issuer: table.text(row, "handoff_issuer"),
            external_id: table.text(row, "external_id"),
        };
        let (plan, means) = if row.too_many {
            (RowPlan::Refused(vec![MORE_CELLS.into()]), Means::default())
        } else {
            check(&cells, row.line, provider, trusted, &mut seen)
        };
        Row { line: row.line, login_name: cells.login_name, name: cells.name, plan, means }
    });
    let rows = rows.collect();
    Ok(People { rows, notes: table.notes })
}

/// Why a given password is not taken.
const FORMULA: &str = "password: A spreadsheet takes it for a formula. Choose one without =, +, - and @ at its beginning and after separators.";

/// A comma that nobody quoted moves every cell behind it.
const MORE_CELLS: &str =
    "It has more cells than the first line names. Put a cell that holds the separator in quotation marks.";

/// The cells of a row.
struct Given {
    login_name: String,
    name: String,
    user_type: String,
    email: String,
    password: Zeroizing<String>,
    sub: String,
    issuer: String,
    external_id: String,
}

/// What earlier rows took, and on which line.
#[derive(Default)]
struct Seen {
    names: HashMap<String, u64>,
    subs: HashMap<(String, String), u64>,
    external_ids: HashMap<String, u64>,
}

fn check(
    cells: &Given,
    line: u64,
    provider: &Provider,
    trusted: &[TrustedIssuer],
    seen: &mut Seen,
) -> (RowPlan, Means) {
    let mut faults = Vec::new();
    let mut fault = |invalid: ValidationError| faults.push(in_column(invalid.key, &invalid.why));
    let login_name = filled("login_name", &cells.login_name)
        .and_then(|()| users::parse_login_name(&cells.login_name))
        .map_err(&mut fault)
        .ok();
    let _ = filled("name", &cells.name).and_then(|()| users::check_name(&cells.name)).map_err(&mut fault);
    let claims = users::check_email(&cells.email).map_err(&mut fault).ok();
    let external_id = Some(cells.external_id.clone()).filter(|id| !id.is_empty());
    if let Some(external_id) = &external_id {
        let _ = users::check_external_id(external_id).map_err(&mut fault);
    }
    let password = match cells.password.as_str() {
        "" => None,
        // The report that it is handed out from is a spreadsheet, which would show another one.
        text if !file::is_plain(text) => {
            faults.push(FORMULA.into());
            None
        }
        text => users::check_password(text).map_err(&mut fault).ok().map(Prepared),
    };
    let user_type = match table::folded(&cells.user_type) {
        none if none.is_empty() && cells.user_type.is_empty() => Some(UserType::Regular),
        word => UserType::ALL.iter().copied().find(|known| table::folded(known.as_str()) == word),
    };
    let user_type = user_type.filter(|user_type: &UserType| user_type.belongs_in(provider.kind));
    if user_type.is_none() {
        faults.push("user_type: Use Regular User or Provider Admin, or leave it empty for a Regular User.".into());
    }
    let sub = match sub(&cells.sub, &cells.issuer, trusted) {
        Ok(sub) => sub,
        Err(why) => {
            faults.push(why);
            None
        }
    };
    if let Some(name) = &login_name
        && let Some(first) = seen.names.insert(name.key().to_owned(), line)
    {
        faults.push(format!("login_name: This one is already on line {first}. Remove one of the two rows."));
    }
    if let Some(sub) = &sub
        && let Some(first) = seen.subs.insert((sub.issuer.id.clone(), sub.sub.clone()), line)
    {
        faults.push(format!("handoff_sub: This one is already on line {first}. Two users cannot share it."));
    }
    let means = Means { login_name: login_name.clone(), sub: sub.clone() };
    if let Some(external_id) = &external_id
        && let Some(first) = seen.external_ids.insert(external_id.clone(), line)
    {
        faults.push(format!("external_id: This one is already on line {first}. Two users cannot share it."));
    }
    let plan = match (login_name, claims, user_type) {
        (Some(login_name), Some(claims), Some(user_type)) if faults.is_empty() => {
            let name = cells.name.clone();
            RowPlan::Create(Box::new(Person { login_name, name, user_type, claims, password, sub, external_id }))
        }
        _ => RowPlan::Refused(faults),
    };
    (plan, means)
}

/// What must not be empty.
fn filled(column: &'static str, cell: &str) -> Result<(), ValidationError> {
    if cell.is_empty() { Err(ValidationError::new(column, "It is empty. Please fill it in.")) } else { Ok(()) }
}

/// What is wrong in a column, as a sentence behind its name.
fn in_column(column: &str, why: &str) -> String {
    let why = why.strip_prefix("must ").map_or_else(|| why.to_owned(), |rest| format!("It must {rest}"));
    let end = if why.ends_with('.') { "" } else { "." };
    format!("{column}: {why}{end}")
}

fn sub(sub: &str, issuer: &str, trusted: &[TrustedIssuer]) -> Result<Option<Sub>, String> {
    if sub.is_empty() {
        return Ok(None);
    }
    issuers::check_sub(sub).map_err(|why| in_column("handoff_sub", &why))?;
    let issuer = match (issuer, trusted) {
        ("", [only]) => only,
        ("", []) => return Err("handoff_sub: It needs a trusted issuer, and there is none. Leave it empty.".into()),
        ("", _) => return Err("handoff_issuer: It is empty, and several issuers are trusted. Name one.".into()),
        (name, all) => all
            .iter()
            .find(|issuer| issuer.issuer == name)
            .ok_or_else(|| "handoff_issuer: It names no trusted issuer.".to_owned())?,
    };
    Ok(Some(Sub { sub: sub.to_owned(), issuer: issuer.clone() }))
}

/// Checks rows by what the provider has already: who is there stays as they are, whatever else the row says.
async fn compare(conn: &mut Conn, provider: &Provider, rows: &mut [Row]) -> Result<(), Error> {
    for row in rows {
        if let Some(name) = &row.means.login_name
            && store::users::id_of_name(conn, &provider.id, name).await?.is_some()
        {
            row.plan = RowPlan::Exists;
        } else if let Some(Sub { sub, issuer }) = &row.means.sub
            && store::issuers::tied(conn, &issuer.id, &provider.id, sub, "").await? != Tied::No
        {
            let mut faults = match std::mem::replace(&mut row.plan, RowPlan::Exists) {
                RowPlan::Refused(faults) => faults,
                RowPlan::Create(_) | RowPlan::Exists => Vec::new(),
            };
            faults.push(SUB_TAKEN.into());
            row.plan = RowPlan::Refused(faults);
        } else if let RowPlan::Create(person) = &row.plan
            && let Some(external_id) = &person.external_id
            && external_ids::user_of(conn, &provider.id, external_id).await?.is_some()
        {
            row.plan = RowPlan::Refused(vec![EXTERNAL_ID_TAKEN.into()]);
        }
    }
    Ok(())
}

/// Why no user is made of a row whose tie somebody else has.
pub const SUB_TAKEN: &str =
    "handoff_sub: This one is linked to another user. Unlink it there first, or leave it empty.";

/// Why no user is made of a row whose external id somebody else has.
const EXTERNAL_ID_TAKEN: &str =
    "external_id: Another user has this one. The person may be here already, under another Login Name.";

/// The user that a row makes, by the hash of the password.
#[must_use]
pub fn new_user(act: &AdminContext, person: &Person, hash: String) -> NewUser {
    let (login_name, name) = (person.login_name.clone(), person.name.clone());
    let user = with_temporary_password(act, login_name, name, person.user_type, &person.claims, hash);
    NewUser { external_id: person.external_id.clone(), ..user }
}

/// Makes the user of one row, with its tie, or nothing at all; the result.
pub async fn create(
    act: &AdminContext,
    provider_id: &str,
    person: &Person,
    hash: String,
) -> Result<Option<RowPlan>, Error> {
    let user = new_user(act, person, hash);
    let (provider_id, person) = (provider_id.to_owned(), person.clone());
    let done = in_act!(act, [provider_id, user, person], |tx| add(tx, &act, &provider_id, &user, &person, false).await);
    match done.map(Added::not) {
        Err(Error::Withdrawn) => Ok(Some(RowPlan::Refused(vec![SUB_TAKEN.into()]))),
        done => done,
    }
}

/// What came of a row.
#[derive(Clone, Debug)]
pub enum Added {
    /// A user, who signs in with the password that was hashed.
    Made,
    /// A user, who was mailed an invitation: the password is nobody's.
    Invited,
    /// None.
    Not(RowPlan),
}

impl Added {
    fn not(self) -> Option<RowPlan> {
        match self {
            Self::Made | Self::Invited => None,
            Self::Not(plan) => Some(plan),
        }
    }
}

/// Adds the user of one row, with its tie; invited, where that is wished and can be mailed.
///
/// # Errors
/// [`Error::Withdrawn`] when somebody else has the tie ([`SUB_TAKEN`]), or of an invitation when the outbox is full: the
/// transaction must be taken back. Otherwise when it cannot be written.
pub async fn add(
    tx: &mut Tx,
    act: &AdminContext,
    provider_id: &str,
    user: &NewUser,
    person: &Person,
    invite: bool,
) -> Result<Added, Error> {
    let refused = |why: &str| Added::Not(RowPlan::Refused(vec![why.to_owned()]));
    let Some(provider) = providers::by_id(tx, provider_id).await? else {
        return Ok(refused("The provider is not there any more."));
    };
    let invited = if invite { invitation::add(tx, act, &provider, user).await?.ok() } else { None };
    // Who is not mailed, as to a mailbox that many share, is handed the password.
    let (created, added) = match invited {
        Some(created) => (created, Added::Invited),
        None => (users::add(tx, act, &provider, user).await?, Added::Made),
    };
    match created {
        Created::Yes(_) => {}
        Created::NameTaken => return Ok(Added::Not(RowPlan::Exists)),
        Created::ExternalIdTaken => return Ok(refused(EXTERNAL_ID_TAKEN)),
        Created::WrongType | Created::NoSuchProvider => return Ok(refused("user_type: This one cannot be had here.")),
    }
    if let Some(Sub { sub, issuer }) = &person.sub {
        let made = store::users::by_id(tx, &user.id).await?.ok_or(Error::Withdrawn)?;
        if issuers::tie(tx, act, issuer, &made, sub).await? != Tied::No {
            return Err(Error::Withdrawn);
        }
    }
    Ok(added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::provider::{ProviderKind, UnifiedLogin};
    use crate::operations::csv::text;

    fn agency() -> Provider {
        Provider {
            id: "1".into(),
            kind: ProviderKind::Agency,
            code: "A".into(),
            name: "A".into(),
            active: true,
            unified_login: UnifiedLogin::Off,
            time_zone: "UTC".into(),
            contact: None,
            idle_minutes: None,
            absolute_hours: None,
            reset_by_mail: true,
            epoch: 1,
            revision: 1,
        }
    }

    fn row_results(text: &str) -> Vec<String> {
        let (text, _) = text::decode(text.as_bytes()).unwrap();
        let people = read(&text, &agency(), &[], 10).unwrap();
        people
            .rows
            .iter()
            .map(|row| match &row.plan {
                RowPlan::Create(person) => format!("{} {}", row.line, person.user_type),
                RowPlan::Exists => "exists".into(),
                RowPlan::Refused(why) => format!("{} {}", row.line, why.join(" ")),
            })
            .collect()
    }

    #[test]
    fn each_row_is_checked() {
        let text = "\u{feff}name,login_name,user_type,email,password\r\n\
                    Amina,amina,,,\r\n\
                    Paul,paul,Provider Admin,p@example.org,Correct-Horse-9\r\n\
                    \"Two,\nlines\",two,,,\r\n\
                    Again,AMINA,,,\r\n\
                    Root,root,Therap Admin,,\r\n\
                    Short,short,,x,weak\r\n\
                    Few,few\r\n\
                    Case,case,REGULAR user\r\n\
                    Comma,Comma, the,,,x\r\n\
                    Formula,formula,,,=Correct-Horse-9\r\n";
        let row_results = row_results(text);
        assert_eq!(row_results[..2], ["2 Regular User", "3 Provider Admin"]);
        assert!(row_results[2].starts_with("4 name: It must be"), "{}", row_results[2]);
        assert_eq!(row_results[3], "6 login_name: This one is already on line 2. Remove one of the two rows.");
        assert_eq!(
            row_results[4],
            "7 user_type: Use Regular User or Provider Admin, or leave it empty for a Regular User."
        );
        assert!(
            row_results[5].contains(" email: It must be an e-mail address. password: The password must be 8 to 64"),
            "{}",
            row_results[5]
        );
        assert_eq!(row_results[6..8], ["9 Regular User", "10 Regular User"]);
        assert!(row_results[9].starts_with("12 password: A spreadsheet takes it for a formula."), "{}", row_results[9]);
        assert!(row_results[8].starts_with("11 It has more cells than the first line names."), "{}", row_results[8]);
    }

    #[test]
    fn the_template_is_a_file_with_every_column() {
        let (text, _) = text::decode(&template()).unwrap();
        assert_eq!(read(&text, &agency(), &[], 9).unwrap_err(), "The file has no rows below its first line.");
        let filled = format!("{text}amina,Amina,provider admin,a@example.org,,,,\n");
        assert_eq!(row_results(&filled), ["2 Provider Admin"]);
        assert_eq!(read(&filled, &agency(), &[], 9).unwrap().notes, [""; 0]);
    }
}
