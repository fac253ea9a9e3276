//! What cargo-fuzz tries with made-up files, and the tests here replay from the corpus
//! (`fuzz/corpus/capture_file`).

use crate::Recording;
use crate::recording::What;

/// A first line, behind which made-up lines are looked at.
const HEAD: &[u8] =
    b"{\"wharf_capture\":1,\"version\":\"\",\"started_unix_ms\":null,\"framing\":\"lines\",\"frame_max\":100}\n";
const OPEN: &[u8] = b"{\"event\":\"open\",\"at_us\":0,\"session\":1,\"id\":\"\",\"peer\":\"\"}\n";

/// Reads bytes as a file, as what stands behind the first line of one, and behind a session.
pub fn capture_file(data: &[u8]) {
    for file in [data.to_vec(), [HEAD, data].concat(), [HEAD, OPEN, data].concat()] {
        check(&file);
    }
}

/// A file is refused, or holds no more than it has bytes, and says the same when it is written and read again.
fn check(file: &[u8]) {
    let Ok(recording) = Recording::read(file) else { return };
    assert!(held(&recording) <= file.len(), "{} bytes of {}", held(&recording), file.len());
    let mut written = Vec::new();
    assert!(recording.write(&mut written).is_ok(), "memory takes everything");
    let again = Recording::read(&written[..]);
    assert_eq!(again.ok().as_ref(), Some(&recording), "{}", written.escape_ascii());
}

fn held(recording: &Recording) -> usize {
    let session = |it: &crate::RecordedSession| it.id.len() + it.peer.len();
    let sessions: usize = recording.sessions.iter().map(session).sum();
    let record = |it: &crate::Record| match &it.what {
        What::In(payload) | What::Out(payload) => payload.len(),
        What::Close { reason, .. } => reason.len(),
        _ => 0,
    };
    sessions + recording.records.iter().map(record).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Vec<Vec<u8>> {
        let folder = format!("{}/../../fuzz/corpus/capture_file", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        let files: Vec<_> = files.map(|path| std::fs::read(path).unwrap()).collect();
        assert!(!files.is_empty());
        files
    }

    #[test]
    fn files_are_refused_or_hold_what_they_say() {
        corpus().iter().for_each(|file| capture_file(file));
    }

    /// Bytes of the corpus are changed, left out and doubled, the same in every run: xorshift (Marsaglia, 2003).
    #[test]
    fn so_are_files_that_are_nearly_right() {
        let files = corpus();
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = |most: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 32).unwrap() % most.max(1)
        };
        for _ in 0..20_000 {
            let mut file = files[below(files.len())].clone();
            for _ in 0..below(4) {
                let (at, to) = (below(file.len()), below(file.len()));
                match below(4) {
                    0 if !file.is_empty() => file[at] = u8::try_from(below(256)).unwrap(),
                    1 => drop(file.drain(at.min(to)..at.max(to))),
                    2 => file.extend_from_within(at.min(to)..at.max(to)),
                    _ => file.truncate(at),
                }
            }
            capture_file(&file);
        }
    }
}
