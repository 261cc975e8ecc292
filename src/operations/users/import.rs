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
use crate::operations::admin_context::{AdminContext, in_act};
use crate::operations::csv::file;
use crate::operations::csv::table::{self, Columns};
use crate::operations::csv::text::Encoding;
use crate::operations::issuers;
use crate::operations::users::with_temporary_password;
use crate::operations::users::{self, Created};
use crate::store::issuers::Tied;
use crate::store::users::NewUser;
use crate::store::{self, Conn, Error, Tx, providers};

/// The columns that a file may have, in any order; the first two it must have.
pub const COLUMNS: Columns = Columns {
    names: &["login_name", "name", "user_type", "email", "password", "handoff_sub", "handoff_issuer"],
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
}

/// What is done with a row.
#[derive(Clone, Debug)]
pub enum RowPlan {
    /// A user is made of it.
    Create(Box<Person>),
    /// There is such a user already: nothing is done.
    Exists,
    /// It cannot be: why, each a sentence.
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
        };
        let plan = if row.too_many {
            RowPlan::Refused(vec![MORE_CELLS.into()])
        } else {
            check(&cells, row.line, provider, trusted, &mut seen)
        };
        Row { line: row.line, login_name: cells.login_name, name: cells.name, plan }
    });
    let rows = rows.collect();
    Ok(People { rows, notes: table.notes })
}

/// Why a given password is not taken.
const FORMULA: &str = "A spreadsheet takes the password for a formula: choose one without =, +, - and @ at its beginning and after separators.";

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
}

/// What earlier rows took, and on which line.
#[derive(Default)]
struct Seen {
    names: HashMap<String, u64>,
    subs: HashMap<(String, String), u64>,
}

fn check(cells: &Given, line: u64, provider: &Provider, trusted: &[TrustedIssuer], seen: &mut Seen) -> RowPlan {
    let mut faults = Vec::new();
    let mut fault = |invalid: crate::operations::admin_context::ValidationError| {
        let why = invalid.why;
        let whole = if why.starts_with("must") { format!("{} {why}", invalid.key) } else { why };
        faults.push(if whole.ends_with('.') { whole } else { format!("{whole}.") });
    };
    let login_name = users::parse_login_name(&cells.login_name).map_err(&mut fault).ok();
    let _ = users::check_name(&cells.name).map_err(&mut fault);
    let claims = users::check_email(&cells.email).map_err(&mut fault).ok();
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
        faults.push("user_type must be Regular User or Provider Admin.".into());
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
        faults.push(format!("This Login Name is already on line {first}."));
    }
    if let Some(sub) = &sub
        && let Some(first) = seen.subs.insert((sub.issuer.id.clone(), sub.sub.clone()), line)
    {
        faults.push(format!("This handoff_sub is already on line {first}."));
    }
    match (login_name, claims, user_type) {
        (Some(login_name), Some(claims), Some(user_type)) if faults.is_empty() => {
            RowPlan::Create(Box::new(Person { login_name, name: cells.name.clone(), user_type, claims, password, sub }))
        }
        _ => RowPlan::Refused(faults),
    }
}

fn sub(sub: &str, issuer: &str, trusted: &[TrustedIssuer]) -> Result<Option<Sub>, String> {
    if sub.is_empty() {
        return Ok(None);
    }
    issuers::check_sub(sub).map_err(|why| format!("handoff_sub {why}."))?;
    let issuer = match (issuer, trusted) {
        ("", [only]) => only,
        ("", []) => return Err("handoff_sub needs a trusted issuer, and there is none.".into()),
        ("", _) => return Err("handoff_issuer is empty, and several issuers are trusted.".into()),
        (name, all) => all
            .iter()
            .find(|issuer| issuer.issuer == name)
            .ok_or_else(|| "handoff_issuer names no trusted issuer.".to_owned())?,
    };
    Ok(Some(Sub { sub: sub.to_owned(), issuer: issuer.clone() }))
}

