//! An import is a stored job: whatever happens to the browser, the rights or the process, no password is lost, and
//! nobody else sees one.

use std::time::Duration;

use connect_idp::cache::hash_queue::{Turn, Whose};
use connect_idp::jobs;
use connect_idp::model::user::UserType;
use connect_idp::operations::users;

use crate::actors::{Answer, Browser, Idp, User};
use crate::console::import::{import, passwords, report};

const PATH: &str = "/admin/users/import";

async fn admin(idp: &Idp, name: &str) -> (User, Browser) {
    let user = idp.user(name).user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&user).await;
    (user, browser)
}

async fn preview(browser: &mut Browser, rows: usize) -> Answer {
    let rows: Vec<_> = (0..rows).map(|n| format!("u{n},User {n}\n")).collect();
    browser.post(PATH, &[("text", &format!("login_name,name\n{}", rows.concat()))]).await
}

/// Begins an import of a number of rows; the answer that leads to it.
async fn begin(browser: &mut Browser, rows: usize) -> Answer {
    let shown = preview(browser, rows).await;
    browser.submit(&shown, "#create-form", &[]).await
}

/// Nobody's import goes on while this is held.
async fn pause(idp: &Idp) -> Turn {
    idp.app.hashes.turn(Whose::Administration).await
}

