//! Every page of the admins in every state, one after the other.

use crate::harness::people::{PAUL, ROOT};
use crate::harness::{Browser, Stage};

/// Shows every page of a Provider Admin, then of a Therap Admin; `look` is told its name.
pub async fn admin_pages(Stage { browser, .. }: &Stage, look: &impl AsyncFn(&str)) {
    browser.sign_in(&PAUL).await;
    users(browser, look).await;
    import(browser, look).await;
    provider(browser, look).await;
    browser.open("/").await;
    browser.log_out().await;
    browser.sign_in(&ROOT).await;
    operator(browser, look).await;
}

async fn users(browser: &Browser, look: &impl AsyncFn(&str)) {
    browser.open("/admin/users").await;
    look("admin-users").await;
    browser.click("#select-all").await;
    browser.follow("#reset-selected").await;
    look("admin-users-reset").await;
    browser.follow("#confirm-cancel").await;
    browser.open("/admin/users?q=nobody-at-all").await;
    look("admin-users-none").await;
    browser.open("/admin/users/new").await;
    look("admin-new-user").await;
    browser.fill("#login-name", "a b").await;
    browser.follow("#create-submit").await;
    look("admin-new-user-errors").await;
    browser.fill("#login-name", "tour").await;
    browser.fill("#name", "Tour Guide").await;
    browser.follow("#create-submit").await;
    browser.see("#temporary-password").await;
    look("admin-password").await;
    browser.click("#go-on").await;
    look("admin-password-not-kept").await;
    browser.follow("#leave-anyway").await;
    browser.follow("#lock").await;
    look("admin-lock").await;
    browser.fill("#reason", &"x".repeat(501)).await;
    browser.follow("#confirm-submit").await;
    look("admin-lock-errors").await;
    browser.fill("#reason", "Asked for by her supervisor").await;
    browser.follow("#confirm-submit").await;
    look("admin-user").await;
    browser.fill("#name", " ").await;
    browser.follow("#save-submit").await;
    look("admin-user-errors").await;
    browser.open("/admin/users?q=tour").await;
    browser.click("#users-table input[type=checkbox]").await;
    browser.follow("#lock-selected").await;
    browser.reads("p.message", "That has already been done. Nothing was changed.").await;
    browser.click("#users-table input[type=checkbox]").await;
    browser.follow("#reset-selected").await;
    browser.follow("#confirm-submit").await;
    browser.see(".temporary-password").await;
    look("admin-users-done").await;
    browser.open("/admin/users?q=paul").await;
    browser.follow("#users-table a").await;
    look("admin-user-own").await;
    browser.open("/admin/activity").await;
    look("admin-activity").await;
    browser.open("/admin/activity?from=2027-01-16&to=2027-01-15").await;
    look("admin-activity-errors").await;
}

async fn import(browser: &Browser, look: &impl AsyncFn(&str)) {
    browser.open("/admin/users/import").await;
    look("admin-import").await;
    browser.follow("#import-submit").await;
    look("admin-import-errors").await;
    browser.fill("#text", "login_name,name\nimported,Imported User\namina,Amina\nnot good,\n").await;
    browser.follow("#import-submit").await;
    browser.see("#import-preview").await;
    look("admin-import-preview").await;
    browser.follow("#import-create").await;
    browser.see("#import-done").await;
    look("admin-import-done").await;
    browser.follow("#import-slips").await;
    browser.see("#slips-count").await;
    look("admin-import-slips").await;
}

async fn provider(browser: &Browser, look: &impl AsyncFn(&str)) {
    browser.open("/admin/provider").await;
    look("admin-provider").await;
    browser.fill("#idle-minutes", "many").await;
    browser.follow("#save-submit").await;
    look("admin-provider-errors").await;
}

