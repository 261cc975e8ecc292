//! Debian's `libapache2-mod-auth-openidc` in Apache httpd.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::harness::eventually;
use crate::journey::{allow, assert_is_amina, assert_same_sign_in, shown, sign_in};
use crate::needs::named;
use crate::program::Program;
use crate::service::SECRET;
use crate::stage::{Place, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_in_apache_is_for_who_signed_in() {
    let Some((_apache, stage)) = signed_in().await else { return };
    let Stage { browser, service, app } = &stage;
    let first = shown(browser).await;
    assert_is_amina(&first, service).await;

    let token = browser.text("#access-token").await;
    browser.follow("#refresh").await;
    browser.is_at(&format!("{}/private/", app.origin)).await;
    assert_ne!(browser.text("#access-token").await, token);
    let second = shown(browser).await;
    assert_is_amina(&second, service).await;
    assert_same_sign_in(&first["id_token"], &second["id_token"]);

    browser.follow("#sign-out").await;
    browser.is_at(&format!("{}/", app.origin)).await;
    browser.is_out().await;
    browser.open(&format!("{}/private/", app.origin)).await;
    browser.see("#login-form").await;
}

/// OpenID Connect Back-Channel Logout §2.5: the module believes the logout token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_at_the_service_ends_the_session_in_apache() {
    let Some((_apache, stage)) = signed_in().await else { return };
    let Stage { browser, app, .. } = &stage;
    browser.open("/").await;
    browser.log_out().await;
    let private = format!("{}/private/", app.origin);
    let ended = eventually(async || {
        browser.open(&private).await;
        if browser.has("#login-form").await { Ok(()) } else { Err(browser.view().await) }
    });
    ended.await.unwrap_or_else(|last| panic!("the session in Apache lives: {last:?}"));
}

/// The user has signed in to the private page; `None` when something is missing, which was then said.
async fn signed_in() -> Option<(Program, Stage)> {
    let program = named("CONNECT_IDP_TEST_APACHE")?;
    let client = |origin: &str| {
        format!(
            "client_id = \"portal\"\nclient_secret = \"{SECRET}\"\nclient_name = \"Care Portal\"\n\
             redirect_uris = [\"{origin}/private/redirect_uri\"]\npost_logout_redirect_uris = [\"{origin}/\"]\n\
             backchannel_logout_uri = \"{origin}/private/redirect_uri?logout=backchannel\"\n\
             grant_types = [\"authorization_code\", \"refresh_token\"]\nscope = \"openid profile email provider\"\n"
        )
    };
    let stage = Stage::with(Place::secure(), client).await?;
    let apache = start(&program, &stage).await;
    let Stage { browser, app, .. } = &stage;
    browser.open(&app.origin).await;
    browser.follow("#sign-in").await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    browser.is_at(&format!("{}/private/", app.origin)).await;
    Some((apache, stage))
}

/// An Apache of the test's own, beside the machine's.
async fn start(apache: &Path, stage: &Stage) -> Program {
    let Stage { service, app, .. } = stage;
    let folder = service.folder.path().join("apache");
    let of_the_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/apache");
    for page in ["index.shtml", "private/index.shtml"] {
        let to = folder.join("pages").join(page);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(of_the_repository.join("pages").join(page), to).unwrap();
    }
    let mut command = Command::new(apache);
    // Started by root, its workers are somebody else, who must come to the pages.
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(service.folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        command.args(["-D", "ROOT"]);
    }
    command
        .arg("-f")
        .arg(of_the_repository.join("apache.conf"))
        .args(["-D", "FOREGROUND"])
        .env("FOLDER", &folder)
        .env("PORT", app.port.to_string())
        .env("CERTIFICATE", &service.certificates.certificate)
        .env("KEY", &service.certificates.key)
        .env("AUTHORITY", &service.certificates.authority)
        .env("ISSUER", &service.issuer)
        .env("CLIENT_ID", "portal")
        .env("CLIENT_SECRET", SECRET)
        .env("APP_URL", &app.origin)
        .env("PASSPHRASE", SECRET);
    Program::start("Apache", command, service.folder.path(), app.port).await
}