/// Checks rows by what the provider has already.
async fn compare(conn: &mut Conn, provider: &Provider, rows: &mut [Row]) -> Result<(), Error> {
    for row in rows {
        let RowPlan::Create(person) = &row.plan else { continue };
        if store::users::id_of_name(conn, &provider.id, &person.login_name).await?.is_some() {
            row.plan = RowPlan::Exists;
        } else if let Some(Sub { sub, issuer }) = &person.sub
            && store::issuers::tied(conn, &issuer.id, &provider.id, sub, "").await? != Tied::No
        {
            row.plan = RowPlan::Refused(vec![SUB_TAKEN.into()]);
        }
    }
    Ok(())
}

/// Why no user is made of a row whose tie somebody else has.
pub const SUB_TAKEN: &str = "This handoff_sub is linked to another user.";

/// The user that a row makes, by the hash of the password.
#[must_use]
pub fn new_user(act: &AdminContext, person: &Person, hash: String) -> NewUser {
    let (login_name, name) = (person.login_name.clone(), person.name.clone());
    with_temporary_password(act, login_name, name, person.user_type, &person.claims, hash)
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
    let done = in_act!(act, [provider_id, user, person], |tx| add(tx, &act, &provider_id, &user, &person).await);
    match done {
        Err(Error::Withdrawn) => Ok(Some(RowPlan::Refused(vec![SUB_TAKEN.into()]))),
        done => done,
    }
}

/// Adds the user of one row, with its tie; the result, when none was made.
///
/// # Errors
/// [`Error::Withdrawn`] when somebody else has the tie ([`SUB_TAKEN`]): the transaction must be taken back. Otherwise
/// when it cannot be written.
pub async fn add(
    tx: &mut Tx,
    act: &AdminContext,
    provider_id: &str,
    user: &NewUser,
    person: &Person,
) -> Result<Option<RowPlan>, Error> {
    let Some(provider) = providers::by_id(tx, provider_id).await? else {
        return Ok(Some(RowPlan::Refused(vec!["The provider is not there any more.".into()])));
    };
    match users::add(tx, act, &provider, user).await? {
        Created::Yes(_) => {}
        Created::NameTaken => return Ok(Some(RowPlan::Exists)),
        Created::WrongType | Created::NoSuchProvider => {
            return Ok(Some(RowPlan::Refused(vec!["Its user_type cannot be had here.".into()])));
        }
    }
    if let Some(Sub { sub, issuer }) = &person.sub {
        let made = store::users::by_id(tx, &user.id).await?.ok_or(Error::Withdrawn)?;
        if issuers::tie(tx, act, issuer, &made, sub).await? != Tied::No {
            return Err(Error::Withdrawn);
        }
    }
    Ok(None)
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
        assert!(row_results[2].starts_with("4 name must be"), "{}", row_results[2]);
        assert_eq!(row_results[3], "6 This Login Name is already on line 2.");
        assert_eq!(row_results[4], "7 user_type must be Regular User or Provider Admin.");
        assert!(
            row_results[5].contains("email must be an e-mail address.") && row_results[5].contains("8 to 64"),
            "{}",
            row_results[5]
        );
        assert_eq!(row_results[6..8], ["9 Regular User", "10 Regular User"]);
        assert!(row_results[9].starts_with("12 A spreadsheet takes the password for a formula"), "{}", row_results[9]);
        assert!(row_results[8].starts_with("11 It has more cells than the first line names."), "{}", row_results[8]);
    }

    #[test]
    fn the_template_is_a_file_with_every_column() {
        let (text, _) = text::decode(&template()).unwrap();
        assert_eq!(read(&text, &agency(), &[], 9).unwrap_err(), "The file has no rows below its first line.");
        let filled = format!("{text}amina,Amina,provider admin,a@example.org,,,\n");
        assert_eq!(row_results(&filled), ["2 Provider Admin"]);
        assert_eq!(read(&filled, &agency(), &[], 9).unwrap().notes, [""; 0]);
    }
}
