//! The senders that docs/handoff.md shows, in Node and in Python, against the service.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::actors::{ISSUER, Idp, User, named, private_jwk};

/// What a sender prints when it is asked to mint.
fn minted(program: &PathBuf, script: &PathBuf, key: &PathBuf, idp: &Idp, user: &User, more: &[&str]) -> String {
    let output = Command::new(program)
        .arg(script)
        .args(["--issuer", ISSUER, "--audience", &idp.app.config.issuer, "--provider-code", &user.provider_code])
        .args(["--login-name", &user.login_name, "--sub", &user.sub()])
        .args(more)
        .arg("--key")
        .arg(key)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.trim_end_matches('\n').to_owned()
}

both_engines! {
    /// Every algorithm, from both languages, from the command line to the Dashboard or the target.
    async fn the_documented_senders_are_accepted(engine: Engine) {
        let Some(folder) = named("CONNECT_IDP_TEST_SENDERS") else { return };
        let idp = Idp::start_live(engine, |_| {}).await;
        let amina = idp.user("amina").create().await;
        let senders = [
            (PathBuf::from("node"), folder.join("sender.mjs")),
            (folder.join("venv/bin/python"), folder.join("sender.py")),
        ];
        for kid in ["es256", "ps256", "rs256", "eddsa"] {
            let key = idp.dir().join(format!("{kid}.jwk.json"));
            fs::write(&key, private_jwk(kid).to_string()).unwrap();
            for (program, script) in &senders {
                let assertion = minted(program, script, &key, &idp, &amina, &["--target", "/activity", "--amr", "pwd,otp"]);
                let mut browser = idp.browser();
                let first = browser.click(&assertion).await;
                assert_eq!(browser.complete(&first).await.location(), "/activity", "{kid} by {}", script.display());
                browser.assert_signed_in_as(&amina).await;
                idp.browser().hand_off(&assertion).await.assert_handoff_refused("Invalid Credential");
            }
        }
        assert_eq!(idp.number("SELECT COUNT(*) FROM sessions WHERE amr = '[\"pwd\",\"otp\"]'").await, 8);
    }
}
