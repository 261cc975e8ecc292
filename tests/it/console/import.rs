//! Users in and out of files: the preview, the making of each row, and what a spreadsheet is given.

use std::time::Duration;

use axum::http::{HeaderMap, Method};
use connect_idp::model::user::UserType;

use crate::actors::{Answer, Browser, Idp, PASSWORD, User};

const PATH: &str = "/admin/users/import";

pub async fn admin(idp: &Idp) -> Browser {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    browser
}

fn row_results(page: &Answer) -> Vec<String> {
    page.texts("#import-table .pill")
}

/// The report of an import that was started, once it is done: the page that says how far it is leads there
/// automatically.
pub async fn report(browser: &mut Browser, started: Answer) -> Answer {
    let job = started.location().to_owned();
    for _ in 0..1000 {
        let page = browser.get(&job).await;
        if !page.has("#import-running") {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the import at {job} does not end");
}

/// The slips of an import, each with a temporary password, from the page of its report.
pub async fn slips(browser: &mut Browser, report: &Answer) -> Answer {
    browser.submit(report, "#slips-form", &[]).await
}

/// Its temporary passwords that still work; none where the page offers no slips.
pub async fn passwords(browser: &mut Browser, report: &Answer) -> Vec<String> {
    if report.has("#slips-form") { slips(browser, report).await.texts(".slip code") } else { Vec::new() }
}

/// Begins the import that a preview shows, and waits for its report.
pub async fn import(browser: &mut Browser, preview: &Answer) -> Answer {
    let started = browser.submit(preview, "#create-form", &[]).await;
    report(browser, started).await
}

/// Sends a file as browsers do.
pub async fn upload(browser: &mut Browser, file: &[u8]) -> Answer {
    let mut body = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"staff.csv\"\r\ncontent-type: text/csv\r\n\r\n".to_vec();
    body.extend(file);
    body.extend(b"\r\n--b\r\ncontent-disposition: form-data; name=\"text\"\r\n\r\n\r\n--b--\r\n");
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "multipart/form-data; boundary=b".parse().unwrap());
    headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
    let cookies: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    headers.insert("cookie", cookies.join("; ").parse().unwrap());
    browser.send(Method::POST, PATH, headers, body).await
}

both_engines! {
    /// What will be done with every row is seen before anything is written; then each is made whole, with a password
    /// shown once.
    async fn a_file_is_previewed_and_then_made(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        let file = format!(
            "login_name,name,user_type,email,password,handoff_sub\n\
             nina,Nina Roy,,nina@example.org,,\n\
             pia,\"Pia, the Admin\",Provider Admin,,Temporary-Horse-9,person-1\n\
             AMINA,Somebody Else,,,,\n\
             tied,Tied Already,,,,{}\n\
             bad,,Therap Admin,,,\n", amina.sub());
        let before = idp.activity().await.len();
        let page = upload(&mut browser, file.as_bytes()).await;
        assert_eq!(page.status, 200, "{:?}", page.texts("#form-errors"));
        assert_eq!(row_results(&page), ["Cannot be created", "Cannot be created", "Exists already", "Will be created", "Will be created"]);
        assert!(page.text("#import-preview").starts_with("2 will be created, 1 exist already, 2 cannot be created."));
        assert_eq!(idp.activity().await.len(), before, "nothing is written yet");
        let done = import(&mut browser, &page).await;
        assert!(done.text("#import-done").starts_with("2 created, 1 existed already, 2 could not be created."));
        let before_slips = idp.activity().await.len();
        let passwords = passwords(&mut browser, &done).await;
        assert_eq!(passwords.len(), 2);
        assert_eq!(passwords[1], "Temporary-Horse-9");
        for (name, password) in [("nina", passwords[0].as_str()), ("pia", "Temporary-Horse-9")] {
            assert_eq!(idp.browser().try_login(name, password, "SUNRISE-IL").await.location(), "/password/update");
        }
        let made: Vec<_> = idp.activity().await.into_iter().take(before_slips).skip(before).filter(|r| r.actor == "admin paul").collect();
        assert_eq!(made.iter().map(|r| r.kind.as_str()).collect::<Vec<_>>(), ["user_created", "user_created", "handoff_tied"]);
        let page = upload(&mut browser, file.as_bytes()).await;
        assert!(page.text("#import-preview").starts_with("0 will be created, 3 exist already, 2 cannot be created."));
        assert!(!page.has("#create-form"));
        idp.assert_invariants().await;
    }

    /// Everything that is wrong with a row is said at once, with its column, and also what only the database knows; who is
    /// there already is left alone whatever else the row says.
    async fn everything_is_said_of_a_row_at_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        let text = format!("login_name;name;email;user_type;handoff_sub\r\nok;Ok;;;\r\na b;;x;Boss;{}\r\namina;;x;;\r\n", amina.sub());
        let page = upload(&mut browser, text.as_bytes()).await;
        assert_eq!(page.texts("#import-table td[data-label=Line]"), ["3", "4", "2"]);
        assert_eq!(row_results(&page), ["Cannot be created", "Exists already", "Will be created"]);
        let why = page.texts("#import-table .note");
        let columns: Vec<_> = why.iter().filter_map(|why| why.split_once(": ")).map(|(column, _)| column).collect();
        assert_eq!(columns, ["login_name", "name", "email", "user_type", "handoff_sub"], "{why:?}");
        assert_eq!(why[5], "Not changed.");
        assert!(page.body.find("create-form").unwrap() < page.body.find("import-table").unwrap());
    }

    /// A fault between rows is told of, and takes nobody's password along.
    async fn a_fault_between_rows_loses_no_password(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let page = upload(&mut browser, b"login_name,name\nnina,Nina Roy\nowen,Owen Li\npia,Pia Sol\namina,Amina\n").await;
        idp.user("amina").create().await;
        let two_cannot_be = "CREATE UNIQUE INDEX fault ON users (active) WHERE login_name_key IN ('nina', 'owen')";
        idp.outsider().await.run(two_cannot_be).await;
        let done = import(&mut browser, &page).await;
        assert!(done.text("#import-done").starts_with("1 created, 1 existed already, 2 could not be created."));
        let [password] = &passwords(&mut browser, &done).await[..] else { panic!("one password") };
        assert_eq!(idp.browser().try_login("nina", password, "SUNRISE-IL").await.location(), "/password/update");
        let why = done.texts("#import-table .note");
        assert!(why[0].starts_with("It is not known whether it was created."), "{why:?}");
        assert!(why[1].starts_with("It was not tried,"), "{why:?}");
        assert_eq!(why[2..], ["Not changed."]);
        idp.outsider().await.run("DROP INDEX fault").await;
        let page = upload(&mut browser, b"login_name,name\nnina,Nina Roy\nowen,Owen Li\npia,Pia Sol\namina,Amina\n").await;
        let again = import(&mut browser, &page).await;
        assert!(again.text("#import-done").starts_with("2 created, 2 existed already, 0 could not be created."));
        idp.assert_invariants().await;
    }

    /// What is made is what was shown: a text that was changed on the way is previewed again.
    async fn nothing_is_made_that_was_not_shown(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let shown = browser.post(PATH, &[("text", "login_name,name\r\nnina,Nina\r\n")]).await;
        assert_eq!(row_results(&shown), ["Will be created"]);
        let other = browser.submit(&shown, "#create-form", &[("text", "login_name,name\nzoe,Zoe\n")]).await;
        assert!(other.has("#import-preview") && !other.has("#import-done"));
        let none = browser.post(PATH, &[("text", "login_name,name\nzoe,Zoe\n"), ("go", "create")]).await;
        assert!(none.has("#import-preview"));
        assert_eq!(idp.number("SELECT COUNT(*) FROM users WHERE login_name IN ('zoe', 'nina')").await, 0);
    }

    /// A file that is none says why, and its text stays.
    async fn a_file_that_is_none_says_why(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        for (file, why) in [
            (&b"login_name\nx\n"[..], "The first line names no column “name”. It names: login_name."),
            (b"login_name,name\n", "The file has no rows below its first line."),
            (b"login_name,name\nx,\xff\xfe\n", "The file is not UTF-8 text. In a spreadsheet, save it as “CSV UTF-8”."),
        ] {
            let page = upload(&mut browser, file).await;
            assert_eq!((page.status.as_u16(), page.text("#file-error").as_str()), (422, why));
        }
        let page = browser.post(PATH, &[("text", "login_name,shoe\n")]).await;
        assert_eq!(page.text("#text"), "login_name,shoe");
        let many = format!("login_name,name\n{}", "u,U\n".repeat(5001));
        let page = upload(&mut browser, many.as_bytes()).await;
        assert_eq!(page.text("#file-error"), "The file has more than 5000 rows. Please divide it.");
        let large = "x".repeat(600 * 1024);
        assert_eq!(upload(&mut browser, large.as_bytes()).await.status, 400);
        assert_eq!(browser.post(PATH, &[("text", &large)]).await.status, 400);
        let nul = browser.post(PATH, &[("text", "login_name,name\nx\0,a\0b\ny,Y\n")]).await;
        assert_eq!(row_results(&nul), ["Cannot be created", "Will be created"]);
    }

    /// Two admins import the same file at once: each user is made once.
    async fn two_imports_at_once_make_each_user_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let rows: Vec<_> = (0..10).map(|n| format!("u{n},User {n}")).collect();
        let text = format!("login_name,name\n{}", rows.join("\n"));
        let mut previews = Vec::new();
        for name in ["paul", "paula", "pavel"] {
            let user = idp.user(name).user_type(UserType::ProviderAdmin).create().await;
            let mut browser = idp.browser();
            browser.sign_in(&user).await;
            let shown = browser.post(PATH, &[("text", &text)]).await;
            previews.push((browser, shown));
        }
        // All of them saw the file before anybody was made.
        let tasks: Vec<_> = previews.into_iter().map(|(mut browser, shown)| {
            tokio::spawn(async move {
                let done = import(&mut browser, &shown).await;
                passwords(&mut browser, &done).await.len()
            })
        }).collect();
        let mut made = 0;
        for task in tasks {
            made += task.await.unwrap();
        }
        assert_eq!(made, 10);
        idp.assert_invariants().await;
    }

    /// The list as a file: those whom the filter fits, and no formula.
    async fn the_users_are_downloaded(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        idp.provider("OTHER", |_| {}).await;
        idp.user("carla").of("OTHER").create().await;
        idp.user("-evil").failures(3).create().await;
        let amina = idp.user("amina").create().await;
        let fields = [("name", "=1+1"), ("email", "a@example.org"), ("user_type", "Regular User"), ("revision", "1")];
        browser.post(&format!("/admin/users/{}", amina.id), &fields).await.location();
        let list = browser.get("/admin/users?sort=login_name").await;
        let file = browser.get(&list.attribute("#export", "href").unwrap()).await;
        assert!(file.body.starts_with("\u{feff}\"login_name\","));
        assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"users-SUNRISE-IL.csv\""));
        let mut reader = csv::Reader::from_reader(file.body.as_bytes());
        let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!(rows.len(), 3);
        let of = |name: &str| rows.iter().find(|row| row[0] == name).unwrap();
        assert_eq!(of("amina")[1..6], ["'=1+1", "Regular User", "a@example.org", "yes", "no"]);
        assert_eq!(of("'-evil")[5], "yes");
        assert_eq!(of("paul")[9], "2027-01-15T08:00:00.000Z");
        let locked = browser.get("/admin/users/export?state=locked").await;
        assert_eq!(locked.body.lines().count(), 2);
    }

    /// An import is no way around the lock, the types or the provider.
    async fn an_imported_user_is_an_ordinary_one(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let shown = browser.post(PATH, &[("text", "login_name,name,password\nnew,New,Correct-Horse-9\n")]).await;
        import(&mut browser, &shown).await;
        let new = User { name: "New".into(), ..User::nobody("new", "SUNRISE-IL") };
        let mut hers = idp.browser();
        for _ in 0..3 {
            hers.log_in(&new, "Wrong-Horse-9").await;
        }
        assert_eq!(hers.log_in(&new, PASSWORD).await.status, 403);
        idp.assert_invariants().await;
    }
}
