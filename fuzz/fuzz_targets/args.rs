#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wharf_cli::fuzzing::args(data));
