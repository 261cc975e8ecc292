//! Many users out of one CSV file. Every row has a fate that is known before anything is written; each is made whole or
//! not at all.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::act::{Act, in_act};
use super::users::{self, Created};
use super::{issuers, users::temporary_until};
use crate::app::App;
use crate::crypto::password::Busy;
use crate::model::claims::Claims;
use crate::model::issuer::TrustedIssuer;
use crate::model::login_name::LoginName;
use crate::model::provider::Provider;
use crate::model::text;
use crate::model::user::UserType;
use crate::store::issuers::Tied;
use crate::store::users::NewUser;
use crate::store::{self, Conn, Error, providers};

/// The columns that a file may have, in any order; the first two it must have.
pub const COLUMNS: [&str; 7] =
    ["login_name", "name", "user_type", "email", "password", "handoff_sub", "handoff_issuer"];
const REQUIRED: usize = 2;

/// One row of the file.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its line in the file.
    pub line: u64,
    /// The Login Name as it stands there.
    pub login_name: String,
    /// The name as it stands there.
    pub name: String,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a row.
#[derive(Clone, Debug)]
pub enum Fate {
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
    password: Option<Given>,
    sub: Option<Sub>,
}

#[derive(Clone)]
struct Given(Zeroizing<String>);

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given(…)")
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

