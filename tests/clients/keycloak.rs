//! Keycloak as a broker: its own apps' users sign in with us.

use std::fs;
use std::process::Command;

use crate::harness::people::AMINA;
use crate::journey::{allow, sign_in};
use crate::service::SECRET;
use crate::stage::{Place, Stage, packages};

/// The sign-out there ends the session here, from server to server ("backchannel logout" in its settings), without a
/// cookie of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_of_keycloaks_signs_in_with_us_until_they_sign_out() {
    let Some(folder) = packages("keycloak") else { return };
    let client = |origin: &str| {
        let endpoint = format!("{origin}/realms/house/broker/therap/endpoint");
        format!(
            "client_id = \"portal\"\nclient_secret = \"{SECRET}\"\nclient_name = \"Care Portal\"\n\
             redirect_uris = [\"{endpoint}\"]\npost_logout_redirect_uris = [\"{endpoint}/logout_response\"]\n\
             scope = \"openid profile email\"\n"
        )
    };
    let Some(stage) = Stage::with(Place::plain(), client).await else { return };
    let Stage { browser, service, app } = &stage;
    let home = fs::read_dir(folder.join("target/dependency")).unwrap().next().unwrap().unwrap().path();
    let realm = include_str!("keycloak/realm.json").replace("$ISSUER", &service.issuer);
    fs::create_dir_all(home.join("data/import")).unwrap();
    fs::write(home.join("data/import/house.json"), realm.replace("$CLIENT_SECRET", SECRET)).unwrap();
    let mut command = Command::new("bash");
    command
        .arg(home.join("bin/kc.sh"))
        .args(["start-dev", "--import-realm", "--db=dev-mem", "--http-host=127.0.0.1"])
        .arg(format!("--http-port={}", app.port))
        .arg(format!("--truststore-paths={}", service.certificates.authority.display()));
    let _keycloak = stage.run("Keycloak", command).await;

    browser.open(&format!("{}/realms/house/account/", app.origin)).await;
    browser.follow("#social-therap").await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    browser.see("#username").await;
    assert_eq!(browser.value("#username").await, AMINA.login_name);
    assert_eq!(browser.value("#email").await, "amina@sunrise.example");

    browser.open(&format!("{}/realms/house/protocol/openid-connect/logout", app.origin)).await;
    browser.follow("#kc-logout").await;
    browser.is_out().await;
    let ended = service.activity().iter().filter(|record| record["kind"] == "logout").count();
    assert_eq!(ended, 1);
}
