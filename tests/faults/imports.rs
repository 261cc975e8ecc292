//! `kill -9` in the middle of an import: each row is whole or not there, and no password of a user who was made is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use connect_idp::crypto::password::Cost;
use scraper::{Html, Selector};

use crate::setup::Setup;
use crate::support::{Engine, PASSWORD, PROVIDER, eventually, hash};
use crate::visitors::{Answer, Visitors};

const PATH: &str = "/admin/users/import";
const ROWS: usize = 300;
/// Some milliseconds a row: there is a middle to be killed in.
const COST: Cost = Cost { memory_kib: 8 * 1024, iterations: 2, parallelism: 1 };

/// Begins the import of the file; where it is shown.
async fn begin(visitors: &Visitors, cookie: &str) -> String {
    let rows: Vec<_> = (0..ROWS).map(|number| format!("row{number},Row {number}")).collect();
    let text = format!("login_name,name\n{}\n", rows.join("\n"));
    let preview = visitors.post(PATH, &[("text", &text)], cookie).await.unwrap();
    let page = Html::parse_document(&preview.body);
    let value = |name: &str| {
        let input = Selector::parse(&format!("#create-form input[name={name}]")).unwrap();
        page.select(&input).next().unwrap_or_else(|| panic!("{preview:?}")).attr("value").unwrap().to_owned()
    };
    let (seen, attempt) = (value("seen"), value("attempt"));
    let form = [("text", text.as_str()), ("seen", &seen), ("attempt", &attempt), ("go", "create")];
    let started = visitors.post(PATH, &form, cookie).await.unwrap();
    assert_eq!(started.status, 303, "{started:?}");
    started.location
}

/// Login Names and temporary passwords on the slips of an import.
async fn slips(visitors: &Visitors, job: &str, cookie: &str) -> BTreeSet<(String, String)> {
    let opened = visitors.post(&format!("{job}/slips"), &[], cookie).await.unwrap();
    let page = Html::parse_document(&opened.body);
    let texts = |select: &str| -> Vec<String> {
        page.select(&Selector::parse(select).unwrap()).map(|element| element.text().collect()).collect()
    };
    texts(".slip-login-name").into_iter().zip(texts(".slip code")).collect()
}

fn is_running(page: &Answer) -> bool {
    !page.text("import-running").is_empty()
}

on_engines! { an_import_that_was_killed_lost_no_password: sqlite, postgres }
async fn an_import_that_was_killed_lost_no_password(engine: Engine) {
    let setup = Setup::new(engine, 0, COST, "").await;
    let hash = hash(COST).await;
    setup.apply(&format!(
        "[[user]]\nprovider = \"{PROVIDER}\"\nlogin_name = \"paul\"\nname = \"Paul\"\nuser_type = \"Provider Admin\"\n\
         password_hash = '{hash}'\ntemporary = false\n"
    ));
    let mut service = setup.serve().await;
    let visitors = service.visitors();
    let cookie = visitors.try_log_in("paul", PASSWORD, None).await.unwrap().session().unwrap();
    let first = begin(&visitors, &cookie).await;
    let under_way = async || setup.count("import_rows").await >= 20;
    eventually("some rows are done", Duration::from_secs(30), under_way).await;
    service.kill();
    let made = setup.count("users WHERE name LIKE 'Row %'").await;
    assert!((20..ROWS).contains(&made), "{made}");
    assert_eq!(setup.count("import_rows").await, made);

    service = setup.serve().await;
    let visitors = service.visitors();
    assert!(is_running(&visitors.get(&first, Some(&cookie)).await.unwrap()), "its process may yet be there");
    // As after a minute.
    setup.run_sql("UPDATE imports SET alive_until = 0").await;
    let page = visitors.get(&first, Some(&cookie)).await.unwrap();
    let said = format!("The import stopped after {made} of {ROWS} rows. The service was interrupted.");
    assert!(page.text("import-stopped").starts_with(&said), "{}", page.text("import-stopped"));
    let handed_out = slips(&visitors, &first, &cookie).await;
    assert_eq!(handed_out.len(), made);

    let second = begin(&visitors, &cookie).await;
    let done = async || !is_running(&visitors.get(&second, Some(&cookie)).await.unwrap());
    eventually("the rest is done", Duration::from_mins(1), done).await;
    let page = visitors.get(&second, Some(&cookie)).await.unwrap();
    let said = format!("{} created, {made} existed already, 0 could not be created.", ROWS - made);
    assert!(page.text("import-done").starts_with(&said), "{}", page.text("import-done"));
    let rest = slips(&visitors, &second, &cookie).await;
    assert_eq!((rest.len(), handed_out.union(&rest).count()), (ROWS - made, ROWS));
    for (login_name, password) in [handed_out.first(), rest.first()].into_iter().flatten() {
        let answer = visitors.try_log_in(login_name, password, None).await.unwrap();
        assert_eq!(answer.location, "/password/update", "{login_name}");
    }
    setup.cli(&["doctor"]);
    setup.cli(&["activity", "verify"]);
}
