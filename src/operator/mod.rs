//! The Therap Admin's pages: providers, requests for Unified Login, clients, trusted issuers, signing keys, activity across providers.

pub mod activity;
pub mod client;
mod client_form;
mod client_secret;
pub mod clients;
pub mod confirm;
pub mod deliveries;
pub mod home;
pub mod issuer;
pub mod issuers;
pub mod keys;
mod password_again;
pub mod provider;
pub mod provider_acts;
pub mod providers;
pub mod requests;

use axum::response::{IntoResponse, Redirect, Response};

use crate::operations::act::Switched;
use crate::web::error::PageError;

/// Back to the page of one thing of a list, which says what was done.
fn back(list: &str, id: &str, done: &str) -> Response {
    Redirect::to(&format!("{list}/{id}?done={done}")).into_response()
}

fn switched(list: &str, id: &str, switched: Switched, done: &str) -> Result<Response, PageError> {
    match switched {
        // It is so, whoever was first.
        Switched::Done | Switched::Already => Ok(back(list, id, done)),
        Switched::NotFound | Switched::OperatorRealm | Switched::LastAdmin => Err(PageError::NotFound),
    }
}
