//! Sessions that say nothing: what the process holds for each, beyond what it holds without any.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::generator::{self, EXTRA_MAX, ReportFile, number};
use crate::Result;
use crate::case::Framing;
use crate::contender::Contender;
use crate::procfs::Memory;
use crate::results::Run;
use crate::rounds::Plan;
use crate::server::{self, Running};

/// For how long all sessions are kept, at least.
const KEPT_MIN: Duration = Duration::from_secs(2);

/// Pause between two looks at the memory, which hold the process up for milliseconds.
const MEASURE_EVERY: Duration = Duration::from_millis(200);

pub(super) fn run(plan: &Plan, contender: &Contender, sessions: u32) -> Result<Run> {
    let mut command = contender.command(Framing::Raw);
    let (server, address) = server::start(&mut command, &[plan.server_cpu], plan.nice)?;
    let empty = Memory::of(server.id())?;
    let kept = plan.window.max(KEPT_MIN);
    let report = ReportFile::new();
    let mut command = generator::command(plan, "idle", address, sessions);
    command.args(["--duration", &kept.as_secs_f64().to_string()]).arg("--json").arg(&report.path);
    let generator = Running::start(&mut command, &[plan.load_cpu], plan.nice)?;
    let mut seen = Vec::<(Instant, Memory)>::new();
    let said = generator::wait(generator, &report, kept + EXTRA_MAX, || {
        if seen.last().is_none_or(|(at, _)| at.elapsed() >= MEASURE_EVERY) {
            seen.push((Instant::now(), Memory::of(server.id())?));
        }
        Ok(())
    })?;
    // All were open for as long as they were kept, and the generator ended then.
    let full = at_time(&seen, Instant::now(), kept / 2).ok_or("the memory was not seen")?;
    evaluate(&said, sessions, empty, full)
}

/// What was seen nearest to so long before the end.
fn at_time(seen: &[(Instant, Memory)], end: Instant, before: Duration) -> Option<Memory> {
    let nearest = seen.iter().min_by_key(|(at, _)| (end - *at).abs_diff(before))?;
    Some(nearest.1)
}

fn evaluate(report: &Value, sessions: u32, empty: Memory, full: Memory) -> Result<Run> {
    let (opened, lost) = (number(report, "opened")?, number(&report["lost"], "count")?);
    let wanted = f64::from(sessions);
    if opened < wanted || lost > 0.0 {
        return Err(format!("{opened} of {wanted} sessions were opened, {lost} lost").into());
    }
    let each = |full: u64, empty: u64| Some(full.saturating_sub(empty) as f64 / wanted);
    Ok(Run {
        session_bytes: each(full.anonymous, empty.anonymous),
        session_resident_bytes: each(full.resident, empty.resident),
        empty_bytes: Some(empty.anonymous as f64),
        ..Run::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const EMPTY: Memory = Memory { anonymous: 1000, resident: 5000 };
    const FULL: Memory = Memory { anonymous: 6000, resident: 11_000 };

    #[test]
    fn a_session_is_charged_what_an_empty_server_does_not_hold() {
        let report = json!({ "opened": 10, "lost": { "count": 0 } });
        let run = evaluate(&report, 10, EMPTY, FULL).unwrap();
        assert_eq!((run.session_bytes, run.session_resident_bytes), (Some(500.0), Some(600.0)));
    }

    #[test]
    fn sessions_that_are_missing_are_a_failure() {
        for report in [
            json!({ "opened": 9, "lost": { "count": 0 } }),
            json!({ "opened": 10, "lost": { "count": 1 } }),
            json!({ "opened": 10 }),
        ] {
            assert!(evaluate(&report, 10, EMPTY, FULL).is_err(), "{report}");
        }
    }

    #[test]
    fn the_memory_of_the_time_when_all_were_there_is_taken() {
        let end = Instant::now() + Duration::from_secs(10);
        let seen = [(end - Duration::from_secs(5), EMPTY), (end - Duration::from_secs(1), FULL)];
        assert_eq!(at_time(&seen, end, Duration::from_secs(1)), Some(FULL));
        assert_eq!(at_time(&[], end, Duration::from_secs(1)), None);
    }
}