both_engines! {
    /// The browser is lost when the import has begun: the same person finds the report from another one, and its
    /// passwords are those that work.
    async fn a_lost_browser_loses_no_password(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (paul, mut browser) = admin(&idp, "paul").await;
        let paused = pause(&idp).await;
        let started = begin(&mut browser, 3).await;
        let running = browser.get(started.location()).await;
        assert!(running.text("#import-running").starts_with("0 of 3 rows are done."), "{}", running.body);
        assert_eq!(running.attribute("meta[http-equiv=refresh]", "content").as_deref(), Some("2"));
        assert_eq!(browser.get(&format!("{}/report", started.location())).await.location(), started.location());
        drop(browser);
        drop(paused);
        let mut later = idp.browser();
        later.sign_in(&paul).await;
        report(&mut later, started.clone()).await;
        let list = later.get(PATH).await;
        assert!(list.text("#earlier-imports").contains("Done, 3 of 3 rows"), "{}", list.body);
        let found = later.get(&list.attribute("#earlier-imports a", "href").unwrap()).await;
        assert!(found.text("#import-done").starts_with("3 created, 0 existed already, 0 could not be created."));
        let codes = passwords(&mut later, &found).await;
        for (n, password) in codes.iter().enumerate() {
            let answer = idp.browser().try_login(&format!("u{n}"), password, "SUNRISE-IL").await;
            assert_eq!(answer.location(), "/password/update");
        }
        for _ in 0..2 {
            let file = later.submit(&found, "#download-form", &[]).await;
            assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"import-SUNRISE-IL.csv\""));
            assert_eq!(file.header("cache-control"), Some("no-store"));
            let mut reader = csv::Reader::from_reader(file.body.as_bytes());
            let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            assert_eq!(rows.iter().map(|row| row[4].to_owned()).collect::<Vec<_>>(), codes);
            assert_eq!(rows[0].iter().take(4).collect::<Vec<_>>(), ["2", "u0", "User 0", "created"]);
        }
        idp.assert_invariants().await;
    }

    /// Nobody else opens a report, and after a day nobody does; then it is removed.
    async fn a_report_is_for_who_began_it_and_for_a_day(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (paul, mut browser) = admin(&idp, "paul").await;
        let started = begin(&mut browser, 2).await;
        report(&mut browser, started.clone()).await;
        let (_, mut paula) = admin(&idp, "paula").await;
        let other = idp.provider("OTHER", |_| {}).await;
        let olga = idp.user("olga").of(&other.code).user_type(UserType::ProviderAdmin).create().await;
        let mut hers = idp.browser();
        hers.sign_in(&olga).await;
        for opened in ["/slips", "/report"].map(|what| format!("{}{what}", started.location())) {
            for stranger in [&mut paula, &mut hers] {
                for told in [stranger.get(started.location()).await, stranger.get(&opened).await, stranger.post(&opened, &[]).await] {
                    assert_eq!(told.status, 404, "{opened}");
                }
            }
            assert_eq!(browser.get(&opened).await.location(), started.location());
            assert_eq!(browser.post(&opened, &[]).await.status, 200, "{opened}");
        }
        assert!(!paula.get(PATH).await.has("#earlier-imports"));
        idp.advance(Duration::from_hours(24) - Duration::from_secs(1));
        let mut late = idp.browser();
        late.sign_in(&paul).await;
        let shown = late.get(started.location()).await;
        assert_eq!(passwords(&mut late, &shown).await.len(), 2);
        jobs::purge(&idp.app).await.unwrap();
        assert_eq!(idp.number("SELECT COUNT(*) FROM import_rows").await, 2);
        idp.advance(Duration::from_secs(1));
        assert_eq!(late.get(started.location()).await.status, 404);
        let records = idp.activity().await.len();
        for opened in ["/slips", "/report"].map(|what| format!("{}{what}", started.location())) {
            assert_eq!(late.post(&opened, &[]).await.status, 404, "{opened}");
        }
        assert_eq!(idp.activity().await.len(), records);
        assert!(!late.get(PATH).await.has("#earlier-imports"));
        jobs::purge(&idp.app).await.unwrap();
        let kept = "SELECT (SELECT COUNT(*) FROM imports) + (SELECT COUNT(*) FROM import_rows)";
        assert_eq!(idp.number(kept).await, 0);
    }

    /// What is kept says nothing to who has the database alone, and each result opens in its own place only.
    async fn what_is_kept_is_sealed_to_its_row(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp, "paul").await;
        let text = "login_name,name,password\nnina,Nina,Correct-Horse-9\nowen,Owen,Another-Horse-9\n";
        let shown = browser.post(PATH, &[("text", text)]).await;
        let done = import(&mut browser, &shown).await;
        assert_eq!(passwords(&mut browser, &done).await, ["Correct-Horse-9", "Another-Horse-9"]);
        let mut outsider = idp.outsider().await;
        for sql in ["SELECT sealed_plan FROM imports", "SELECT sealed_result FROM import_rows WHERE place = 0"] {
            let sealed = outsider.text(sql).await;
            assert!(sealed.starts_with("eyJ") && !sealed.contains("Horse") && !sealed.contains("nina"), "{sealed}");
        }
        for (from, to) in [(0, 7), (1, 0), (7, 1)] {
            outsider.run(&format!("UPDATE import_rows SET place = {to} WHERE place = {from}")).await;
        }
        let swapped = browser.get(&done.path).await;
        assert_eq!(passwords(&mut browser, &swapped).await, [""; 0]);
        assert!(swapped.texts("#import-table .note")[0].contains("is gone. Reset the user's password."));
    }

    /// A process that is gone leaves what it has done, and stands in nobody's way.
    async fn an_interrupted_import_says_how_far_it_came(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp, "paul").await;
        let started = begin(&mut browser, 3).await;
        let done = report(&mut browser, started.clone()).await;
        let codes = passwords(&mut browser, &done).await;
        // As a crash after the second row leaves it.
        let mut outsider = idp.outsider().await;
        outsider.run("DELETE FROM import_rows WHERE place = 2").await;
        outsider.run("UPDATE users SET login_name = 'gone', login_name_key = 'gone' WHERE login_name = 'u2'").await;
        outsider.run("UPDATE imports SET state = 'running', rows_done = 2").await;
        assert!(browser.get(started.location()).await.has("#import-running"));
        let mut hers = browser.clone();
        let shown = preview(&mut hers, 3).await;
        let refused = hers.submit(&shown, "#create-form", &[]).await;
        assert_eq!(refused.status, 422);
        assert!(refused.text("#file-error").starts_with("Another import of yours is running."));
        idp.advance(Duration::from_mins(1));
        let page = browser.get(started.location()).await;
        let stopped = page.text("#import-stopped");
        assert!(stopped.starts_with("The import stopped after 2 of 3 rows. The service was interrupted."), "{stopped}");
        assert_eq!(passwords(&mut browser, &page).await, codes[..2]);
        assert!(page.texts("#import-table .note")[0].starts_with("It was not tried,"));
        let again = import(&mut browser, &shown).await;
        assert!(again.text("#import-done").starts_with("1 created, 2 existed already,"), "{}", again.body);
        assert!(browser.get(started.location()).await.has("#import-stopped"));
    }

    /// Whoever may import no longer imports no further row (G28).
    async fn rights_that_are_gone_end_the_import(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (paul, mut browser) = admin(&idp, "paul").await;
        let paused = pause(&idp).await;
        let started = begin(&mut browser, 3).await;
        users::end_sessions(&idp.act(), &paul.provider_id, &paul.id).await.unwrap();
        drop(paused);
        let mut later = idp.browser();
        later.sign_in(&paul).await;
        let page = report(&mut later, started).await;
        let stopped = page.text("#import-stopped");
        assert!(stopped.starts_with("The import stopped after 0 of 3 rows. You were signed out"), "{stopped}");
        assert!(page.text("#import-done").starts_with("0 created, 0 existed already, 3 could not be created."));
        assert_eq!(idp.number("SELECT COUNT(*) FROM users WHERE login_name = 'u0'").await, 0);
    }

    /// A stop waits for the row under way and no longer.
    async fn a_stop_ends_the_import_between_rows(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp, "paul").await;
        let started = begin(&mut browser, 400).await;
        let paused = pause(&idp).await;
        idp.app.background.stop();
        drop(paused);
        tokio::time::timeout(Duration::from_secs(10), idp.app.background.ended()).await.unwrap();
        let page = browser.get(started.location()).await;
        assert!(page.text("#import-stopped").contains("The service was stopped."), "{}", page.body);
        let made = passwords(&mut browser, &page).await.len();
        assert!(made < 400);
        let users = idp.number("SELECT COUNT(*) FROM users WHERE name LIKE 'User %'").await;
        assert_eq!(users, i64::try_from(made).unwrap(), "each user with a password that is shown");
    }

    /// While many rows wait for their turns people sign in.
    async fn people_sign_in_while_many_are_imported(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let (_, mut browser) = admin(&idp, "paul").await;
        let started = begin(&mut browser, 1000).await;
        for _ in 0..5 {
            idp.browser().sign_in(&amina).await;
        }
        let page = report(&mut browser, started).await;
        assert!(page.text("#import-done").starts_with("1000 created,"), "{}", page.text("#import-done"));
        idp.assert_invariants().await;
    }

    /// A row whose tie somebody else took meanwhile is refused, and those behind it are made.
    async fn a_row_that_cannot_be_is_kept_as_such(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let (_, mut browser) = admin(&idp, "paul").await;
        let text = format!("login_name,name,handoff_sub\nnina,Nina,{}\nowen,Owen,\npia,Pia,\n", amina.sub());
        let shown = browser.post(PATH, &[("text", &text)]).await;
        idp.user("later").create().await;
        let paused = pause(&idp).await;
        let started = browser.submit(&shown, "#create-form", &[]).await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        let taken = "UPDATE users SET login_name = 'owen', login_name_key = 'owen' WHERE login_name = 'later'";
        idp.outsider().await.run(taken).await;
        drop(paused);
        let page = report(&mut browser, started).await;
        assert!(page.text("#import-done").starts_with("1 created, 1 existed already, 1 could not be created."));
        assert!(!page.has("#import-stopped"));
        assert_eq!(page.texts("#import-table .note")[0], "handoff_sub: This one is linked to another user. Unlink it there first, or leave it empty.");
        idp.assert_invariants().await;
    }
}
