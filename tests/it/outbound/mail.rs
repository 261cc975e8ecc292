//! Mail, against a real SMTP server: the link for a forgotten password (L6), and notices.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use connect_idp::config::{Mail, MailTls};
use connect_idp::jobs;
use connect_idp::model::user::UserType;
use connect_idp::store;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use serde_json::{Value, json};

use crate::actors::{Answer, Engine, Idp, PASSWORD, User, named};

/// The mail server of tests/mail; it ends with the test.
pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Server {
    /// `None` where its Python packages are not: then the test is left out.
    pub fn start(more: &[&str]) -> Option<Self> {
        let tools = named("CONNECT_IDP_TEST_MAIL")?;
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(tools.join("venv/bin/python"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail/server.py"))
            .arg(folder.path())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Self { child, folder, port: line.trim().parse().unwrap() })
    }

    /// The service that sends through it.
    pub async fn idp(&self, engine: Engine) -> Idp {
        let mail = self.mail();
        Idp::start_with(engine, |config| config.mail = Some(mail)).await
    }

    pub fn mail(&self) -> Mail {
        Mail {
            host: "localhost".into(),
            port: Some(self.port),
            tls: MailTls::None,
            username: None,
            password: None,
            from: "Therap Connect <no-reply@example.org>".into(),
            unified_login: true,
        }
    }

    /// All that arrived.
    pub fn mails(&self) -> Vec<Value> {
        let kept = std::fs::read_to_string(self.folder.path().join("mails")).unwrap_or_default();
        kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn subjects(&self) -> Vec<String> {
        self.mails().iter().map(|mail| mail["headers"]["subject"].as_str().unwrap().to_owned()).collect()
    }

    fn refuse(&self, answer: Option<&str>) {
        let file = self.folder.path().join("refuse");
        match answer {
            Some(answer) => std::fs::write(file, answer).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
    }

    /// The path of the link in the newest mail to an address that begins with these words.
    pub fn link_to(&self, idp: &Idp, to: &str, words: &str) -> String {
        let mut mails = self.mails();
        mails.retain(|mail| {
            mail["to"] == json!([to]) && mail["headers"]["subject"].as_str().unwrap().starts_with(words)
        });
        let body = mails.pop().unwrap_or_else(|| panic!("{:?}", self.mails()))["body"].as_str().unwrap().to_owned();
        let link = body.lines().find_map(|line| line.strip_prefix(&format!("{}/", idp.app.config.issuer)));
        format!("/{}", link.unwrap_or_else(|| panic!("{body}")))
    }

    /// The path of the link in the last mail.
    fn link(&self, idp: &Idp) -> String {
        let mail = self.mails().pop().unwrap();
        let body = mail["body"].as_str().unwrap();
        let link = body.lines().find_map(|line| line.strip_prefix(&format!("{}/password/", idp.app.config.issuer)));
        format!("/password/{}", link.unwrap_or_else(|| panic!("{body}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LINK: &str = "Set a new Therap Connect password";
const CHANGED: &str = "Your Therap Connect password was changed";
const RESET: &str = "Your Therap Connect password was reset";

pub async fn with_claims(idp: &Idp, user: &User, claims: Value) {
    let (user, claims) = (user.clone(), claims.to_string());
    let user_type = idp.account(&user).await.user_type;
    in_tx!(idp, [user, claims], |tx| store::users::update(tx, &user.id, &user.name, user_type, &claims).await);
}

/// A user with a verified address.
async fn reachable(idp: &Idp, login_name: &str) -> User {
    let user = idp.user(login_name).create().await;
    with_claims(idp, &user, json!({ "email": format!("{login_name}@example.org"), "email_verified": true })).await;
    user
}

pub async fn ask(idp: &Idp, user: &User) -> Answer {
    let fields = [("login_name", user.login_name.as_str()), ("provider_code", user.provider_code.as_str())];
    idp.browser().post("/forgot-password", &fields).await
}

/// What the job does in two rounds: answers what was asked, and sends the results.
pub async fn deliver(idp: &Idp) {
    for _ in 0..2 {
        jobs::mail::process_batch(&idp.app).await.unwrap();
    }
}

pub async fn set(idp: &Idp, path: &str) -> Answer {
    let fields = [("new_password", "Better-Horse-10"), ("confirm_new_password", "Better-Horse-10")];
    idp.browser().post(path, &fields).await
}

both_engines! {
    /// From the page to the new password: sessions end, a password lock is lifted, one record, a notice, nothing left
    /// behind.
    async fn a_forgotten_password_is_set_by_a_mailed_link(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = server.idp(engine).await;
        let amina = reachable(&idp, "amina").await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        for _ in 0..3 {
            idp.browser().log_in(&amina, "Wrong-Horse-9").await;
        }
        let mut browser = idp.browser();
        let page = browser.get("/forgot-password?return_to=/activity").await;
        let empty = browser.submit(&page, "#forgot-form", &[]).await;
        assert_eq!(empty.status, 422);
        assert!(empty.has("#login-name-error") && empty.has("#provider-code-error"));
        let fields = [("login_name", "Amina"), ("provider_code", amina.provider_code.as_str())];
        let asked = browser.submit(&page, "#forgot-form", &fields).await;
        assert_eq!(asked.location(), "/forgot-password?return_to=%2Factivity");
        let told = browser.follow(asked).await;
        assert!(told.has("#forgot-notice") && !told.has("#forgot-form"));
        assert!(server.mails().is_empty());
        let records = idp.activity().await.len();

        deliver(&idp).await;
        let mails = server.mails();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0]["to"], json!(["amina@example.org"]));
        assert_eq!(mails[0]["headers"]["subject"], LINK);
        assert_eq!(mails[0]["headers"]["auto-submitted"], "auto-generated");
        assert_eq!(idp.number("SELECT COUNT(*) FROM mails WHERE sealed <> ''").await, 0);
        let path = server.link(&idp);
        hers.assert_signed_in_as(&amina).await;
        assert_eq!(browser.get(&path).await.text("h1"), "Set Your Password");
        assert_eq!(set(&idp, &path).await.location(), "/login");
        assert_eq!(set(&idp, &path).await.status, 404);
        hers.assert_signed_out().await;
        assert_eq!(idp.browser().log_in(&amina, PASSWORD).await.status, 403);
        assert_eq!(idp.browser().log_in(&amina, "Better-Horse-10").await.location(), "/");
        let all = idp.record().await;
        assert_eq!(all.len(), records + 3);
        assert_eq!(all.iter().filter(|line| *line == "password_updated success").count(), 1);
        deliver(&idp).await;
        assert_eq!(server.subjects(), [LINK, CHANGED]);
        idp.assert_invariants().await;
    }

    /// Whoever asks is answered the same by the same one step; who is written to is found out later.
    async fn the_answer_does_not_tell_who_exists(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = server.idp(engine).await;
        let mut asking = vec![reachable(&idp, "user0").await];
        asking.push(idp.user("user1").create().await);
        let unverified = idp.user("user2").create().await;
        with_claims(&idp, &unverified, json!({ "email": "user2@example.org" })).await;
        let gone = reachable(&idp, "user3").await;
        idp.set_active(&gone, false).await;
        let locked = reachable(&idp, "user4").await;
        idp.lock(&locked).await;
        let closed = idp.provider("CLOSED", |provider| provider.active = false).await;
        let inside = idp.user("user5").of(&closed.code).create().await;
        with_claims(&idp, &inside, json!({ "email": "user5@example.org", "email_verified": true })).await;
        let root = idp.user("user6").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        with_claims(&idp, &root, json!({ "email": "user6@example.org", "email_verified": true })).await;
        asking.extend([unverified, gone, locked, inside, root]);
        asking.push(User::nobody("user7", &asking[0].provider_code));
        asking.push(User::nobody("user8", "NOWHERE"));
        asking.push(User::nobody("a b\u{0}c", "\u{0}"));
        asking.push(User::nobody(&"x".repeat(5000), "MAPLE"));
        let records = idp.activity().await.len();
        let mut outsides = Vec::new();
        for (n, user) in asking.iter().enumerate() {
            outsides.push(ask(&idp, user).await.outside());
            let rows = idp.number("SELECT COUNT(*) FROM mails WHERE kind = 'asked' AND attempts = 0").await;
            assert_eq!(rows, i64::try_from(n).unwrap() + 1, "one row each");
        }
        assert!(outsides.windows(2).all(|pair| pair[0] == pair[1]), "{outsides:?}");
        assert_eq!(idp.number("SELECT COUNT(*) FROM password_links").await, 0);
        assert_eq!(idp.number("SELECT COUNT(*) FROM mails WHERE user_id IS NOT NULL").await, 0);
        deliver(&idp).await;
        assert_eq!(server.mails().iter().map(|mail| mail["to"].clone()).collect::<Vec<_>>(), [json!(["user0@example.org"])]);
        assert_eq!(idp.number("SELECT COUNT(*) FROM mails WHERE kind = 'asked'").await, 0);
        assert_eq!(idp.activity().await.len(), records, "strangers write nothing into the record");
    }

    /// A provider that does not allow it: the same answer, and no mail. Notices go on.
    async fn no_link_is_mailed_where_the_provider_does_not_allow_it(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = server.idp(engine).await;
        let amina = reachable(&idp, "amina").await;
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let (mut his, mut hers) = (idp.browser(), idp.browser());
        his.sign_in(&paul).await;
        hers.sign_in(&root).await;
        let page = his.get("/admin/provider").await;
        assert_eq!(page.form("#provider-form").fields["reset_by_mail"], "yes", "allowed until somebody says otherwise");
        let older = his.submit(&page, "#provider-form", &[("reset_by_mail", "")]).await;
        assert_eq!(his.told(older).await, "No changes to save.", "a form without it leaves it alone");
        let saved = his.submit(&page, "#provider-form", &[("reset_by_mail", "no")]).await;
        assert_eq!(his.follow(saved).await.form("#provider-form").fields["reset_by_mail"], "no");
        let record = idp.activity().await.pop().unwrap();
        assert_eq!((record.kind.as_str(), record.note.as_deref()), ("provider_changed", Some("reset_by_mail")));

        let nobody = User::nobody("nobody", &amina.provider_code);
        assert_eq!(ask(&idp, &amina).await.outside(), ask(&idp, &nobody).await.outside());
        deliver(&idp).await;
        assert_eq!(server.subjects(), [""; 0]);
        assert_eq!(idp.number("SELECT COUNT(*) FROM password_links").await + idp.number("SELECT COUNT(*) FROM mails").await, 0);
        idp.reset_password(&amina, "Temporary-Horse-7").await;
        deliver(&idp).await;
        assert_eq!(server.subjects(), [RESET]);

        let provider_id = idp.account(&amina).await.provider_id;
        let page = hers.get(&format!("/operator/providers/{provider_id}")).await;
        assert_eq!(page.form("#provider-form").fields["reset_by_mail"], "no");
        let saved = hers.submit(&page, "#provider-form", &[("reset_by_mail", "yes")]).await;
        assert_eq!(hers.told(saved).await, "The changes were saved.");
        ask(&idp, &amina).await;
        deliver(&idp).await;
        assert_eq!(server.subjects(), [RESET, LINK]);
    }

    /// Three links an hour for one account, and no more tries from one address than for signing in.
    async fn accounts_and_addresses_are_throttled(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let mail = server.mail();
        let idp = Idp::start_with(engine, |config| {
            config.mail = Some(mail);
            config.throttle.enabled = true;
            config.throttle.address_per_minute = 5;
        }).await;
        let amina = reachable(&idp, "amina").await;
        for _ in 0..5 {
            assert_eq!(ask(&idp, &amina).await.status, 303);
        }
        let (known, unknown) = (ask(&idp, &amina).await, ask(&idp, &User::nobody("omarr", &amina.provider_code)).await);
        assert_eq!(known.status, 429);
        assert_eq!(known.outside(), unknown.outside());
        deliver(&idp).await;
        assert_eq!(server.mails().len(), 3);
        idp.advance(Duration::from_hours(1));
        ask(&idp, &amina).await;
        deliver(&idp).await;
        assert_eq!(server.mails().len(), 4);
    }

    /// A mailed link is over after 15 minutes, and with an admin's lock, which nothing here lifts.
    async fn a_mailed_link_is_short_lived(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = server.idp(engine).await;
        for (name, lock) in [("amina", false), ("omar", true)] {
            let user = reachable(&idp, name).await;
            ask(&idp, &user).await;
            deliver(&idp).await;
            let path = server.link(&idp);
            assert_eq!(idp.browser().get(&path).await.status, 200);
            if lock { idp.lock(&user).await } else { idp.advance(Duration::from_mins(15)) }
            assert_eq!(set(&idp, &path).await.status, 404);
            assert_eq!(idp.account(&user).await.admin_locked, lock);
        }
    }

    /// A server that will not take a mail now is asked again, by whichever replica; one mail arrives once.
    async fn mail_waits_for_the_server(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = server.idp(engine).await;
        let (amina, omar) = (reachable(&idp, "amina").await, reachable(&idp, "omar").await);
        server.refuse(Some("451 later"));
        idp.reset_password(&amina, "Other-Horse-11").await;
        deliver(&idp).await;
        server.refuse(None);
        deliver(&idp).await;
        assert!(server.mails().is_empty(), "not before its pause is over");
        idp.advance(Duration::from_secs(2));
        let other = idp.replica(|_| {}).await;
        let (one, two) = tokio::join!(jobs::mail::process_batch(&idp.app), jobs::mail::process_batch(&other.app));
        one.and(two).unwrap();
        assert_eq!(server.subjects(), [RESET]);
        server.refuse(Some("550 nobody here"));
        idp.reset_password(&omar, "Other-Horse-11").await;
        deliver(&idp).await;
        server.refuse(None);
        idp.advance(Duration::from_hours(1));
        deliver(&idp).await;
        assert_eq!(server.mails().len(), 1, "what will never be taken is given up");
        let settled = "SELECT COUNT(*) FROM mails WHERE state = 'given_up' AND sealed = ''";
        assert_eq!(idp.number(settled).await, 1);
        server.refuse(Some("451 later"));
        ask(&idp, &amina).await;
        deliver(&idp).await;
        server.refuse(None);
        idp.advance(Duration::from_mins(15));
        deliver(&idp).await;
        assert_eq!(server.mails().len(), 1, "a link that is over is not sent");
        assert_eq!(idp.number(settled).await, 2);
        idp.advance(Duration::from_hours(48));
        jobs::purge(&idp.app).await.unwrap();
        assert_eq!(idp.number("SELECT COUNT(*) FROM mails").await, 0);
    }

    /// A user with a verified address reads of every new password, whoever set it.
    async fn users_are_told_of_a_new_password(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = server.idp(engine).await;
        let amina = reachable(&idp, "amina").await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        let fields = [
            ("current_password", PASSWORD), ("new_password", "Better-Horse-10"), ("confirm_new_password", "Better-Horse-10"),
        ];
        assert_eq!(hers.post("/password/change", &fields).await.status, 303);
        deliver(&idp).await;
        idp.reset_password(&amina, "Other-Horse-11").await;
        deliver(&idp).await;
        assert_eq!(server.subjects(), [CHANGED, RESET]);
        assert!(server.mails().iter().all(|mail| !mail["body"].as_str().unwrap().contains("Horse")));
        idp.reset_password(&idp.user("omar").create().await, "Other-Horse-11").await;
        deliver(&idp).await;
        assert_eq!(server.mails().len(), 2);
    }

    /// Without `[mail]` all is as if there were none.
    async fn without_mail_there_is_none(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = reachable(&idp, "amina").await;
        let page = idp.browser().get("/forgot-password").await;
        assert!(!page.has("#forgot-form") && !page.has("#forgot-notice"));
        assert_eq!(ask(&idp, &amina).await.status, 405);
        idp.reset_password(&amina, "Other-Horse-11").await;
        assert_eq!(idp.number("SELECT COUNT(*) FROM mails").await, 0);
    }
}

/// A key and a certificate for `localhost`, as one PEM.
fn certificate() -> Vec<u8> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let names = SubjectAlternativeName::new().dns("localhost").build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    [builder.build().to_pem().unwrap(), key.private_key_to_pem_pkcs8().unwrap()].concat()
}

/// With STARTTLS and a password: a server whose certificate nobody vouches for, or that wants another password, gets
/// nothing, and the mail waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_proven_and_signed_in_to() {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("mail.pem");
    std::fs::write(&pem, certificate()).unwrap();
    let more = ["--certificate", pem.to_str().unwrap(), "--sign-in", "connect:Sesame-1"];
    let Some(server) = Server::start(&more) else { return };
    let mail = |password: &str| Mail {
        tls: MailTls::Starttls,
        username: Some("connect".into()),
        password: Some(password.into()),
        ..server.mail()
    };
    let idp = Idp::start_with(Engine::Sqlite, |config| config.mail = Some(mail("Sesame-1"))).await;
    idp.reset_password(&reachable(&idp, "amina").await, "Other-Horse-11").await;
    deliver(&idp).await;
    assert!(server.mails().is_empty(), "nobody vouches for its certificate");
    let error = "SELECT COUNT(*) FROM mails WHERE last_error LIKE '%certificate%'";
    assert_eq!(idp.number(error).await, 1);
    for (password, arrived) in [("Sesame-2", 0), ("Sesame-1", 1)] {
        idp.advance(Duration::from_mins(10));
        let replica = idp.replica(|config| {
            config.mail = Some(mail(password));
            config.outbound.ca_files = vec![pem.clone()];
        });
        deliver(&replica.await).await;
        let refused =
            idp.number("SELECT COUNT(*) FROM mails WHERE last_error LIKE '%535%' AND state = 'waiting'").await;
        assert_eq!(refused, 1 - i64::try_from(arrived).unwrap());
        assert_eq!(server.mails().len(), arrived, "{password}");
    }
    let mails = server.mails();
    assert_eq!((&mails[0]["tls"], &mails[0]["signed_in"]), (&json!(true), &json!(true)));
}
