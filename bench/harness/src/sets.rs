//! The cases by area: each can be run, saved and reported on its own.

use crate::Result;

/// An area of the comparison.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) name: &'static str,
    /// What it is about, for the report.
    pub(crate) title: &'static str,
    /// As [`groups`](crate::case::groups) reads them.
    pub(crate) cases: &'static str,
    /// As `--servers` has them; none stands for all that are built.
    pub(crate) servers: Option<&'static str>,
}

const ECHO: &str = "64x64x1:raw,64x64x16:raw,64x1024x1:raw,64x1024x16:raw,64x16384x1:raw,64x16384x16:raw,\
            1000x64x1:raw,1000x64x16:raw,1000x1024x1:raw,1000x1024x16:raw,1000x16384x1:raw,\
            1000x16384x16:raw,9000x64x1:raw,9000x64x16:raw,9000x1024x1:raw,9000x1024x16:raw,\
            9000x16384x1:raw,9000x16384x16:raw";
const BROADCAST: &str = "1000x60x1:chat,1000x252x1:chat,9000x60x1:chat,9000x252x1:chat,\
            1000x60x8:chat,1000x252x8:chat,9000x60x8:chat,9000x252x8:chat";

/// All areas, in the order of the report. Where there are many cases, two areas have them: one with the peers
/// that come nearest, in as many rounds as a bound near 1 takes, and one with every peer in fewer.
pub(crate) const SETS: [Set; 13] = [
    Set {
        name: "echo",
        title: "Echo of bytes",
        cases: ECHO,
        servers: Some("bare,mio,tokio,wharf-uring,wharf-readiness"),
    },
    Set {
        name: "echo-peers",
        title: "Echo of bytes, beside every peer",
        cases: ECHO,
        servers: None,
    },
    Set {
        name: "half-load",
        title: "Echo at half of what the slowest server can do",
        cases: "64x64x1@half:raw,1000x64x1@half:raw,1000x1024x1@half:raw,9000x64x1@half:raw",
        servers: None,
    },
    Set {
        name: "framed",
        title: "Echo of frames",
        cases: "1000x60x16:u32le,1000x1020x16:u32le",
        servers: None,
    },
    Set {
        name: "broadcast",
        title: "Broadcast to all members, cost per delivery",
        cases: BROADCAST,
        servers: Some("bare,bare-skip,mio,tokio,asio,wharf-uring,wharf-readiness"),
    },
    Set {
        name: "broadcast-peers",
        title: "Broadcast to all members, beside every peer",
        cases: BROADCAST,
        servers: None,
    },
    Set {
        name: "accept",
        title: "Connections: connect, one echo, reset",
        cases: "accept",
        servers: None,
    },
    Set {
        name: "idle",
        title: "Memory of sessions that say nothing",
        cases: "idle:19000",
        servers: None,
    },
    Set {
        name: "rates",
        title: "Light load at a fixed rate",
        cases: "1000x64@20000:raw,1000x64@100000:raw",
        servers: Some(
            "bare,mio,tokio,compio,monoio,asio,libuv,wharf-uring,wharf-readiness,wharf-spin",
        ),
    },
    Set {
        name: "workers",
        title: "Two workers at a third of the capacity, nothing pinned, the server's threads alone",
        cases: "1000x64x1@third+unpinned:raw,1000x60x8@third+unpinned:chat",
        servers: Some("wharf-uring,wharf-uring-2,wharf-readiness,wharf-readiness-2"),
    },
    Set {
        name: "growth",
        title: "The same messages on more sessions, in the same rounds",
        cases: "64x64x1:raw&1000x64x1:raw&9000x64x1:raw",
        servers: Some("bare,mio,wharf-uring,wharf-readiness"),
    },
    Set {
        name: "idle-beside",
        title: "Active sessions beside idle ones",
        cases: "1000x64x1:raw&1000x64x1+8000idle:raw",
        servers: Some("bare,mio,tokio,wharf-uring,wharf-readiness"),
    },
    Set {
        name: "generator",
        title: "The load generator, beside the loop that it loads",
        cases: "1000x64x1:raw,1000x64x16:raw,1000x1024x16:raw,1000x16384x1:raw,9000x64x1:raw,\
                1000x60x16:u32le,1000x60x8:chat",
        servers: Some("bare"),
    },
];

/// How sets are asked for.
pub(crate) fn help() -> String {
    format!("Sets of cases, separated by commas: {}; or all", all_names())
}

fn all_names() -> String {
    all().map(|set| set.name).collect::<Vec<_>>().join(", ")
}

/// The areas that are asked for by name, or all for `all`.
pub(crate) fn named(names: &str) -> Result<Vec<&'static Set>> {
    if names == "all" {
        return Ok(all().collect());
    }
    names.split(',').map(one).collect()
}

fn one(name: &str) -> Result<&'static Set> {
    let known = all().find(|set| set.name == name);
    known.ok_or_else(|| {
        let names = all_names();
        format!("there is no set `{name}`; there are {names}; `all` by itself means all of them")
            .into()
    })
}

/// All areas.
pub(crate) fn all() -> impl Iterator<Item = &'static Set> {
    SETS.iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::groups;

    #[test]
    fn every_set_has_cases_that_can_be_read() {
        for set in all() {
            assert!(groups(set.cases).is_ok(), "{}", set.name);
            assert_eq!(one(set.name).unwrap().name, set.name);
        }
        assert!(named("echo,dance").is_err());
    }

    #[test]
    fn all_stands_for_every_set_in_the_order_of_the_report() {
        let names = |word| named(word).unwrap().iter().map(|set| set.name).collect::<Vec<_>>();
        assert_eq!(names("all"), SETS.map(|set| set.name));
        assert_eq!(names("workers,echo"), ["workers", "echo"]);
    }
}