/// Reads a file and judges each row by itself and beside the others.
///
/// # Errors
/// Why it is no such file, as a sentence.
pub fn read(text: &str, provider: &Provider, trusted: &[TrustedIssuer], most: usize) -> Result<Vec<Row>, String> {
    // With one kind of line end the reader counts lines as people do.
    let text = text::without_mark(text).replace("\r\n", "\n");
    let first = text.lines().next().unwrap_or_default();
    // Where the comma is the decimal sign, spreadsheets write semicolons.
    let delimiter = if first.contains(';') && !first.contains(',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| format!("The first line cannot be read: {error}."))?.clone();
    let columns = columns(&headers)?;
    let mut rows = Vec::new();
    let mut seen = Seen::default();
    for record in reader.records() {
        let record = record.map_err(|error| format!("The file cannot be read as CSV: {error}."))?;
        if rows.len() == most {
            return Err(format!("The file has more than {most} rows. Please divide it."));
        }
        let cell = |name: &str| columns.get(name).and_then(|at| record.get(*at)).unwrap_or_default();
        let line = record.position().map_or(0, csv::Position::line);
        let fate = if record.len() == headers.len() {
            judge(&cell, line, provider, trusted, &mut seen)
        } else {
            Fate::Refused(vec![format!("It has {} cells, and the first line has {}.", record.len(), headers.len())])
        };
        rows.push(Row { line, login_name: cell("login_name").into(), name: cell("name").into(), fate });
    }
    if rows.is_empty() {
        return Err("The file has no rows below its first line.".into());
    }
    Ok(rows)
}

/// Where each column stands.
fn columns(headers: &csv::StringRecord) -> Result<HashMap<&str, usize>, String> {
    let mut columns = HashMap::new();
    for (at, name) in headers.iter().enumerate() {
        let name = name.trim();
        if !COLUMNS.contains(&name) {
            let known = COLUMNS.join(", ");
            let name: String = name.chars().take(50).collect();
            return Err(format!("The first line names a column “{name}”. It may name these: {known}."));
        }
        if columns.insert(name, at).is_some() {
            return Err(format!("The first line names the column “{name}” twice."));
        }
    }
    match COLUMNS[..REQUIRED].iter().find(|name| !columns.contains_key(**name)) {
        Some(missing) => Err(format!("The first line names no column “{missing}”.")),
        None => Ok(columns),
    }
}

/// What earlier rows took, and on which line.
#[derive(Default)]
struct Seen {
    names: HashMap<String, u64>,
    subs: HashMap<(String, String), u64>,
}

fn judge<'a>(
    cell: &impl Fn(&str) -> &'a str,
    line: u64,
    provider: &Provider,
    trusted: &[TrustedIssuer],
    seen: &mut Seen,
) -> Fate {
    let mut faults = Vec::new();
    let mut fault = |unfit: super::act::Unfit| {
        let why = unfit.why;
        let whole = if why.starts_with("must") { format!("{} {why}", unfit.key) } else { why };
        faults.push(if whole.ends_with('.') { whole } else { format!("{whole}.") });
    };
    let login_name = users::parse_login_name(cell("login_name")).map_err(&mut fault).ok();
    let _ = users::check_name(cell("name")).map_err(&mut fault);
    let claims = users::check_email(cell("email")).map_err(&mut fault).ok();
    let password = match cell("password") {
        "" => None,
        text => users::check_password(text).map_err(&mut fault).ok().map(Given),
    };
    let user_type = match cell("user_type") {
        "" => Some(UserType::Regular),
        text => text.parse().ok(),
    };
    let user_type = user_type.filter(|user_type: &UserType| user_type.belongs_in(provider.kind));
    if user_type.is_none() {
        faults.push("user_type must be Regular User or Provider Admin.".into());
    }
    let sub = match sub(cell("handoff_sub"), cell("handoff_issuer"), trusted) {
        Ok(sub) => sub,
        Err(why) => {
            faults.push(why);
            None
        }
    };
    if let Some(name) = &login_name
        && let Some(first) = seen.names.insert(name.key().to_owned(), line)
    {
        faults.push(format!("This Login Name stands on line {first} already."));
    }
    if let Some(sub) = &sub
        && let Some(first) = seen.subs.insert((sub.issuer.id.clone(), sub.sub.clone()), line)
    {
        faults.push(format!("This handoff_sub stands on line {first} already."));
    }
    match (login_name, claims, user_type) {
        (Some(login_name), Some(claims), Some(user_type)) if faults.is_empty() => {
            Fate::Create(Box::new(Person { login_name, name: cell("name").into(), user_type, claims, password, sub }))
        }
        _ => Fate::Refused(faults),
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

/// Judges rows by what the provider has already.
///
/// # Errors
/// When the database cannot be asked.
pub async fn compare(conn: &mut Conn, provider: &Provider, rows: &mut [Row]) -> Result<(), Error> {
    for row in rows {
        let Fate::Create(person) = &row.fate else { continue };
        if store::users::id_of_name(conn, &provider.id, &person.login_name).await?.is_some() {
            row.fate = Fate::Exists;
        } else if let Some(Sub { sub, issuer }) = &person.sub
            && store::issuers::tied(conn, &issuer.id, &provider.id, sub, "").await? != Tied::No
        {
            row.fate = Fate::Refused(vec![SUB_TAKEN.into()]);
        }
    }
    Ok(())
}

const SUB_TAKEN: &str = "This handoff_sub is tied to another user.";

/// A row whose password, if a user is made of it, is hashed.
#[derive(Debug)]
pub struct Ready {
    row: Row,
    hashed: Option<(Zeroizing<String>, String)>,
}

impl Ready {
    /// Hashes the password of a row of which a user is made.
    ///
    /// # Errors
    /// When there is no room to hash.
    pub async fn of(app: &App, row: Row) -> Result<Self, Busy> {
        let hashed = match &row.fate {
            Fate::Create(person) => {
                let password = person.password(app);
                let hash = users::hash(app, &password).await?;
                Some((password, hash))
            }
            Fate::Exists | Fate::Refused(_) => None,
        };
        Ok(Self { row, hashed })
    }
}

/// A row and what became of it, with the password of whom was created.
pub type Done = (Row, Option<Zeroizing<String>>);

/// Makes the users of rows, one after the other. It does not fail as a whole, for the passwords of those before must reach
/// who asked: after a fault of ours the row is refused, and those that follow are not tried.
pub async fn create_all(act: impl Fn() -> Act, provider_id: &str, ready: Vec<Ready>) -> Vec<Done> {
    let mut broke = false;
    let mut all = Vec::with_capacity(ready.len());
    for Ready { mut row, hashed } in ready {
        let mut made = None;
        if let (Fate::Create(person), Some((password, hash))) = (&row.fate, hashed) {
            let fate = if broke {
                Some(Fate::Refused(vec![
                    "It was not tried, because a row before it failed. Send the file again.".into(),
                ]))
            } else {
                create(&act(), provider_id, person, hash).await.unwrap_or_else(|error| {
                    tracing::error!(%error, "a row of an import may not have been written: {error}");
                    broke = true;
                    Some(Fate::Refused(vec!["It is not known whether it was created. Send the file again.".into()]))
                })
            };
            match fate {
                Some(fate) => row.fate = fate,
                None => made = Some(password),
            }
        }
        all.push((row, made));
    }
    all
}

/// Makes the user of one row, with its tie, or nothing at all; what became of it.
///
/// # Errors
/// When it cannot be written.
pub async fn create(act: &Act, provider_id: &str, person: &Person, hash: String) -> Result<Option<Fate>, Error> {
    let user = NewUser {
        id: act.app.random.id(act.now),
        login_name: person.login_name.clone(),
        name: person.name.clone(),
        user_type: person.user_type,
        active: true,
        admin_locked: false,
        failures: 0,
        password_hash: hash,
        temporary_until: Some(temporary_until(&act.app, act.now)),
        claims: person.claims.to_json(),
    };
    let (provider_id, sub) = (provider_id.to_owned(), person.sub.clone());
    let done = in_act!(act, [provider_id, user, sub], |tx| {
        let Some(provider) = providers::by_id(tx, &provider_id).await? else {
            return Ok(Some(Fate::Refused(vec!["The provider is not there any more.".into()])));
        };
        match users::add(tx, &act, &provider, &user).await? {
            Created::Yes(_) => {}
            Created::NameTaken => return Ok(Some(Fate::Exists)),
            Created::WrongType | Created::NoSuchProvider => {
                return Ok(Some(Fate::Refused(vec!["Its user_type cannot be had here.".into()])));
            }
        }
        if let Some(Sub { sub, issuer }) = &sub {
            let made = store::users::by_id(tx, &user.id).await?.ok_or(Error::Withdrawn)?;
            if issuers::tie(tx, &act, issuer, &made, sub).await? != Tied::No {
                return Err(Error::Withdrawn);
            }
        }
        Ok(None)
    });
    match done {
        Err(Error::Withdrawn) => Ok(Some(Fate::Refused(vec![SUB_TAKEN.into()]))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::provider::{ProviderKind, UnifiedLogin};

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

    fn fates(text: &str) -> Vec<String> {
        let rows = read(text, &agency(), &[], 10).unwrap();
        rows.iter()
            .map(|row| match &row.fate {
                Fate::Create(person) => format!("{} {}", row.line, person.user_type),
                Fate::Exists => "exists".into(),
                Fate::Refused(why) => format!("{} {}", row.line, why.join(" ")),
            })
            .collect()
    }

    #[test]
    fn each_row_is_judged() {
        let text = "\u{feff}name,login_name,user_type,email,password\r\n\
                    Amina,amina,,,\r\n\
                    Paul,paul,Provider Admin,p@example.org,Correct-Horse-9\r\n\
                    \"Two,\nlines\",two,,,\r\n\
                    Again,AMINA,,,\r\n\
                    Root,root,Therap Admin,,\r\n\
                    Short,short,,x,weak\r\n\
                    Few,few\r\n";
        let fates = fates(text);
        assert_eq!(fates[..2], ["2 Regular User", "3 Provider Admin"]);
        assert!(fates[2].starts_with("4 name must be"), "{}", fates[2]);
        assert_eq!(fates[3], "6 This Login Name stands on line 2 already.");
        assert_eq!(fates[4], "7 user_type must be Regular User or Provider Admin.");
        assert!(fates[5].contains("email must be an e-mail address.") && fates[5].contains("8 to 64"), "{}", fates[5]);
        assert_eq!(fates[6], "9 It has 2 cells, and the first line has 5.");
    }

    #[test]
    fn semicolons_serve_as_well() {
        assert_eq!(fates("login_name;name\namina;Amina, Diallo\n"), ["2 Regular User"]);
    }

    #[test]
    fn a_file_that_is_none_is_refused_as_a_whole() {
        let why = |text: &str| read(text, &agency(), &[], 2).unwrap_err();
        assert!(why("").contains("no column “login_name”") || why("").contains("names a column"), "{}", why(""));
        assert!(why("login_name\na\n").contains("no column “name”"));
        assert!(why("login_name,name,shoe_size\n").contains("“shoe_size”"));
        assert!(why("login_name,name,name\n").contains("twice"));
        assert!(why("login_name,name\n").contains("no rows"));
        assert!(why("login_name,name\na,A\nb,B\nc,C\n").contains("more than 2 rows"));
    }
}
