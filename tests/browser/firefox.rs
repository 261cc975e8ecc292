//! The same journeys in Firefox.

use crate::harness::Stage;
use crate::{accounts, at_will, front_door, handoff, keyboard, logout, refusals, update};

macro_rules! in_firefox {
    ($($name:ident: $journey:path;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let Some(stage) = Stage::in_firefox().await else { return };
            $journey(&stage).await;
        }
    )*};
}

in_firefox! {
    somebody_signs_in_and_out_in_firefox: front_door::sign_in_and_out;
    each_empty_field_has_its_own_message_in_firefox: front_door::empty_fields;
    the_third_wrong_password_locks_in_firefox: accounts::three_wrong_passwords;
    a_temporary_password_is_replaced_before_anything_else_in_firefox: update::forced_update;
    rules_are_marked_as_one_types_in_firefox: update::live_rules;
    a_new_password_ends_the_other_sessions_in_firefox: at_will::change;
    back_after_logout_shows_nothing_private_in_firefox: logout::back_shows_nothing;
    the_button_opens_the_dashboard_in_a_new_tab_in_firefox: handoff::press;
    a_handoff_takes_over_the_browser_in_firefox: handoff::shared_workstation;
    whatever_a_sender_does_wrong_is_refused_in_firefox: refusals::misbehaviour;
    everything_is_done_with_the_keyboard_alone_in_firefox: keyboard::keyboard_alone;
}
