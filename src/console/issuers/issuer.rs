//! `/operator/issuers/{id}`: one trusted issuer: its data, its keys, and switching it off at once (U13).

use std::collections::BTreeMap;

use askama::Template;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::config::Config;
use crate::console::admins::TherapAdmin;
use crate::console::answers::back;
use crate::console::form_revision::{FormRevision, Values, saved};
use crate::console::reauth::Sender;
use crate::model::issuer::TrustedIssuer;
use crate::operations::admin_context::{Changed, Edited};
use crate::operations::issuers::{self, Draft, check_issuer};
use crate::store;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::form::FieldErrors;
use crate::web::ids::Id;
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

/// Where its page stands.
pub(super) const LIST: &str = "/operator/issuers";

/// What stands in the fields.
#[derive(Clone, Debug, Default)]
pub(super) struct IssuerForm {
    pub(super) display_name: String,
    pub(super) origins: String,
    pub(super) jwks: String,
    pub(super) jwks_uri: String,
    pub(super) client_id: String,
    pub(super) acr: String,
}

impl IssuerForm {
    fn of(issuer: &TrustedIssuer) -> Self {
        let acr: Vec<_> = issuer.acr.iter().map(|(theirs, ours)| format!("{theirs}={ours}")).collect();
        Self {
            display_name: issuer.display_name.clone(),
            origins: issuer.origins.join("\n"),
            jwks: issuer.jwks.clone().unwrap_or_default(),
            jwks_uri: issuer.jwks_uri.clone().unwrap_or_default(),
            client_id: issuer.client_id.clone().unwrap_or_default(),
            acr: acr.join("\n"),
        }
    }

    /// What was typed.
    pub(super) fn typed(fields: &mut Fields) -> Self {
        Self {
            display_name: fields.take("display_name"),
            origins: fields.take("origins"),
            jwks: fields.take("jwks"),
            jwks_uri: fields.take("jwks_uri"),
            client_id: fields.take("client_id"),
            acr: fields.take("acr"),
        }
    }

    fn values(&self) -> Values {
        vec![
            ("Display name", self.display_name.clone()),
            ("Origins", self.origins.clone()),
            ("JWKS URL", self.jwks_uri.clone()),
            ("JWKS", self.jwks.clone()),
            ("Client ID", self.client_id.clone()),
            ("acr values", self.acr.clone()),
        ]
    }

    /// All of it as a draft, or what is wrong; a new issuer's name is checked too.
    pub(super) fn check(&self, new: Option<&str>, config: &Config, faults: &mut FieldErrors) -> Option<Draft> {
        match new {
            Some(issuer) if issuer.trim().is_empty() => faults.add("issuer", "Please enter the issuer."),
            Some(issuer) => drop(faults.check("The issuer", check_issuer(issuer, config))),
            None => {}
        }
        let lines =
            |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut acr = BTreeMap::new();
        for line in self.acr.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once('=') {
                Some((theirs, ours)) => drop(acr.insert(theirs.trim().to_owned(), ours.trim().to_owned())),
                None => faults.add("acr", "Each line must be their-acr=our-acr."),
            }
        }
        let (jwks, jwks_uri) = (given(&self.jwks), given(&self.jwks_uri));
        if jwks.is_none() && jwks_uri.is_none() {
            faults.add("jwks-uri", "Enter the JWKS URL or the JWKS.");
        }
        let draft = Draft {
            display_name: Some(self.display_name.clone()),
            origins: Some(lines(&self.origins)),
            jwks,
            jwks_uri,
            client_id: Some(self.client_id.clone()),
            acr: Some(acr),
        };
        // Field by field, so that all that is wrong is said at once.
        let only = Draft::default;
        for (label, part) in [
            ("The display name", Draft { display_name: draft.display_name.clone(), ..only() }),
            ("The list of origins", Draft { origins: draft.origins.clone(), ..only() }),
            ("The keys", Draft { jwks: draft.jwks.clone(), jwks_uri: draft.jwks_uri.clone(), ..only() }),
            ("The client", Draft { client_id: draft.client_id.clone(), ..only() }),
            ("Each acr", Draft { acr: draft.acr.clone(), ..only() }),
        ] {
            faults.check(label, part.check(config));
        }
        faults.is_empty().then_some(draft)
    }
}

