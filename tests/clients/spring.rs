//! Spring Boot 4: an app, and the API that it calls with the user's access token.

use std::process::Command;

use crate::harness::people::AMINA;
use crate::journey::{allow, sign_in};
use crate::stage::{Stage, packages};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_app_in_spring_signs_in_calls_its_api_and_signs_out() {
    let Some(folder) = packages("spring") else { return };
    let more = "access_token_format = \"jwt\"\n";
    let Some(stage) = Stage::with_client("/login/oauth2/code/portal", more).await else { return };
    let trusted = stage.service.folder.path().join("trusted.p12");
    let mut keytool = Command::new("keytool");
    keytool
        .args(["-importcert", "-noprompt", "-alias", "tests", "-storetype", "PKCS12", "-storepass", "changeit"])
        .arg("-file")
        .arg(&stage.service.certificates.authority)
        .arg("-keystore")
        .arg(&trusted);
    stage.run_to_its_end(keytool).await;
    let mut command = Command::new("java");
    command
        .arg(format!("-Djavax.net.ssl.trustStore={}", trusted.display()))
        .args(["-Djavax.net.ssl.trustStorePassword=changeit", "-XX:TieredStopAtLevel=1", "-jar"])
        .arg(folder.join("target/app.jar"))
        .env("PORT", stage.app.port.to_string());
    let _app = stage.run("the app in Spring", command).await;
    let Stage { browser, service, app } = &stage;

    browser.open(&app.origin).await;
    browser.follow("#sign-in").await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    let sub = service.sub();
    browser.reads("#who", &sub).await;
    browser.reads("#login-name", AMINA.login_name).await;
    browser.reads("#provider", AMINA.provider).await;

    browser.follow("#call").await;
    browser.reads("#answer", &format!("{{\"client_id\":\"portal\",\"sub\":\"{sub}\"}}")).await;

    browser.open(&app.origin).await;
    browser.follow("#sign-out").await;
    browser.is_at(&format!("{}/", app.origin)).await;
    browser.see("#sign-in").await;
    browser.is_out().await;
}
