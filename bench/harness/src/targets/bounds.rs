//! The bounds, as data.

use super::{Against, Rule, Target};
use crate::results::Figure;

/// The backend that the bounds are for, and the other.
const OWN: &str = "wharf-uring";
const READINESS: &str = "wharf-readiness";

/// A bound for the same server and figure in several cases.
struct Row {
    area: &'static str,
    cases: &'static [&'static str],
    server: &'static str,
    figure: Figure,
    against: Against,
    rule: Rule,
    bound: f64,
}

const fn row(
    area: &'static str,
    cases: &'static [&'static str],
    server: &'static str,
    figure: Figure,
    against: Against,
    rule: Rule,
    bound: f64,
) -> Row {
    Row { area, cases, server, figure, against, rule, bound }
}

const ECHO: [&str; 18] = [
    "64x64x1:raw",
    "64x64x16:raw",
    "64x1024x1:raw",
    "64x1024x16:raw",
    "64x16384x1:raw",
    "64x16384x16:raw",
    "1000x64x1:raw",
    "1000x64x16:raw",
    "1000x1024x1:raw",
    "1000x1024x16:raw",
    "1000x16384x1:raw",
    "1000x16384x16:raw",
    "9000x64x1:raw",
    "9000x64x16:raw",
    "9000x1024x1:raw",
    "9000x1024x16:raw",
    "9000x16384x1:raw",
    "9000x16384x16:raw",
];
const HALF: [&str; 4] =
    ["64x64x1@half:raw", "1000x64x1@half:raw", "1000x1024x1@half:raw", "9000x64x1@half:raw"];
const FRAMED: [&str; 2] = ["1000x60x16:u32le", "1000x1020x16:u32le"];
const BROADCAST: [&str; 4] =
    ["1000x60x1:chat", "1000x252x1:chat", "9000x60x1:chat", "9000x252x1:chat"];
const BURSTS: [&str; 4] =
    ["1000x60x8:chat", "1000x252x8:chat", "9000x60x8:chat", "9000x252x8:chat"];
const RATES: [&str; 2] = ["1000x64@20000:raw", "1000x64@100000:raw"];
const GENERATOR: [&str; 7] = [
    "1000x64x1:raw",
    "1000x64x16:raw",
    "1000x1024x16:raw",
    "1000x16384x1:raw",
    "9000x64x1:raw",
    "1000x60x16:u32le",
    "1000x60x8:chat",
];
const WORKERS: [&str; 2] = ["1000x64x1@third+unpinned:raw", "1000x60x8@third+unpinned:chat"];

/// All bounds, in the order of the report.
pub(crate) fn bounds() -> Vec<Target> {
    use Against::{BestPeer, Loaded, Nobody, Server};
    use Figure::{Cpu, GeneratorCpu, P50, P90, P99, PerSecond, SessionBytes};
    use Rule::{AtLeast, AtMost, BestAtMost};

    let (bare, skip, mio, tokio) =
        (Server("bare"), Server("bare-skip"), Server("mio"), Server("tokio"));
    let rows = [
        row("echo", &ECHO, OWN, Cpu, bare.clone(), AtMost, 1.06),
        row("echo", &ECHO, OWN, Cpu, BestPeer, AtMost, 1.0),
        row("echo", &ECHO, READINESS, Cpu, mio.clone(), AtMost, 1.08),
        row("half-load", &HALF, OWN, P50, BestPeer, AtMost, 1.0),
        row("half-load", &HALF, OWN, P90, BestPeer, AtMost, 1.0),
        row("half-load", &HALF, OWN, P99, BestPeer, BestAtMost, 1.5),
        row("framed", &FRAMED, OWN, Cpu, bare.clone(), AtMost, 1.12),
        row("framed", &FRAMED, OWN, Cpu, BestPeer, AtMost, 0.85),
        row("framed", &FRAMED, OWN, Cpu, tokio.clone(), AtMost, 0.75),
        row("framed", &FRAMED, READINESS, Cpu, mio.clone(), AtMost, 1.08),
        row("broadcast", &BROADCAST, OWN, Cpu, bare.clone(), AtMost, 1.05),
        row("broadcast", &BROADCAST, READINESS, Cpu, mio.clone(), AtMost, 1.08),
        row("broadcast", &BURSTS, OWN, Cpu, skip, AtMost, 1.10),
        row("broadcast", &BURSTS, OWN, Cpu, BestPeer, AtMost, 0.75),
        row("broadcast", &BURSTS, OWN, Cpu, Server("asio"), AtMost, 0.15),
        row("broadcast", &BURSTS, READINESS, Cpu, mio.clone(), AtMost, 1.08),
        row("accept", &["accept"], OWN, Cpu, bare.clone(), AtMost, 1.05),
        row("accept", &["accept"], OWN, Cpu, BestPeer, AtMost, 1.0),
        row("accept", &["accept"], OWN, PerSecond, bare.clone(), AtLeast, 0.95),
        row("accept", &["accept"], READINESS, Cpu, mio.clone(), AtMost, 1.08),
        row("idle", &["idle:19000"], OWN, SessionBytes, Nobody, AtMost, 512.0),
        row("idle", &["idle:19000"], READINESS, SessionBytes, Nobody, AtMost, 512.0),
        row("rates", &RATES, OWN, Cpu, bare.clone(), AtMost, 1.0),
        row("rates", &RATES, OWN, Cpu, tokio.clone(), AtMost, 1.0),
        row("rates", &RATES, OWN, P99, bare, AtMost, 1.0),
        row("rates", &RATES, OWN, P99, tokio, AtMost, 1.0),
        row("rates", &RATES, READINESS, Cpu, mio, AtMost, 1.08),
        row("workers", &WORKERS, "wharf-uring-2", Cpu, Server(OWN), AtMost, 1.15),
        row("workers", &WORKERS, "wharf-readiness-2", Cpu, Server(READINESS), AtMost, 1.15),
        row("generator", &GENERATOR, "bare", GeneratorCpu, Loaded, AtMost, 1.25),
    ];
    let mut targets: Vec<Target> = rows.iter().flat_map(Row::targets).collect();
    targets.extend(growths());
    targets.extend([OWN, READINESS].map(beside));
    targets
}

impl Row {
    fn targets(&self) -> impl Iterator<Item = Target> {
        self.cases.iter().map(|case| Target {
            area: self.area,
            case: (*case).to_owned(),
            server: self.server,
            figure: self.figure,
            against: self.against.clone(),
            rule: self.rule,
            bound: self.bound,
        })
    }
}

/// The cost of a message grows with the active sessions no faster than the anchor's.
fn growths() -> impl Iterator<Item = Target> {
    [("64x64x1:raw", "1000x64x1:raw"), ("1000x64x1:raw", "9000x64x1:raw")].into_iter().map(
        |(from, to)| Target {
            area: "growth",
            case: to.to_owned(),
            server: OWN,
            figure: Figure::Cpu,
            against: Against::Growth(from.to_owned()),
            rule: Rule::AtMost,
            bound: 1.0,
        },
    )
}

/// It does not grow with idle sessions beside them.
fn beside(server: &'static str) -> Target {
    Target {
        area: "idle-beside",
        case: "1000x64x1+8000idle:raw".to_owned(),
        server,
        figure: Figure::Cpu,
        against: Against::Other(server, "1000x64x1:raw".to_owned()),
        rule: Rule::AtMost,
        bound: 1.05,
    }
}
