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
                what_is_referred_to_is_not_deleted,
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
            listing:
                the_pages_of_a_list_hold_every_document_once_in_order,
                documents_of_one_moment_are_listed_by_id,
                a_list_holds_what_all_its_filters_let_through,
                a_list_by_a_moment_leaves_out_what_has_none,
                a_page_looks_at_a_bounded_number_of_documents,
                a_list_that_is_not_declared_is_an_error,
            ;
            reading:
                decisions_come_by_user_chunk_by_chunk,
                an_alerts_deliveries_come_in_the_order_of_their_keys,
            ;
            intake:
                an_accepted_alert_is_kept_as_it_came_with_its_place_in_the_order,
                an_alert_of_the_greatest_size_is_kept,
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
            chunks:
                a_chunk_writes_its_trades_deliveries_decisions_and_cursor,
                the_last_chunk_ends_the_processing,
                an_alert_for_nobody_is_ended_by_an_empty_chunk,
                a_closed_trade_has_its_end_and_keeps_the_rest,
                a_replaced_trade_names_its_successor,
                counters_are_raised_by_what_the_chunk_says,
                counters_begin_at_zero_where_a_document_has_none,
                the_success_rate_is_that_of_all_closes_so_far,
                a_quota_is_kept_as_the_chunk_says,
                a_delivery_whose_key_exists_is_left_out,
                a_chunk_tells_the_operators_once_and_then_counts,
                a_chunk_keeps_what_others_wrote,
                a_chunk_dates_what_it_changes,
                what_the_commit_does_not_name_stays_as_it_is,
            ;
            conflicts:
                a_chunk_is_not_applied_twice,
                an_alert_that_is_ended_takes_no_chunk,
                a_cursor_that_stands_elsewhere_is_a_conflict,
                an_open_trade_that_was_not_seen_is_a_conflict,
                a_seen_trade_that_is_not_open_any_more_is_a_conflict,
                a_seen_trade_of_another_rev_is_a_conflict,
                a_seen_trade_of_another_span_or_configuration_is_a_conflict,
                a_trade_that_is_not_open_is_not_ended_again,
                a_quota_of_another_rev_is_a_conflict,
                of_commits_of_one_chunk_at_once_one_succeeds,
                configurations_are_worked_on_side_by_side,
                of_two_configurations_that_change_one_quota_the_later_decides_again,
                a_failure_is_noted_and_the_alert_tried_again,
                a_failure_that_is_noted_already_is_not_noted_again,
                a_failure_of_an_alert_that_is_ended_changes_nothing,
            ;
            outbox:
                due_deliveries_come_by_priority_age_rotation_and_id,
                a_long_queue_comes_in_the_same_order,
                due_are_the_pending_ones_of_the_lane_whose_time_has_come,
                next_due_is_when_the_next_pending_one_becomes_due,
                recovery_makes_what_an_older_epoch_was_sending_pending_and_in_doubt,
                a_deferred_chat_is_not_due_before,
                overdue_deliveries_end_as_expired_or_as_dead_if_tried_in_vain,
                overdue_deliveries_end_in_bounded_steps,
                overdue_deliveries_end_once_however_many_look,
                a_purge_removes_what_is_over_and_nothing_else,
                a_purge_goes_in_bounded_steps,
                a_released_delivery_is_due,
            ;
            taking:
                a_taken_delivery_is_being_sent_under_the_fences_epoch,
                only_what_is_pending_is_taken,
                a_delivery_named_twice_is_taken_once,
                of_many_who_take_at_once_each_delivery_goes_to_one,
                an_exit_tells_its_pending_entry_too,
                an_exit_that_is_tried_again_still_tells_its_entry,
                an_exit_waits_a_second_for_an_entry_that_is_being_sent,
                an_exit_replies_to_the_entry_that_was_sent,
                an_exit_goes_alone_where_only_another_channels_entry_arrived,
                an_exit_finds_its_entry_past_the_deadline_and_ends_it,
                an_exit_whose_entry_expires_unread_is_dropped,
                an_exit_of_an_unreached_trade_is_dropped,
                an_exit_taken_with_its_entry_meets_it_in_the_order_given,
                an_exit_without_an_entry_to_meet_is_taken,
                of_an_exit_and_its_entry_taken_at_once_the_entry_is_told_once,
                an_entry_told_by_its_exit_is_not_taken_any_more,
            ;
            results:
                a_result_is_taken_with_its_entry_once_the_exit_has_gone_out,
                a_result_waits_for_its_exit,
                a_result_whose_exit_failed_is_taken,
                a_result_waits_for_an_entry_that_is_still_to_be_sent,
                a_result_of_a_replacement_waits_for_the_exit_that_tells_it,
                a_result_whose_entry_has_no_message_of_its_own_is_dropped,
                a_result_past_its_deadline_is_dropped_when_it_is_taken,
                overdue_results_are_dropped_tried_or_not,
                a_result_that_cannot_be_written_is_dropped,
                a_result_that_meets_a_blocked_chat_notes_it,
                a_result_is_tried_again_and_recovered_as_any,
                a_result_counts_nowhere_and_holds_up_nothing,
                a_written_result_delivers_no_alert,
                a_result_is_listed_with_its_alert_and_goes_last,
            ;
            attempts:
                a_sent_message_has_its_number_and_is_counted,
                a_failed_attempt_is_tried_again_when_it_says,
                an_expired_or_dead_message_counts_as_failed,
                a_dropped_message_counts_as_nothing,
                a_blocked_chat_is_noted_with_the_user,
                a_message_to_nobody_in_particular_ends_as_any,
                a_record_counts_once,
                records_of_an_older_epochs_sending_are_ignored,
                what_is_pending_is_ended_only_by_expiry_or_a_drop,
                records_about_nothing_are_ignored,
                what_was_held_meanwhile_stays_held,
                attempts_recorded_at_once_are_all_counted,
                an_alert_keeps_what_others_wrote_while_it_is_counted,
                a_message_to_a_user_who_is_gone_ends_as_any,
            ;
            unreached:
                a_trade_whose_only_entry_died_is_unreached,
                a_trade_whose_only_entry_expired_is_unreached,
                a_trade_whose_only_entry_was_dropped_is_unreached,
                a_trade_whose_entry_ran_out_of_time_is_unreached,
                a_trade_is_reached_by_the_one_channel_that_delivered,
                a_trade_that_was_reached_first_stays_reached,
                a_trade_is_unreached_when_the_last_channel_failed,
                both_channels_failing_in_one_sweep_count_once,
                a_trade_that_has_ended_is_marked_all_the_same,
                an_exits_end_says_nothing_about_an_entry_that_arrived,
                an_entry_told_by_its_exit_arrives_with_it,
                an_entry_told_by_an_exit_that_fails_is_unsent,
                an_entry_told_by_an_exit_past_its_deadline_is_unsent,
                an_exit_on_its_way_keeps_the_trade_from_being_unreached,
                a_replacement_sent_too_late_to_be_followed_leaves_its_trade_unreached,
                a_replacement_followed_by_one_channel_is_reached,
                a_replacement_that_lapsed_in_both_channels_is_unreached,
                a_notice_that_fails_marks_no_trade,
            ;
            settle:
                an_alert_with_an_open_delivery_is_not_settled,
                an_alert_that_is_not_processed_is_not_settled,
                an_alert_is_settled_once,
                of_many_who_settle_at_once_one_does,
                a_settled_alert_names_its_recipients_and_what_happened_to_their_trades,
                the_first_channel_to_deliver_dates_the_delivery,
                an_alerts_recipients_come_from_all_its_chunks,
                an_entry_told_by_its_exit_is_settled_with_it,
                an_entry_whose_telling_exit_failed_was_not_delivered,
                up_to_the_limit_recipients_stand_in_the_alert_and_above_they_do_not,
                unsettled_are_the_processed_alerts_that_are_not_settled,
                the_drop_of_an_exit_lets_its_alert_be_settled,
                a_settled_alert_keeps_what_others_wrote,
            ;
            crash:
                what_was_answered_is_there_after_a_crash,
                work_goes_on_behind_the_cursor_after_a_crash,
                keys_and_places_hold_after_a_crash,
                a_crash_amid_many_writers_loses_nothing_that_was_answered,
                an_acceptance_that_is_cut_off_stores_the_alert_with_its_keys_or_neither,
                writes_that_are_cut_off_happen_wholly_or_not_at_all,
                a_history_of_operations_that_are_cut_off_is_whole,
                bad_lists_that_are_cut_off_leave_nothing,
            ;
            histories:
                a_history_with_one_channel_is_as_the_model_has_it,
                a_history_with_two_channels_is_as_the_model_has_it,
                a_history_in_a_hurry_is_as_the_model_has_it,
            ;
            concurrency:
                histories_side_by_side_keep_the_documents_true,
                histories_side_by_side_that_are_cut_off_keep_the_documents_true,
                a_trade_that_is_closed_while_its_entry_dies_is_both,
                counters_of_one_subscriber_are_exact_whoever_changes_them,
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
