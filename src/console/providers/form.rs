//! The form of a provider's data, as a Provider Admin and a Therap Admin fill it in.

use crate::config::Config;
use crate::console::form_revision::Values;
use crate::model::provider::Provider;
use crate::operations::admin_context::ValidationError;
use crate::operations::providers::Draft;
use crate::web::fields::Fields;
use crate::web::form::{Choice, FieldErrors, choices};

/// What stands in the fields.
#[derive(Clone, Debug, Default)]
pub struct ProviderForm {
    /// Name.
    pub name: String,
    /// IANA time zone.
    pub time_zone: String,
    /// Whom users ask for help.
    pub contact: String,
    /// Its own idle limit; empty for the operator's.
    pub idle_minutes: String,
    /// Its own absolute limit; empty for the operator's.
    pub absolute_hours: String,
    /// `yes` or `no`: users may set a forgotten password by a mailed link.
    pub reset_by_mail: String,
}

/// What is said beside the limits of sessions.
#[derive(Clone, Debug)]
pub struct LimitHints {
    /// Beside the idle limit.
    pub idle: String,
    /// Beside the absolute limit.
    pub absolute: String,
}

impl LimitHints {
    /// The operator's bounds.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let hint = |count, unit| format!("Leave empty for the default and maximum, {count} {unit}.");
        Self {
            idle: hint(config.session.idle_minutes, "minutes"),
            absolute: hint(config.session.absolute_hours, "hours"),
        }
    }
}

impl ProviderForm {
    /// A provider's data as they stand.
    #[must_use]
    pub fn of(provider: &Provider) -> Self {
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        Self {
            name: provider.name.clone(),
            time_zone: provider.time_zone.clone(),
            contact: provider.contact.clone().unwrap_or_default(),
            idle_minutes: number(provider.idle_minutes),
            absolute_hours: number(provider.absolute_hours),
            reset_by_mail: if provider.reset_by_mail { "yes" } else { "no" }.to_owned(),
        }
    }

    /// What was typed.
    #[must_use]
    pub fn typed(fields: &mut Fields) -> Self {
        Self {
            name: fields.take("name"),
            time_zone: fields.take("time_zone"),
            contact: fields.take("contact"),
            idle_minutes: fields.take("idle_minutes"),
            absolute_hours: fields.take("absolute_hours"),
            reset_by_mail: fields.take("reset_by_mail"),
        }
    }

    /// What stands in the fields, by name.
    #[must_use]
    pub(in crate::console) fn values(&self) -> Values {
        let yes_or_no = if self.reset_by_mail == "no" { "No" } else { "Yes" };
        vec![
            ("Name", self.name.clone()),
            ("Time zone", self.time_zone.clone()),
            ("Contact", self.contact.clone()),
            ("Idle minutes", self.idle_minutes.clone()),
            ("Maximum hours", self.absolute_hours.clone()),
            ("Reset by e-mailed link", yes_or_no.to_owned()),
        ]
    }

    /// Whether users may set a forgotten password by a mailed link, to choose.
    #[must_use]
    pub fn reset_by_mail_choices(&self) -> Vec<Choice> {
        choices(&[("yes", "Yes"), ("no", "No")], &self.reset_by_mail)
    }

    /// All of it as a draft, or what is wrong at each field.
    pub fn check(&self, config: &Config, faults: &mut FieldErrors) -> Option<Draft> {
        let named = faults.need("name", &self.name, "Please enter the name.");
        let mut number = |key: &'static str, label: &str, text: &str| {
            let parsed = if text.is_empty() { Ok(0) } else { text.parse::<u32>() };
            let parsed =
                parsed.map_err(|_| ValidationError::new(key, "must be a whole number, or empty for the default"));
            faults.check(label, parsed)
        };
        let draft = Draft {
            name: Some(self.name.clone()),
            time_zone: Some(self.time_zone.clone()),
            contact: Some(self.contact.clone()),
            idle_minutes: number("idle_minutes", "The number of minutes", &self.idle_minutes),
            absolute_hours: number("absolute_hours", "The number of hours", &self.absolute_hours),
            // A page of the version before does not have the field: then it stays as it is.
            reset_by_mail: match self.reset_by_mail.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
        };
        // Field by field, so that all that is wrong is said at once.
        let only = Draft::default;
        for (label, part) in [
            ("The name", Draft { name: draft.name.clone().filter(|_| named), ..only() }),
            ("The time zone", Draft { time_zone: draft.time_zone.clone(), ..only() }),
            ("The contact", Draft { contact: draft.contact.clone(), ..only() }),
            ("The number of minutes", Draft { idle_minutes: draft.idle_minutes, ..only() }),
            ("The number of hours", Draft { absolute_hours: draft.absolute_hours, ..only() }),
        ] {
            faults.check(label, part.check(config));
        }
        faults.is_empty().then_some(draft)
    }
}
