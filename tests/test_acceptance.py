"""What must hold against the world, and the tests that hold it.

Each line of the table is a promise about hostile networks (N), pictures (D), politeness (P),
integrity (I), model files (M) or reliability (R). A test that is renamed or thrown away leaves a
hole here, and this file fails.
"""

import pytest

from tests.finding import find_test

PROMISES: dict[str, tuple[str, ...]] = {
    # N: the network
    "N01 inside addresses are not dialled": (
        "test_addresses.py::test_refuses",
        "test_refuses_the_private_vectors_of_others",
        "test_lets_the_public_vectors_of_others_through",
        "test_never_dials_a_forbidden_address",
        "test_sends_no_syn_to_a_refused_address",
    ),
    "N02 nor inside any wrapping": (
        "test_refuses_a_refused_address_in_any_wrapping",
        "test_finds_the_address_inside_any_wrapping",
        "test_lets_a_public_address_through_exactly_when_no_network_holds_it",
    ),
    "N03 nor in an odd spelling": ("test_asks_nobody", "test_never_dials_an_odd_spelling"),
    "N04 nor by a name": (
        "test_blocks_a_name_that_leads_inside",
        "test_passes_by_the_private_address_of_a_mixed_answer",
    ),
    "N05 nor by a name that changes its answer": (
        "test_checks_the_address_that_it_dials_when_a_name_changes_its_answer",
    ),
    "N06 nor by a redirect": (
        "test_never_dials_a_forbidden_address",
        "test_refuses_a_redirect",
        "test_checks_where_a_redirect_leads",
        "test_ends_with_its_reason_and_leaves_the_others_alone[/inside]",
        "test_ends_with_its_reason_and_leaves_the_others_alone[/to_a_file]",
        "test_ends_with_its_reason_and_leaves_the_others_alone[/nowhere]",
    ),
    "N07 redirects end": ("test_follows_as_many_redirects_as_the_limit_says",),
    "N08 no other scheme, no password, no odd port, no injected header": (
        "test_urls.py::test_refuses",
        "test_each_row_of_one_unit_ends_with_its_own",
    ),
    "N09 no proxy, no password, no cookie out of the environment": (
        "test_uses_no_proxy_of_the_environment",
        "test_uses_no_password_of_the_environment",
        "test_returns_no_cookie",
    ),
    "N10 loopback by hand alone, and no range too wide": (
        "test_allows_by_hand_only_what_the_range_holds",
        "test_refuses_a_range_that_would_switch_the_guard_off",
        "test_a_build_whose_every_row_is_refused_ends_well_and_names_the_flag",
        "test_bad_input_is_one_sentence_and_leaves_nothing",
        "test_the_manifest_names_what_was_allowed_by_hand",
    ),
    "N11 what hangs is cut off": (
        "test_cuts_off_at_the_deadline",
        "test_gives_up_on_a_port_that_swallows_connections",
        "test_gives_up_on_a_handshake_that_hangs",
        "test_ends_with_its_reason_and_leaves_the_others_alone[/silence]",
        "test_ends_with_its_reason_and_leaves_the_others_alone[/chunk_drip]",
    ),
    "N12 endless bodies are not read": (
        "test_stops_reading_at_the_cap",
        "test_costs_little_memory",
    ),
    "N13 bombs do not go off": (
        "test_costs_little_memory",
        "test_bombs_unpack_to_what_they_promise",
        "test_ends_with_its_reason_and_leaves_the_others_alone[/nested_gzip]",
    ),
    "N14 malformed HTTP is refused": (
        "test_ends_with_its_reason_and_leaves_the_others_alone[/two_lengths]",
        "test_ends_with_its_reason_and_leaves_the_others_alone[/length_and_chunks]",
        "test_hears_a_few_interim_answers",
        "test_takes_no_answer_that_it_did_not_ask_for",
    ),
    "N15 half a body is none": (
        "test_asks_again_for_a_body_that_broke_off_and_never_keeps_it",
        "test_tries_again",
    ),
    "N16 bytes decide, not their label": (
        "test_each_row_of_one_unit_ends_with_its_own",
        "test_decides_by_the_bytes_and_not_by_their_label",
    ),
    "N17 a server's wish to wait is honoured, within reason": (
        "test_survives_any_retry_after",
        "test_waits_for_no_ten_years",
        "test_waits_as_long_as_it_is_told",
        "test_tries_again",
    ),
    "N18 only good certificates are believed": (
        "test_believes_a_good_certificate_alone",
        "test_believes_no_authority_that_the_system_does_not_know",
        "test_has_no_switch_to_believe_anybody",
    ),
    "N19 a tarpit holds up nobody else": (
        "test_a_tarpit_with_half_of_the_rows_holds_up_nobody_else",
    ),
    "N20 nothing grows": ("test_a_short_soak_loses_nothing", "test_tells_of_what_grows"),
    # D: pictures
    "D01 size by the header": ("test_refuses_a_bomb_by_its_header", "test_a_bomb_costs_no_memory"),
    "D02 damage": (
        "test_raises_nothing_but_a_reason_for_any_damage",
        "test_refuses_a_truncated_file_unless_every_pixel_is_there",
    ),
    "D03 other formats": (
        "test_reads_no_parser_for_a_format_that_is_refused",
        "test_tries_no_other_parser_than_that_of_the_first_bytes",
    ),
    "D04 polyglots": ("test_stores_the_picture_of_a_polyglot_and_not_its_tail",),
    "D05 animations": ("test_stores_the_first_frame_of_several", "test_counts_no_frames"),
    "D06 colours": ("test_shows_what_a_person_sees_on_white_paper",),
    "D07 orientation": ("test_turns_a_picture_upright", "test_stores_no_metadata"),
    "D08 hang, crash, balloon": (
        "test_a_hostile_picture_costs_one_row",
        "test_pictures_that_hurt_the_decoder",
    ),
    "D09 odd shapes": (
        "test_refuses_a_picture_without_pixels",
        "test_stores_a_picture_of_any_shape_for_the_filters_to_judge",
    ),
    "D10 fuzz": (
        "test_any_damage_ends_as_a_picture_or_a_reason_in_time_and_memory",
        "test_any_bytes_end_as_a_reason",
    ),
    "D11 captions": (
        "test_takes_a_megabyte_of_anything_and_keeps_its_beginning",
        "test_the_work_grows_no_faster_than_the_caption",
    ),
    # P: politeness
    "P01 robots.txt": (
        "test_obeys_a_disallow_before_the_picture_is_asked_for",
        "test_asks_once_however_many_rows_wait",
        "test_reads_rules",
    ),
    "P02 robots.txt that cannot be had": (
        "test_takes_no_file_for_a_yes",
        "test_fetches_nothing_of_a_host_whose_file_cannot_be_had",
    ),
    "P03 opt-out headers": ("test_honours", "test_reads_no_body_where_a_header_speaks_against_it"),
    "P04 a contact": (
        "test_needs_a_contact_before_it_dials_outside",
        "test_says_who_it_is_and_nothing_else",
    ),
    "P05 pace": (
        "test_asks_an_unknown_host_once_a_second",
        "test_two_processes_share_a_hosts_rate_and_places",
    ),
    "P06 opt-out lists, and what is taken down later": (
        "test_asks_nothing_of_those_who_are_listed",
        "test_nothing_of_a_pair_is_left_and_its_row_stays_in_the_books",
        "test_only_touched_files_are_written_anew_and_all_are_as_the_manifests_say",
        "test_what_no_manifest_names_is_searched_too",
        "test_the_next_build_finds_every_stage_current",
        "test_neither_a_retry_nor_a_longer_list_brings_it_back",
        "test_killed_at_any_instant_it_goes_on_to_the_same_bytes",
        "test_refuses_data_that_is_not_what_the_run_was_begun_on",
    ),
    # I: integrity
    "I01 swapped pictures": ("test_a_picture_that_was_swapped_since_it_was_listed",),
    "I02 blocked pictures, exact and by their looks": (
        "test_nothing_stays_of_a_blocked_picture",
        "test_nor_of_one_that_another_program_has_fetched",
        "test_finds_a_copy_that_was_scaled_and_compressed_and_nothing_else",
        "test_finds_all_that_a_look_at_every_one_finds",
    ),
    "I03 damaged files are named": (
        "test_names_the_damaged_file_and_the_cause",
        "test_names_two_files_that_changed_places",
        "test_names_an_older_version",
        "test_names_a_file_that_is_none_of_ours",
    ),
    "I04 a card that a stranger's program can read": (
        "test_mlcroissant_finds_nothing_to_say",
        "test_mlcroissant_loads_every_row_that_the_card_counts",
        "test_a_file_with_another_hash_is_not_loaded",
        "test_a_missing_property_is_named",
        "test_another_version_of_the_standard_is_named",
    ),
    "I05 the same input, the same bytes": (
        "test_one_worker_writes_the_same_bytes_as_two",
        "test_the_order_in_which_items_end_leaves_no_trace",
        "test_other_input_gives_other_names",
    ),
    "I06 every kept row has its origin": (
        "test_every_kept_row_joins_back_to_one_input_row",
        "test_provenance_is_whole_and_the_counts_are_the_cards",
    ),
    # M: model files
    "M01 the published dVAE": (
        "test_openais_modules_come_out_bit_for_bit",
        "test_the_encoder_alone_makes_codes",
    ),
    "M02 nothing in a pickle runs": (
        "test_refuses_a_name_that_no_tokenizer_needs",
        "test_refuses_a_dotted_name",
        "test_an_allowed_class_runs_nothing_whatever_its_state",
        "test_every_cut_file_is_refused",
        "test_refuses_packed_numbers",
        "test_a_zip_with_names_of_other_folders_writes_nothing",
    ),
    "M03 weights are whole": ("test_refuses_weights_that_are_not_whole",),
    "M04 a fixed picture has its codes": (
        "test_a_fixed_picture_has_its_codes_on_a_cpu",
        "test_a_lower_arithmetic_changes_codes_at_near_ties_alone",
        "test_a_gpu_changes_codes_at_near_ties_alone",
        "test_small_weights_of_each_published_layout_have_their_codes",
    ),
    "M05 the text vocabulary is whole, bounded and the one that was meant": (
        "test_the_bundled_vocabulary_is_complete",
        "test_a_file_that_is_not_the_packages_own_is_not_taken_for_bundled",
        "test_a_huge_file_is_refused_and_not_read_to_its_end",
        "test_names_the_merge_that_is_wrong",
        "test_refuses_a_file_that_we_did_not_write",
        "test_refuses_merges_that_break_the_rules",
        "test_another_programs_file_is_refused_by_name",
    ),
    # R: reliability
    "R01 kill -9 at any moment": (
        "test_a_group_stopped_in_every_stage_ends_with_the_same_bytes",
        "test_a_group_killed_with_9_at_twenty_random_moments_ends_with_the_same_bytes",
        "test_a_stage_that_is_struck_shows_nothing_half_and_goes_on",
        "test_a_worker_killed_with_9_costs_a_restart_and_not_a_row",
        "test_a_driver_killed_with_9_leaves_a_build_that_goes_on",
    ),
    "R02 the same file written twice": (
        "test_a_unit_that_many_write_at_once_is_one_file_and_one_record",
        "test_what_a_killed_writer_leaves_goes_with_the_garbage",
        "test_publishing_twice_is_publishing_once",
    ),
    "R03 a folder of another build": (
        "test_a_folder_of_another_build_is_refused",
        "test_another_threshold_makes_select_and_what_follows_again_and_no_more",
    ),
    "R04 a full disk": (
        "test_a_stage_that_is_struck_shows_nothing_half_and_goes_on",
        "test_a_stage_that_is_struck_at_any_call_shows_nothing_half_and_goes_on",
        "test_a_full_disk_is_no_items_fault",
        "test_ends_with_a_code_and_one_sentence",
        "test_what_comes_after_the_end_is_refused_and_does_not_wait",
        "test_a_disk_that_is_full_for_a_while_does_not_end_the_renewing",
    ),
    "R05 between rename and manifest, torn, two drivers": (
        "test_a_stage_that_is_struck_shows_nothing_half_and_goes_on",
        "test_a_torn_manifest_is_told_in_one_sentence",
        "test_a_torn_lock_holds_nobody_up",
        "test_a_record_that_is_torn_does_not_count",
        "test_a_second_driver_is_refused_with_the_name_of_the_first",
        "test_of_drivers_that_begin_at_the_same_instant_one_holds_it",
    ),
    "R06 what raises": (
        "test_a_picture_that_brings_out_a_fault_in_fetch_costs_one_row",
        "test_a_caption_that_brings_out_a_fault_in_score_costs_one_row",
        "test_a_unit_of_many_such_rows_is_not_committed",
        "test_an_item_that_cannot_be_done_is_set_aside_and_the_others_are_finished",
        "test_once_mended_the_item_alone_is_done_and_its_letter_goes",
        "test_a_fault_of_every_item_ends_the_build_soon",
        "test_tells_of_a_fault_without_bytes_in_a_kilobyte",
    ),
    "R07 what hangs or takes all memory": (
        "test_a_hostile_picture_costs_one_row",
        "test_an_item_that_cannot_be_done_is_set_aside_and_the_others_are_finished",
    ),
    "R08 what no manifest names": (
        "test_removes_all_that_no_manifest_names",
        "test_younger_files_stay",
    ),
    "R09 late listings": (
        "test_a_build_writes_the_same_bytes_whatever_a_listing_says",
        "test_a_file_that_a_manifest_names_and_that_is_not_there_is_an_error",
    ),
    "R10 signals": (
        "test_a_signal_stops_the_build_with_its_exit_code",
        "test_ctrl_c_reaches_the_whole_group_and_only_the_driver_answers",
        "test_a_second_signal_ends_it_at_once",
        "test_a_group_stopped_in_every_stage_ends_with_the_same_bytes",
    ),
    "R11 odd inputs": (
        "test_every_row_has_its_outcome_and_the_corpus_is_sound",
        "test_a_table_of_another_form_is_told_in_one_sentence",
        "test_bad_input_is_one_sentence_and_leaves_nothing",
    ),
    "R12 a reader sees all or nothing": (
        "test_a_reader_never_sees_a_partial_or_a_doubled_row",
        "test_nor_in_thousands_of_steps",
    ),
    # T: training
    "T01 a killed run is the run that was not": (
        "test_a_killed_run_goes_on_bit_for_bit",
        "test_a_stopped_run_goes_on_bit_for_bit",
        "test_a_run_that_is_killed_goes_on_from_its_last_checkpoint",
        "test_goes_on_with_other_ranks",
    ),
    "T02 no part of its state can be lost unnoticed": (
        "test_the_comparison_notices_when_a_part_of_the_state_is_lost",
    ),
    "T03 killed in a checkpoint, damaged checkpoints": (
        "test_killed_while_a_checkpoint_is_written_it_goes_on_bit_for_bit",
        "test_falls_back_to_the_newest_whole_checkpoint_and_says_so",
        "test_any_flipped_or_missing_bytes_are_noticed",
        "test_a_damaged_checkpoint_that_is_asked_for_is_an_error",
    ),
    "T04 a full disk": (
        "test_a_full_disk_costs_one_checkpoint",
        "test_the_last_good_checkpoint_outlives_those_that_fail",
        "test_a_run_that_cannot_write_its_last_checkpoint_says_so",
    ),
    "T05 numbers that are not finite": (
        "test_stops_before_the_update_and_names_the_pairs",
        "test_leaves_out_as_many_steps_as_it_may_and_counts_them",
        "test_a_step_left_out_changes_nothing_but_the_count",
    ),
    "T06 signals": (
        "test_sigterm_finishes_the_step_and_saves_it",
        "test_a_second_sigterm_ends_the_run_at_once",
        "test_a_signal_saves_and_the_same_command_goes_on",
    ),
    "T07 bad shards are named, and never passed by": (
        "test_a_bad_shard_is_named",
        "test_what_does_not_fit_the_layout_is_named",
        "test_a_shard_that_a_purge_has_replaced_is_told_apart",
        "test_a_pair_that_is_taken_down_is_not_trained_on",
        "test_refuses_data_that_is_not_what_the_run_was_begun_on",
    ),
    "T08 other ranks, batches and data": (
        "test_a_sample_is_the_same_whatever_the_ranks_batches_and_stops",
        "test_each_pair_comes_once_an_epoch_over_ranks_and_stops",
        "test_of_several_corpora_each_keeps_its_own_epochs",
        "test_a_newer_generation_begins_the_next_epoch",
    ),
    "T09 checkpoints that were made up": (
        "test_a_made_up_checkpoint_is_refused_and_nothing_runs",
        "test_files_that_the_marker_does_not_name_are_not_read",
        "test_slices_that_do_not_make_a_whole_are_refused",
        "test_a_state_that_no_run_has_is_refused",
        "test_weights_of_another_shape_are_refused",
    ),
    "T10 a loader that hangs or dies": (
        "test_a_thread_that_hangs_is_an_error_in_time",
        "test_a_thread_that_is_gone_without_a_word_is_an_error",
        "test_a_store_that_fails_for_good_is_one_clear_sentence",
    ),
    # X: the tests themselves
    "X1 tests stay on this machine": ("test_raises_and_remembers",),
    "X2 every outcome happens": ("test_every_outcome_is_made_once",),
    "X3 no guard can go unnoticed": (
        "test_no_guard_can_go_unnoticed",
        "test_tells_of_a_guard_that_no_test_holds",
    ),
}


@pytest.mark.parametrize("promise", PROMISES)
def test_has_its_tests(promise: str) -> None:
    assert [find_test(name) for name in PROMISES[promise]]


@pytest.mark.parametrize(
    ("letter", "rows"),
    [("N", 20), ("D", 11), ("P", 6), ("I", 6), ("M", 5), ("R", 12), ("T", 10), ("X", 3)],
)
def test_leaves_no_row_out(letter: str, rows: int) -> None:
    found = [name.partition(" ")[0] for name in PROMISES if name.startswith(letter)]

    assert found == [f"{letter}{n:02}" if letter != "X" else f"X{n}" for n in range(1, rows + 1)]