async fn operator(browser: &Browser, look: &impl AsyncFn(&str)) {
    for (path, name) in [
        ("/operator", "operator"),
        ("/operator/requests", "operator-requests"),
        ("/operator/providers", "operator-providers"),
        ("/operator/providers/new", "operator-new-provider"),
        ("/operator/clients", "operator-clients"),
        ("/operator/clients?q=portal&kind=web", "operator-clients-found"),
        ("/operator/clients/new", "operator-new-client"),
        ("/operator/clients/new?kind=web", "operator-new-client-web"),
        ("/operator/clients/new?kind=single-page", "operator-new-client-single-page"),
        ("/operator/clients/new?kind=native", "operator-new-client-native"),
        ("/operator/clients/new?kind=service", "operator-new-client-service"),
        ("/operator/clients/new?kind=resource-server", "operator-new-client-resource-server"),
        ("/operator/deliveries", "operator-deliveries"),
        ("/operator/keys", "operator-keys"),
        ("/operator/issuers", "operator-issuers"),
        ("/operator/issuers/new", "operator-new-issuer"),
        ("/operator/activity", "operator-activity"),
    ] {
        browser.open(path).await;
        look(name).await;
    }
    browser.open("/operator/providers?q=sunrise").await;
    browser.follow("#providers-table a").await;
    look("operator-provider").await;
    browser.follow("#users").await;
    look("operator-users").await;
    browser.follow("#users-table a").await;
    look("operator-user").await;
    browser.turn_page(async || browser.back().await).await;
    browser.turn_page(async || browser.back().await).await;
    browser.follow("#create-admin").await;
    look("operator-provider-errors").await;
    browser.open("/operator/providers?q=sunrise").await;
    browser.follow("#providers-table a").await;
    browser.follow("#deactivate").await;
    look("operator-confirm").await;
    browser.follow("#confirm-submit").await;
    look("operator-confirm-errors").await;
    clients(browser, look).await;
    browser.open("/operator/issuers").await;
    browser.follow("#issuers-table a").await;
    look("operator-issuer").await;
    browser.open("/operator/issuers/new").await;
    browser.follow("#create-submit").await;
    look("operator-new-issuer-errors").await;
    browser.open("/workbench").await;
    browser.follow("#workbench-submit").await;
    look("workbench-empty").await;
    browser.fill("#assertion", "e30.e30.e30").await;
    browser.follow("#workbench-submit").await;
    browser.see("#checks-table").await;
    look("workbench-checks").await;
    browser.follow("#new-key-submit").await;
    browser.see("#new-private-key").await;
    look("workbench-key").await;
}

async fn clients(browser: &Browser, look: &impl AsyncFn(&str)) {
    browser.open("/operator/clients/new").await;
    browser.follow("#kind-web").await;
    browser.click("#advanced > summary").await;
    look("operator-new-client-advanced").await;
    browser.fill("#client-id", "tour app").await;
    browser.fill("#scope", "nothing").await;
    browser.fill("#jwks-uri", "ftp://nowhere").await;
    browser.follow("#create-submit").await;
    look("operator-new-client-errors").await;
    browser.fill("#jwks-uri", "").await;
    browser.fill("#client-id", "tour").await;
    browser.fill("#scope", "openid").await;
    browser.fill("#redirect-uris", "https://tour.example.org/callback").await;
    browser.follow("#create-submit").await;
    browser.see("#client-secret").await;
    look("operator-client-secret").await;
    browser.click("#client-secret + .copy").await;
    browser.reads("#client-secret + .copy", "Copied").await;
    browser.click("#connect .snippet > summary").await;
    look("operator-client-secret-snippets").await;
    browser.follow("#go-on").await;
    look("operator-client").await;
    browser.click("#connect .snippet > summary").await;
    look("operator-client-snippets").await;
    browser.fill("#scope", "nothing").await;
    browser.follow("#save-submit").await;
    look("operator-client-errors").await;
    browser.open("/operator/clients").await;
    browser.follow("#clients-table a").await;
    browser.follow("#delete").await;
    look("operator-client-delete").await;
    browser.follow("#confirm-cancel").await;
    browser.follow("#rotate-secret").await;
    look("operator-client-rotate").await;
}
