//! A network of its own, for what needs more addresses than a machine has: this program starts itself anew
//! in a network namespace, which goes with its last process, and in a process namespace, so that nothing
//! that was started there stays.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use crate::backends::Terms;
use crate::checks::ensure;
use crate::{Result, process};

/// All of these addresses lead back to the namespace itself. None of them is loopback, and who connects to
/// one of them comes from there.
const NETWORKS: [(&str, &str); 2] = [("-4", "10.0.0.0/8"), ("-6", "fd66::/16")];
/// How long a check may take there.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs `addresses` again in a namespace; gives what it has shown.
pub(super) fn again(terms: &Terms<'_>) -> Result<String> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg(env::current_exe()?).args(["addresses-within", "--backend", terms.backend]);
    command.args(terms.many.then_some("--many")).arg(terms.wharf);
    let refused = |why: &str| {
        format!(
            "no network namespace can be made here ({}): be root, or allow user namespaces",
            why.trim()
        )
    };
    let ended = process::run(&mut command, LIMIT).map_err(|error| refused(&error.to_string()))?;
    ensure(!ended.stderr.starts_with("unshare:"), || refused(&ended.stderr))?;
    ensure(ended.code == Some(0), || ended.stderr.trim().to_owned())?;
    Ok(ended.stdout.trim().to_owned())
}

/// Gives the namespace its addresses; whether it has those of `IPv6`.
pub(super) fn set_up() -> Result<bool> {
    let ip = |words: &[&str]| -> Result<()> {
        let ended = process::run(Command::new("ip").args(words), LIMIT)?;
        ensure(ended.code == Some(0), || format!("ip {}: {}", words.join(" "), ended.stderr.trim()))
    };
    ip(&["link", "set", "lo", "up"])?;
    let has_v6 = Path::new("/proc/net/if_inet6").exists();
    for (family, network) in NETWORKS.into_iter().filter(|(family, _)| *family == "-4" || has_v6) {
        ip(&[family, "route", "add", "local", network, "dev", "lo"])?;
    }
    if has_v6 {
        // Or an address could be bound only if it stood on an interface by itself.
        fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1")?;
    }
    Ok(has_v6)
}