#[derive(Template)]
#[template(path = "console/issuers/issuer.html")]
struct IssuerPage {
    page: Page,
    faults: FieldErrors,
    revision: FormRevision,
    id: String,
    issuer: String,
    form: IssuerForm,
    ask_password: bool,
    enabled: bool,
    keys: Vec<(String, &'static str)>,
    /// What the set holds beside them, and why it is passed over.
    not_used: Vec<String>,
    ties: i64,
}

pub(super) async fn find(app: &App, id: &str) -> Result<TrustedIssuer, PageError> {
    let all = store::issuers::list(&mut app.db.read().await?).await?;
    all.into_iter().find(|issuer| issuer.id == id).ok_or(PageError::NotFound)
}

async fn page(app: &App, now: Timestamp, admin: &TherapAdmin, id: &str) -> Result<IssuerPage, PageError> {
    let issuer = find(app, id).await?;
    let ties = store::issuers::count_ties(&mut app.db.read().await?, &issuer.id).await?;
    let keys = issuers::keys_in_force(&issuer);
    Ok(IssuerPage {
        page: Page::of(app, format!("{} · Trusted issuers", issuer.display_name), &admin.session),
        faults: FieldErrors::default(),
        revision: FormRevision::of("issuer", issuer.revision),
        form: IssuerForm::of(&issuer),
        ask_password: !admin.typed_lately(now),
        enabled: issuer.enabled,
        keys: keys.names(),
        not_used: keys.skipped().to_vec(),
        ties,
        id: issuer.id,
        issuer: issuer.issuer,
    })
}

/// `GET /operator/issuers/{id}`
///
/// # Errors
/// When there is no such issuer, or the database cannot be asked.
pub async fn get(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Id(id): Id,
    told: Told,
    kept: KeptForm,
) -> Result<Response, PageError> {
    let mut page = page(&app, arrival.now, &admin, &id).await?;
    page.page = page.page.saying(told);
    if let Some(mut fields) = kept.sent_to(&admin.session, &format!("{LIST}/{id}")) {
        page.form = IssuerForm::typed(&mut fields);
        page.revision.typed(&mut fields);
        page.page.notice = Some(Notice::FormIsBack);
    }
    Ok(respond(StatusCode::OK, Shape::Inside, &page))
}

/// `POST /operator/issuers/{id}`: the data and the keys.
///
/// # Errors
/// When there is no such issuer, or the database fails.
pub async fn post(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Id(id): Id,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let mut page = page(&app, arrival.now, &admin, &id).await?;
    page.form = IssuerForm::typed(&mut fields);
    let read = page.revision.typed(&mut fields);
    let Some(draft) = page.form.check(None, &app.config, &mut page.faults) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    let sender = Sender { app: &app, arrival: &arrival, admin: &admin, headers: &headers };
    let proof = match sender.prove(&mut fields, &mut page.faults).await? {
        Ok(proof) => proof,
        Err(unproven) => return Ok(unproven.answer(&page, &format!("{LIST}/{id}"))),
    };
    page.ask_password = false;
    let answered = async {
        Ok(match issuers::edit(&admin.act(&app, &arrival), &page.issuer, read, &draft).await? {
            Edited::Changed(Changed::Keys(keys)) => back(LIST, &id, saved(&keys)),
            Edited::Changed(Changed::NotFound | Changed::OperatorRealm) => PageError::NotFound.into_response(),
            Edited::Stale => {
                let now = find(&app, &id).await?;
                page.revision.mark_stale(now.revision, IssuerForm::of(&now).values(), &page.form.values());
                respond(StatusCode::CONFLICT, Shape::Inside, &page)
            }
        })
    };
    Ok(proof.on(answered.await))
}
