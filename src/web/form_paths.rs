//! Which page holds the form that is sent to a path: there the way leads through a sign-in.

use super::ids::checked;

/// Whether the page that a form leads back to fills it again. The others hold nothing that was typed, or nothing that
/// may be kept: passwords, files.
#[must_use]
pub fn is_filled_again(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["admin", "users", "new"]
        | ["admin", "provider"]
        | ["admin", "provider", "request"]
        | ["operator", "providers" | "issuers" | "clients", "new"] => true,
        ["admin", "users", id]
        | ["operator", "requests" | "providers" | "issuers" | "clients", id]
        | ["operator", "providers", id, "admins"] => checked(id).is_some(),
        _ => asks_itself(path),
    }
}

/// Whether a path is that of a confirmation: its form is sent to its own address.
fn asks_itself(path: &str) -> bool {
    let of_user = ["/lock", "/deactivate", "/reset-password", "/end-sessions", "/untie"];
    let of_operator = [
        "/approve",
        "/unlock",
        "/deactivate",
        "/end-sessions",
        "/switch-off",
        "/reset-password",
        "/delete",
        "/disable",
        "/enable",
        "/rotate-secret",
        "/untie",
        "/rotate-at-once",
        "/retire",
    ];
    let ends_as = |acts: &[&str]| acts.iter().any(|act| path.ends_with(act));
    (path.starts_with("/admin/users/") && ends_as(&of_user))
        || (path.starts_with("/operator/") && ends_as(&of_operator))
}

/// The page that holds the form which is sent to a path.
#[must_use]
pub fn form_page(path: &str) -> &str {
    match path {
        "/sessions/time" | "/sessions/end" | "/sessions/end-others" | "/sessions/withdraw" => "/sessions",
        // Several users: asked and sent at one address.
        other if other.starts_with("/admin/users/selected/") => other,
        "/admin/users/new"
        | "/admin/users/import"
        | "/operator/providers/new"
        | "/operator/issuers/new"
        | "/operator/clients/new" => path,
        other if other.starts_with("/operator/requests/") || other.starts_with("/operator/keys/") => segments(other, 2),
        other if other.starts_with("/admin/users/import/") => segments(other, 4),
        other if other.starts_with("/admin/users/") || other.starts_with("/operator/") => segments(other, 3),
        other if other.starts_with("/admin/") => segments(other, 2),
        other => other,
    }
}

/// The first segments of a path.
fn segments(path: &str, count: usize) -> &str {
    path.match_indices('/').nth(count).map_or(path, |(at, _)| path.split_at(at).0)
}
