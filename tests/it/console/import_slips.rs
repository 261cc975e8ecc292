//! What is handed out after an import: slips, a file and invitations, as long as they are of use to their users, and each
//! opening on record.

use connect_idp::operations::users;
use zeroize::Zeroizing;

use crate::actors::{Browser, Idp, User};
use crate::console::import::{admin, import, passwords, report, slips, upload};
use crate::outbound::mail::{Server, deliver, set};

const PATH: &str = "/admin/users/import";

/// The user of this Login Name whom an import made.
async fn made(idp: &Idp, login_name: &'static str) -> User {
    let id = idp.outsider().await.text(&format!("SELECT id FROM users WHERE login_name = '{login_name}'")).await;
    let provider_id = idp.outsider().await.text(&format!("SELECT provider_id FROM users WHERE id = '{id}'")).await;
    User { id, provider_id, ..User::nobody(login_name, "SUNRISE-IL") }
}

/// Which kinds were recorded, with their notes up to the semicolon, and by whom.
async fn records_since(idp: &Idp, before: usize) -> Vec<String> {
    let records = idp.activity().await;
    let line = |note: &Option<String>| note.as_deref().unwrap_or("-").split(';').next().unwrap().to_owned();
    records[before..].iter().map(|record| format!("{} {} {}", record.actor, record.kind, line(&record.note))).collect()
}

/// Sends a file and creates its users, who are invited where that can be.
async fn invite(browser: &mut Browser, file: &str) -> crate::actors::Answer {
    let shown = upload(browser, file.as_bytes()).await;
    let started = browser.submit_by(&shown, "#create-form", "invite", "yes").await;
    report(browser, started).await
}

