//! A form that is shown again: what is wrong stands at the field and in a summary, and what was typed stays.

use crate::operations::admin_context::ValidationError;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct FieldError {
    /// The id of the field.
    pub field: String,
    /// A sentence.
    pub message: String,
}

/// All that is wrong with a form, in the order of its fields.
#[derive(Clone, Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Says what is wrong at a field.
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    /// Adds what is wrong with the fields that follow.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Says that a field is empty, if it is; then no rule need check it.
    pub fn need(&mut self, field: &str, value: &str, message: &str) -> bool {
        if value.is_empty() {
            self.add(field, message);
        }
        !value.is_empty()
    }

    /// Takes a rule's result for the value that a field of this label holds; what is good goes on.
    pub fn check<T>(&mut self, label: &str, checked: Result<T, ValidationError>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.add(&invalid.key.replace('_', "-"), sentence(label, &invalid.why));
                None
            }
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn list(&self) -> &[FieldError] {
        &self.0
    }

    /// All that is wrong at a field, a line each.
    #[must_use]
    pub fn of(&self, field: &str) -> Option<String> {
        let messages: Vec<_> =
            self.0.iter().filter(|fault| fault.field == field).map(|fault| &*fault.message).collect();
        (!messages.is_empty()).then(|| messages.join("\n"))
    }

    /// Whether a field is the first at which something is wrong: there the cursor goes.
    #[must_use]
    pub fn begin_at(&self, field: &str) -> bool {
        self.0.first().is_some_and(|fault| fault.field == field)
    }
}

/// What a rule says, as a sentence that a person reads beside the field.
#[must_use]
pub fn sentence(label: &str, why: &str) -> String {
    let whole =
        if why.starts_with("must ") || why.starts_with("is ") { format!("{label} {why}") } else { why.to_owned() };
    if whole.ends_with('.') { whole } else { format!("{whole}.") }
}

/// One of the values that a field may have.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What is sent.
    pub value: &'static str,
    /// What is read.
    pub label: &'static str,
    /// It is the one in force.
    pub chosen: bool,
}

/// Choices out of pairs of value and label.
#[must_use]
pub fn choices(pairs: &[(&'static str, &'static str)], chosen: &str) -> Vec<Choice> {
    pairs.iter().map(|(value, label)| Choice { value, label, chosen: *value == chosen }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_a_sentence_at_its_field() {
        let mut faults = FieldErrors::default();
        assert_eq!(faults.check("The name", Ok(1)), Some(1));
        faults.check::<()>("The Login Name", Err(ValidationError::new("login_name", "\"a b\" cannot be one")));
        faults.check::<()>("The name", Err(ValidationError::new("name", "must be short")));
        assert_eq!(faults.of("name").as_deref(), Some("The name must be short."));
        assert_eq!(faults.of("login-name").as_deref(), Some("\"a b\" cannot be one."));
        faults.add("name", "It is taken.");
        assert_eq!(faults.of("name").as_deref(), Some("The name must be short.\nIt is taken."));
        assert!(faults.begin_at("login-name") && !faults.begin_at("name"));
    }
}
