//! Files as spreadsheets write them, each made by hand after a real one (`csv/`): the result of every row, by the
//! page.

use std::path::PathBuf;

use connect_idp::model::user::UserType;

use crate::actors::{Answer, Idp};
use crate::console::import::{admin, import, upload};

/// What a file must come to: line and Login Name of each row that is created, and words of each note.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

const THREE: &[&str] = &["2 jmueller Jürgen Müller", "3 zsofia Zsófia Kőszegi", "4 obrien Siobhán O’Brien"];
const CASES: &[Case] = &[
    ("blank-lines-at-end", THREE, &[]),
    ("excel-ansi-windows1252", &["2 jmueller Jürgen Müller"], &["save it as “CSV UTF-8”"]),
    ("excel-de-utf8bom-semicolon-crlf", THREE, &[]),
    (
        "excel-empty-row-between",
        &["2 jmueller Jürgen Müller", "4 zsofia Zsófia Kőszegi", "5 obrien Siobhán O’Brien"],
        &["An empty row was passed over."],
    ),
    ("excel-empty-rows-at-end", THREE, &["2 empty rows were passed over."]),
    ("excel-mac-cr-comma-in-cell", &["2 jmueller Müller, Jürgen"], &[]),
    ("excel-mac-cr", THREE, &[]),
    ("excel-sep-line", &["3 jmueller Jürgen Müller", "4 zsofia Zsófia Kőszegi", "5 obrien Siobhán O’Brien"], &[]),
    ("excel-trailing-empty-columns", THREE, &[]),
    ("excel-unicode-text-utf16", THREE, &[]),
    ("excel-us-utf8bom-comma-crlf", THREE, &[]),
    ("formula-like", &["2 =cmd =1+1", "3 plus +49 Team", "4 apos 'Abd al-Rahman"], &[]),
    ("google-sheets-tsv", THREE, &[]),
    ("header-case", THREE, &[]),
    ("header-quoted", THREE, &[]),
    ("header-words", THREE, &[]),
    ("no-final-newline", &["2 jmueller Jürgen Müller"], &[]),
    ("short-rows", &["2 amelie Amélie Poulain", "3 bela Béla Tarr"], &[]),
    ("spaces-around-values", &["2 amelie Amélie Poulain"], &[]),
    ("user-type-case", &["2 amelie Amélie", "3 bela Béla"], &[]),
];

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/operations/csv").join(format!("{name}.csv"));
    std::fs::read(path).unwrap()
}

fn cells(page: &Answer, label: &str) -> Vec<String> {
    page.texts(&format!("#import-table td[data-label='{label}']"))
}

/// Line, Login Name and name of each row of which a user is made.
fn to_be_created(page: &Answer) -> Vec<String> {
    let result = page.texts("#import-table .pill");
    let rows = cells(page, "Line").into_iter().zip(cells(page, "Login Name")).zip(cells(page, "Name")).zip(result);
    rows.filter(|(_, result)| result == "Will be created")
        .map(|(((line, login_name), name), _)| format!("{line} {login_name} {name}"))
        .collect()
}

/// No file of the folder is without its case.
#[test]
fn every_file_has_its_case() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/operations/csv");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    let mut cases: Vec<_> = CASES.iter().map(|(name, ..)| *name).chain(["quoted-newline"]).collect();
    cases.sort_unstable();
    assert_eq!(files, cases);
}