both_engines! {
    /// A slip has all that its person needs; looking at the import shows no password and is no record, each opening of
    /// slips or file is one.
    async fn a_slip_has_all_and_each_opening_is_one_record(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let shown = browser.post(PATH, &[("text", "login_name,name\nnina,Nina Roy\nowen,<b>Owen</b>\n")]).await;
        let done = import(&mut browser, &shown).await;
        let before = idp.activity().await.len();
        assert!(!browser.get(&done.path).await.has("code"));
        for opened in ["slips", "report"] {
            assert_eq!(browser.get(&format!("{}/{opened}", done.path)).await.location(), done.path);
        }
        assert_eq!(records_since(&idp, before).await, [""; 0]);
        let opened = slips(&mut browser, &done).await;
        let codes = opened.texts(".slip code");
        assert_eq!(opened.header("cache-control"), Some("no-store"));
        assert_eq!(opened.texts(".slip h2"), ["Nina Roy", "<b>Owen</b>"]);
        let first = &opened.texts(".slip")[0];
        let said = format!("Address {} Provider Code SUNRISE-IL Login Name nina Temporary password {}", idp.app.config.issuer, codes[0]);
        assert!(first.contains(&said) && first.contains("Works until"), "{first}");
        assert_eq!(idp.browser().try_login("nina", &codes[0], "SUNRISE-IL").await.location(), "/password/update");
        let before_file = records_since(&idp, before).await.len();
        let file = browser.submit(&done, "#download-form", &[]).await;
        assert!(codes.iter().all(|code| file.body.contains(code.as_str())));
        slips(&mut browser, &done).await;
        let records = records_since(&idp, before).await;
        assert_eq!(records[0], "admin paul import_opened slips to print, temporary passwords: 2");
        assert_eq!(records[before_file..], [
            "admin paul import_opened CSV file, temporary passwords: 2",
            "admin paul import_opened slips to print, temporary passwords: 2",
        ]);
        let id = done.path.rsplit('/').next().unwrap();
        let record = idp.activity().await.pop().unwrap();
        assert_eq!(record.provider_code.as_deref(), Some("SUNRISE-IL"));
        assert!(record.note.unwrap().ends_with(id));
        idp.assert_invariants().await;
    }

    /// A password that is not its user's any more is shown nowhere: replaced, reset, or of somebody who was deactivated.
    async fn a_password_that_was_replaced_is_shown_no_more(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let text = "login_name,name\nown,Own\nreset,Reset\ngone,Gone\nleft,Left\n";
        let shown = browser.post(PATH, &[("text", text)]).await;
        let done = import(&mut browser, &shown).await;
        let codes = passwords(&mut browser, &done).await;
        assert_eq!(codes.len(), 4);
        let mut theirs = idp.browser();
        assert_eq!(theirs.try_login("own", &codes[0], "SUNRISE-IL").await.location(), "/password/update");
        let fields = [("new_password", "Better-Horse-10"), ("confirm_new_password", "Better-Horse-10")];
        assert_eq!(theirs.post("/password/update", &fields).await.location(), "/");
        let (act, reset, gone) = (idp.act(), made(&idp, "reset").await, made(&idp, "gone").await);
        let other = Zeroizing::new("Another-Horse-9".to_owned());
        users::reset_password(&act, &reset.provider_id, &reset.id, &other, None).await.unwrap();
        users::set_active(&act, &gone.provider_id, &gone.id, false).await.unwrap();

        let page = browser.get(&done.path).await;
        assert_eq!(page.texts("#import-table .note"), [
            "Already has their own password.", "The password was reset later.", "The user was deactivated.",
        ]);
        let opened = slips(&mut browser, &page).await;
        assert_eq!(opened.texts(".slip code"), codes[3..]);
        assert!(opened.text("#slips-without").starts_with("3 more users were created"));
        let file = browser.submit(&page, "#download-form", &[]).await;
        assert!(!codes[..3].iter().any(|code| file.body.contains(code.as_str())) && file.body.contains(&codes[3]));
        assert!(file.body.contains("\"Already has their own password.\""));
        // The same password works again.
        users::set_active(&act, &gone.provider_id, &gone.id, true).await.unwrap();
        assert_eq!(passwords(&mut browser, &page).await, codes[2..]);
        for user in [gone, made(&idp, "left").await] {
            users::set_active(&act, &user.provider_id, &user.id, false).await.unwrap();
        }
        let before = idp.activity().await.len();
        let last = browser.get(&page.path).await;
        assert!(!last.has("#slips-form"));
        assert!(browser.submit(&last, "#download-form", &[]).await.body.contains("\"The user was deactivated.\""));
        assert_eq!(idp.activity().await.len(), before, "a file without passwords is no opening");
        idp.assert_invariants().await;
    }

    /// Two tabs, a double press and the Back button: a preview begins one import, whose passwords are found.
    async fn a_preview_that_is_sent_again_begins_one_import(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let shown = browser.post(PATH, &[("text", "login_name,name\nnina,Nina\nowen,Owen\n")]).await;
        let sent = (0..5).map(|_| {
            let (mut tab, shown) = (browser.clone(), shown.clone());
            tokio::spawn(async move { tab.submit(&shown, "#create-form", &[]).await.location().to_owned() })
        });
        let sent: Vec<_> = sent.collect();
        let mut places = Vec::new();
        for tab in sent {
            places.push(tab.await.unwrap());
        }
        places.dedup();
        assert_eq!((places.len(), idp.number("SELECT COUNT(*) FROM imports").await), (1, 1), "{places:?}");
        let started = browser.submit(&shown, "#create-form", &[]).await;
        assert_eq!(started.location(), places[0]);
        let done = report(&mut browser, started).await;
        assert!(done.text("#import-done").starts_with("2 created, 0 existed already,"));
        let again = browser.submit(&shown, "#create-form", &[]).await;
        assert_eq!(again.location(), places[0], "the Back button leads to the passwords");
        assert_eq!(passwords(&mut browser, &done).await.len(), 2);
        idp.assert_invariants().await;
    }

    /// Whoever has an address is sent a link where that is wished, the others have slips; and one mailbox of many is not
    /// flooded.
    async fn users_with_an_address_are_invited(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = server.idp(engine).await;
        let mut browser = admin(&idp).await;
        let file = "login_name,name,email,password\nnina,Nina,nina@example.org,\nowen,Owen,,\npia,Pia,pia@example.org,Given-Horse-9\n";
        let shown = upload(&mut browser, file.as_bytes()).await;
        assert_eq!(shown.text("label[for=invite]"), "Invite 1 user by e-mail");
        let before = idp.activity().await.len();
        let done = invite(&mut browser, file).await;
        assert_eq!(done.text("#import-invited"), "1 user was invited by e-mail and need no slip.");
        assert_eq!(slips(&mut browser, &done).await.texts(".slip-login-name"), ["owen", "pia"]);
        assert!(records_since(&idp, before).await.iter().all(|record| record.starts_with("admin paul ")));
        deliver(&idp).await;
        let link = server.link_to(&idp, "nina@example.org", "Set up your Therap Connect account");
        assert_eq!(set(&idp, &link).await.location(), "/login");
        let page = browser.get(&done.path).await;
        assert_eq!(page.texts("#import-table .note"), ["Already has their own password."]);

        let shared: Vec<_> = (0..12).map(|n| format!("s{n},Shared,desk@example.org")).collect();
        let done = invite(&mut browser, &format!("login_name,name,email\n{}\n", shared.join("\n"))).await;
        assert!(done.text("#import-done").starts_with("12 created,"), "{}", done.body);
        let invited = done.texts("#import-table .note").iter().filter(|note| *note == "Invited by e-mail.").count();
        let codes = passwords(&mut browser, &done).await.len();
        assert_eq!((invited, codes), (10, 2));
        idp.assert_invariants().await;
    }

    /// Where e-mail is not configured nobody is invited, whatever a form says.
    async fn without_mail_everybody_has_a_slip(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let file = "login_name,name,email\nnina,Nina,nina@example.org\n";
        assert!(!upload(&mut browser, file.as_bytes()).await.has("#invite"));
        let done = invite(&mut browser, file).await;
        assert_eq!(passwords(&mut browser, &done).await.len(), 1);
    }
}
