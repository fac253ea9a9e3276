//! `wharf serve --pin`, seen in what Linux says of the threads.

use crate::serving::{Serving, check_echo};

/// The cores that each worker of a server may run on, by number of the worker.
fn cores_of_workers(serving: &Serving) -> Vec<String> {
    let threads = format!("/proc/{}/task", serving.id());
    let mut workers = Vec::new();
    for thread in std::fs::read_dir(threads).unwrap() {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(|rest| rest.trim_start_matches(':').trim().to_owned()).unwrap()
        };
        let number = field("Name").strip_prefix("wharf-").and_then(|it| it.parse::<usize>().ok());
        workers.extend(number.map(|number| (number, field("Cpus_allowed_list"))));
    }
    workers.sort_unstable();
    workers.into_iter().map(|(_, cores)| cores).collect()
}

/// The cores that a list such as `0-3,8` has.
fn cores_in(list: &str) -> Vec<u32> {
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cores.extend(first.parse::<u32>().unwrap()..=last.parse().unwrap());
    }
    cores
}

#[test]
fn each_worker_has_a_core_of_its_own_if_asked_and_else_all() {
    let all = {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        cores_in(list.unwrap().trim())
    };
    let workers = all.len() + 1;
    for (flag, own) in [("", false), ("--pin on", true), ("--pin off", false)] {
        let serving = Serving::start(&format!("--workers {workers} {flag}"));
        check_echo(&serving.connect(), b"hello");
        let found = cores_of_workers(&serving);
        let found: Vec<Vec<u32>> = found.iter().map(|list| cores_in(list)).collect();
        let expected: Vec<Vec<u32>> = match own {
            // The last one begins anew.
            true => all.iter().chain(&all[..1]).map(|core| vec![*core]).collect(),
            false => vec![all.clone(); workers],
        };
        assert_eq!(found, expected, "{flag}");
        serving.stop();
    }
}
