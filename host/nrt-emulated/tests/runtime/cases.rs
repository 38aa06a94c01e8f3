//! The cases that need nothing but to run to their end.

use crate::fixtures::{Build, pass};

/// A test for every case of a program.
macro_rules! cases {
    ($program:ident, $build:ident: $($case:ident)*) => {
        mod $program {
            use super::*;

            $(#[test]
            fn $case() {
                pass(stringify!($program), stringify!($case), Build::$build, &[]);
            })*
        }
    };
}

cases! { lifecycle, Sanitized:
    calls_before_init_are_uninitialized
    calls_after_close_are_closed
    init_twice_is_invalid
    init_with_arguments_that_mean_nothing_is_invalid
    settings_that_mean_nothing_are_invalid
    cores_are_counted_at_any_time
    the_version_says_that_it_is_the_emulation
    a_symbol_says_that_it_is_the_emulation_before_anything_is_called
    every_status_has_its_name
    close_frees_what_the_program_has_left
}

cases! { tensors, Sanitized:
    what_is_written_is_read
    device_memory_has_no_address_and_host_memory_has
    ranges_past_the_end_are_invalid
    slices_share_memory_and_keep_it
    attached_buffers_are_used_in_place
    copies_may_overlap
    a_copy_between_the_device_memories_of_two_cores_is_invalid
    arguments_that_mean_nothing_are_invalid
    null_stale_and_foreign_handles_are_invalid_handles
    sets_hold_tensors_by_name_and_do_not_own_them
    a_second_free_is_reported_and_harmless
    device_memory_is_accounted_per_core
    host_memory_that_there_is_not_fails_to_allocate
}

cases! { models, Sanitized:
    loads_that_cannot_be_are_invalid
    what_is_no_neff_is_invalid
    a_neff_for_the_device_is_invalid
    a_neff_of_another_version_is_unsupported
    a_neff_for_more_cores_than_there_are_is_not_loaded
    a_neff_that_does_not_fit_its_library_is_invalid
    a_wrong_hash_is_invalid_when_hashes_are_validated
    intermediates_are_device_memory
    a_model_says_what_its_tensors_are
    models_that_were_unloaded_are_invalid_handles
    a_library_is_loaded_once_and_unloaded_with_its_last_model
}

cases! { execution, Sanitized:
    a_graph_of_calls_is_computed
    an_op_of_the_bert_trainer_is_computed
    a_tensor_that_is_missing_or_of_another_size_is_bad_input
    a_tensor_that_the_model_does_not_have_is_invalid
    a_tensor_freed_while_in_a_set_is_an_invalid_handle
    an_access_out_of_bounds_is_oob
    an_access_out_of_bounds_is_oob_in_fast_mode
    a_kernel_that_fails_completes_with_an_error
    a_new_nan_completes_with_a_numerical_error
    an_execution_that_takes_too_long_times_out
    close_waits_for_an_execution_that_timed_out
    a_time_of_zero_never_runs_out
    a_call_may_write_several_outputs
    repeated_executions_take_the_outputs_before_as_inputs
    a_model_whose_outputs_are_no_inputs_cannot_be_repeated
    attached_buffers_of_any_alignment_are_executed_in_place
}

cases! { clients, Sanitized:
    a_model_is_loaded_with_a_count_of_one
    collectives_work_for_one_worker_and_fail_for_more
    batches_read_and_write_parts_of_tensors
    memory_is_set_to_a_byte
    memory_statistics_are_those_of_the_core
    outputs_count_the_executions_that_wrote_them
    the_instance_is_an_emulated_trn1
    what_needs_hardware_fails
    a_profile_has_the_executions_of_its_model
    a_trace_has_the_executions_of_all_models
}

cases! { threads, Sanitized:
    two_threads_execute_one_model
    four_threads_execute_four_models_on_two_cores
    two_models_on_two_cores_run_at_the_same_time
    one_core_runs_one_execution_at_a_time
    a_thread_that_waits_for_a_core_learns_that_it_stays_busy
    close_waits_for_executions_of_other_threads
    threads_make_and_free_tensors
    opposite_copies_end
}

cases! { endurance, Plain:
    ten_thousand_executions_do_not_grow
    five_hundred_models_do_not_grow
}