both_engines! {
    /// Each file of the folder is what its case says, in the preview and when its users are made.
    async fn a_spreadsheets_file_is_read_as_it_is_meant(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let mut wrong = Vec::new();
        for (name, created, notes) in CASES {
            let page = upload(&mut browser, &file(name)).await;
            let (found, said) = (to_be_created(&page), page.texts("#import-notes li"));
            let as_noted = said.len() == notes.len() && said.iter().zip(*notes).all(|(said, note)| said.contains(note));
            if found != *created || !as_noted {
                wrong.push(format!("{name}: {} {found:?} {said:?} {:?}", page.status, page.texts("#form-errors")));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        let quoted = upload(&mut browser, &file("quoted-newline")).await;
        assert_eq!(to_be_created(&quoted), ["4 bela Béla"]);
        assert_eq!(quoted.texts("#import-table .pill").len(), 2);
    }

    /// What was shown is made, whatever the browser does to line ends and encodings on the way.
    async fn what_was_shown_of_an_odd_file_is_made(engine: Engine) {
        let idp = Idp::start(engine).await;
        let odd = ["excel-mac-cr", "excel-unicode-text-utf16", "excel-ansi-windows1252", "user-type-case"];
        for (name, code) in odd.into_iter().zip(["A", "B", "C", "D"]) {
            let provider = idp.provider(code, |_| {}).await;
            let paul = idp.user("paul").of(&provider.code).user_type(UserType::ProviderAdmin).create().await;
            let mut browser = idp.browser();
            browser.sign_in(&paul).await;
            let page = upload(&mut browser, &file(name)).await;
            let wanted = to_be_created(&page).len();
            let done = import(&mut browser, &page).await;
            assert!(done.text("#import-done").starts_with(&format!("{wanted} created,")), "{name}: {}", done.body);
            assert_eq!(done.has("#import-notes"), name == "excel-ansi-windows1252", "{name}");
        }
        let sql = "SELECT COUNT(*) FROM users WHERE name IN ('Jürgen Müller', 'Zsófia Kőszegi', 'Siobhán O’Brien')";
        assert_eq!(idp.number(sql).await, 7);
        assert_eq!(idp.number("SELECT COUNT(*) FROM users WHERE login_name = 'bela' AND user_type = 'Provider Admin'").await, 1);
    }

    /// Files beside those of the folder.
    async fn kinds_beside(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let utf_16_be: Vec<u8> =
            "\u{feff}login_name\tname\r\nzoe\tZoë \"Z\"\r\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (text, created) in [
            (&utf_16_be[..], &["2 zoe Zoë \"Z\""][..]),
            (b"\xef\xbb\xbf Login Name ;\" NAME \"\nzoe;\"Zoe \"\"Z\"\" A\"\n", &["2 zoe Zoe \"Z\" A"]),
            (b"Staff list\n\nlogin_name,name\nzoe,Zoe\n", &["4 zoe Zoe"]),
            (b"\"login_name\"\t\"name\"\n\"zoe\"\t\"Zoe\tZ\"\nyan\t\"Yan\"\n", &["3 yan Yan"]),
            (b"\xef\xbb\xbf\"login_name,\"\"name\"\"\"\r\n\"zoe,\"\"Zoe\"\"\"\r\n", &["2 zoe Zoe"]),
            (b"login_name,name\nx\0,X\nzoe,Zoe\n", &["3 zoe Zoe"]),
            (b"login_name,name,email\nzoe,Zoe, Z,\nyan,Yan,y@example.org\n", &["3 yan Yan"]),
        ] {
            let page = upload(&mut browser, text).await;
            assert_eq!(to_be_created(&page), created, "{}", String::from_utf8_lossy(text));
        }
        for (text, why) in [
            (&b"\xef\xbb\xbf"[..], "The file is empty."),
            (b"login_name;name\r\n", "The file has no rows below its first line."),
            (b"Login;Name\r\na;A\r\n", "The first line names no column “login_name”. It names: Login, Name."),
            (b"Login Name;login_name;name\r\na;a;A\r\n", "The first line names the column “login_name” twice."),
            (b"login_name,name\na,\"A\nb,B\n", "A quotation mark in the row on line 2 is never closed."),
            (b"PK\x03\x04...", "The file is a spreadsheet and not a CSV file."),
            (b"login_name,name\nj,J\x81rgen\n", "The file is not UTF-8 text. In a spreadsheet, save it as “CSV UTF-8”."),
        ] {
            let page = upload(&mut browser, text).await;
            assert_eq!(page.status, 422);
            assert!(page.text("#file-error").starts_with(why), "{}", page.text("#file-error"));
        }
    }

    /// An export is imported at another agency as it is: names are what they were, and what is not known there is
    /// named.
    async fn an_export_is_imported_again(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let names = ["+49 Team", "=1+1", "'Abd al-Rahman", "'=1", "Jürgen Müller", "a;=1,-b"];
        for (at, name) in names.iter().enumerate() {
            let user = idp.user(&format!("-user{at}")).create().await;
            let fields = [("name", *name), ("email", ""), ("user_type", "Regular User"), ("revision", "1")];
            browser.post(&format!("/admin/users/{}", user.id), &fields).await.location();
        }
        let file = browser.get("/admin/users/export").await;
        assert!(file.body.starts_with("\u{feff}\"login_name\",\"name\""), "{}", file.body);
        let other = idp.provider("OTHER", |_| {}).await;
        let olga = idp.user("olga").of(&other.code).user_type(UserType::ProviderAdmin).create().await;
        let mut hers = idp.browser();
        hers.sign_in(&olga).await;
        let page = upload(&mut hers, file.body.as_bytes()).await;
        let [note] = &page.texts("#import-notes li")[..] else { panic!("one note: {}", page.body) };
        assert!(note.contains("not known here and were passed over: active, password_locked,"), "{note}");
        assert!(import(&mut hers, &page).await.text("#import-done").starts_with("7 created,"));
        for (at, name) in names.iter().enumerate() {
            let name = name.replace('\'', "''");
            let sql = format!("SELECT COUNT(*) FROM users WHERE login_name = '-user{at}' AND name = '{name}'");
            assert_eq!(idp.number(&sql).await, 2, "{name}");
        }
    }
}
