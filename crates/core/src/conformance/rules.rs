//! The list of all rules, and the macro that makes a test of each.

/// Makes one test of each rule of the suite. The expression makes a new
/// [`Harness`](crate::conformance::Harness), once for each rule.
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::conformance_rule_tests! { $harness;
            documents:
                setting_up_again_changes_nothing,
                a_document_comes_back_as_it_went_in,
                get_leaves_out_what_is_not_there,
                many_documents_are_got_at_once,
                pages_follow_each_other_by_id,
                documents_are_counted,
                a_document_is_found_by_its_unique_fields,
                numbers_are_read_whatever_bson_number_they_are,
                an_update_sets_and_unsets_paths_and_keeps_the_rest,
                an_update_is_seen_by_every_way_of_looking,
                an_update_happens_only_where_its_expectation_holds,
                of_updates_with_one_expectation_at_once_one_succeeds,
                an_update_of_what_is_not_there_is_a_conflict,
                a_deleted_document_is_gone_and_deleting_it_again_is_nothing,
            ;
            constraints:
                an_id_is_given_once,
                every_unique_index_refuses_a_second_document_and_names_its_field,
                an_update_to_a_taken_value_is_refused,
                a_document_does_not_stand_in_its_own_way,
                a_value_is_unique_within_one_list_of_writes,
                a_deleted_documents_values_are_free_in_the_same_list,
                of_inserts_with_one_value_at_once_one_succeeds,
                every_reference_must_lead_somewhere,
                an_update_to_a_reference_that_leads_nowhere_is_refused,
                references_may_lead_to_earlier_writes_but_not_to_later_ones,
                a_reference_to_what_an_earlier_write_deleted_is_refused,
                of_a_list_with_one_bad_write_nothing_happens,
            ;
            changes:
                changes_of_the_audience_are_logged_in_their_order,
                changes_of_other_documents_are_not_logged,
                counters_are_no_change_of_the_audience,
                a_blocked_chat_is_a_change_of_the_user,
                the_log_goes_on_after_a_crash,
                who_tails_the_log_misses_nothing,
                a_chunk_that_fails_leaves_nothing_in_the_log,
            ;
            intake:
                an_accepted_alert_is_kept_as_it_came_with_its_place_in_the_order,
                a_second_alert_with_either_key_is_a_duplicate_and_writes_nothing,
                a_key_is_free_again_from_its_end_on,
                keys_of_two_alerts_make_a_duplicate_of_one_of_them,
                an_alert_without_keys_is_stored,
                offering_an_accepted_alert_again_answers_itself,
                of_many_alerts_with_a_common_key_at_once_one_is_stored,
                alerts_that_cross_their_keys_at_once_come_to_an_end,
                the_place_in_the_order_grows_with_every_acceptance,
                alerts_accepted_at_once_have_places_of_their_own,
                a_receipt_mark_divides_what_was_answered_from_what_comes,
                find_duplicate_names_who_holds_a_key_at_the_moment,
                recent_prices_are_those_of_entries_newest_first_and_at_most_eight,
                recent_prices_have_of_the_refused_those_refused_only_for_their_price,
                a_refused_alert_is_kept_and_is_no_work,
                refusing_the_same_alert_again_changes_nothing,
                a_rejected_webhook_is_kept_once,
                operators_hear_once_and_then_a_count,
                a_count_that_has_left_is_not_raised_any_more,
                refusals_at_once_are_all_counted,
                a_count_restored_from_a_backup_is_raised_whatever_number_it_is,
            ;
            leases:
                a_lease_that_nobody_has_is_taken_by_one,
                a_take_over_raises_the_epoch,
                a_lease_that_stands_otherwise_than_seen_is_not_taken,
                of_many_take_overs_at_once_one_succeeds,
                a_renewal_shows_and_keeps_the_epoch,
                a_lease_in_other_hands_is_neither_renewed_nor_given_back,
                a_lease_given_back_stands_without_owner_at_its_epoch,
                leases_are_listed_by_how_their_names_begin,
                leases_survive_a_crash,
                a_commit_under_another_epoch_is_fenced,
                a_failure_recorded_under_another_epoch_is_fenced,
                taking_under_another_epoch_is_fenced,
                attempts_recorded_under_another_epoch_are_fenced,
                recovering_under_another_epoch_is_fenced,
                deferring_a_chat_under_another_epoch_is_fenced,
            ;
            work:
                pending_alerts_come_in_the_order_of_acceptance,
                pending_alerts_are_those_of_the_asked_partitions,
                pending_alerts_leave_out_configurations_that_are_worked_on,
                pending_alerts_are_received_or_processing,
                holders_are_users_with_an_open_trade_by_id_and_once_each,
                a_chunks_open_trades_are_those_of_its_configuration_and_span,
                trade_numbers_sort_as_numbers_whatever_bson_number_they_are,
                a_chunks_last_numbers_count_ended_trades_too,
                a_chunks_quotas_are_those_of_the_users_who_have_one,
            ;
        }
    };
}

/// One module a port, one test a rule.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_rule_tests {
    ($harness:expr; $($module:ident: $($rule:ident),+ $(,)?;)+) => {$(
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $rule() {
                    let harness = $harness;
                    $crate::conformance::run($crate::conformance::$module::$rule(&harness)).await;
                }
            )+
        }
    )+};
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Every public function of the rules' files is in the list.
    #[test]
    fn every_rule_is_listed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
        let list = include_str!("rules.rs");
        let mut written = BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text.lines() {
                let rule =
                    line.strip_prefix("pub async fn ").and_then(|rest| rest.strip_suffix("(harness: &dyn Harness) {"));
                written.extend(rule.map(ToOwned::to_owned));
            }
        }
        let missing: Vec<_> = written.iter().filter(|rule| !list.contains(&format!(" {rule},"))).collect();
        assert!(written.len() > 50 && missing.is_empty(), "{missing:#?}");
    }
}
