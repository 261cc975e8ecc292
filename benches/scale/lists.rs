//! The first screen of every list, and others that are asked of a list.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use connect_idp::time::Timestamp;

use crate::database::Base;
use crate::visitor::Visitor;

/// The promise.
const PROMISE: Duration = Duration::from_millis(50);

const OF_AN_ADMIN: [&str; 20] = [
    "/",
    "/activity",
    "/sessions",
    "/admin/provider",
    "/admin/users",
    "/admin/users?sort=login_name",
    "/admin/users?state=active",
    "/admin/users?state=locked",
    "/admin/users?state=password_locked",
    "/admin/users?state=admin_locked",
    "/admin/users?state=deactivated",
    "/admin/users?state=never_signed_in",
    "/admin/users?state=temporary",
    "/admin/users?user_type=Provider+Admin",
    "/admin/users?q=okafor",
    "/admin/users?q=nobody+here",
    "/admin/users?q=nobody+here&sort=login_name",
    "/admin/users?q=nobody+here&state=locked",
    "/admin/users?q=nobody+here&state=deactivated",
    "/admin/users?q=nobody+here&state=never_signed_in",
];

const OF_AN_OPERATOR: [&str; 12] = [
    "/operator",
    "/operator/providers",
    "/operator/providers?q=maple",
    "/operator/providers?q=nobody+here",
    "/operator/providers?state=inactive",
    "/operator/providers?state=requested",
    "/operator/requests",
    "/operator/clients",
    "/operator/issuers",
    "/operator/keys",
    "/operator/deliveries",
    "/operator/activity?provider={code}",
];

/// Of the record, the provider's own and all providers'.
const FILTERS: [&str; 21] = [
    "",
    "kind=sign_in",
    "kind=password_reset",
    "kind=provider_deactivated",
    "outcome=refused",
    "outcome=unfinished",
    "login_type=Unified+Login",
    "login_type=Direct+Login",
    "unknown=yes",
    "kind=sign_in&outcome=refused&login_type=Unified+Login",
    "kind=logout&login_type=Unified+Login",
    "kind=logout&outcome=refused",
    "kind=consent_given&outcome=refused",
    "kind=account_locked&login_type=Unified+Login",
    "unknown=yes&login_type=Unified+Login",
    "before={middle}",
    "before={middle}&kind=logout&login_type=Unified+Login",
    "from={first}&to={first}",
    "from={first}&to={first}&kind=logout&login_type=Unified+Login",
    "to={first}&outcome=refused",
    "from={first}&kind=logout&login_type=Direct+Login",
];

/// The same of one user of a provider.
const OF_A_USER: [&str; 4] =
    ["user={user}", "user={user}&kind=password_reset", "user=nobody1", "user=nobody1&kind=sign_in"];

pub async fn measure(base: &Base, admin: &Visitor, operator: &Visitor, runs: usize) {
    let names = Names::read(base).await;
    println!("\n{:<92} {:>9} {:>9} {:>9}", "server time, ms", "median", "p95", "worst");
    for page in OF_AN_ADMIN {
        print(&names.filled(page), admin, runs).await;
    }
    for page in OF_AN_OPERATOR {
        print(&names.filled(page), operator, runs).await;
    }
    for filter in FILTERS.iter().chain(&OF_A_USER) {
        print(&names.filled(&format!("/admin/activity?{filter}")), admin, runs).await;
    }
    for filter in FILTERS {
        print(&names.filled(&format!("/operator/activity?{filter}")), operator, runs).await;
    }
    for filter in OF_A_USER {
        print(&names.filled(&format!("/operator/activity?provider={{code}}&{filter}")), operator, runs).await;
    }
}

async fn print(path: &str, visitor: &Visitor, runs: usize) {
    let mut times = Vec::new();
    for _ in 0..runs {
        let started = Instant::now();
        let answer = visitor.get(path).await;
        if answer.status() != StatusCode::OK {
            println!("{path:<92} {} after {:.1} s", answer.status(), started.elapsed().as_secs_f64());
            return;
        }
        axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        times.push(started.elapsed());
    }
    times.sort();
    let at = |share: usize| times[(times.len() * share).div_ceil(100) - 1];
    let ms = |span: Duration| span.as_secs_f64() * 1e3;
    let verdict = if at(95) < PROMISE { "" } else { "over 50 ms" };
    println!("{path:<92} {:>9.1} {:>9.1} {:>9.1} {verdict}", ms(at(50)), ms(at(95)), ms(at(100)));
}

/// What stands in an address only once the rows are there.
struct Names {
    code: String,
    user: String,
    middle: String,
    first: String,
}

impl Names {
    async fn read(base: &Base) -> Self {
        let ends_at = base.number("SELECT ends_at FROM bench.size").await;
        let ago = |days: u64| Timestamp(ends_at).before(Duration::from_hours(24 * days));
        Self {
            code: base.text("SELECT bench.code(1)").await,
            user: base.text("SELECT bench.login_name(2)").await,
            middle: ago(180).first_id(),
            first: ago(360).rfc3339()[..10].to_owned(),
        }
    }

    fn filled(&self, path: &str) -> String {
        path.replace("{code}", &self.code)
            .replace("{user}", &self.user)
            .replace("{middle}", &self.middle)
            .replace("{first}", &self.first)
    }
}
