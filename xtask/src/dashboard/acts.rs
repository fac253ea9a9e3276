//! Finding a session, and what is done to the server.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use super::MEMBERS;
use super::browser::{Browser, Log};
use super::served::Served;
use crate::Result;
use crate::checks::ensure;

/// How long a session may take to end.
const END_MAX: Duration = Duration::from_secs(20);
/// The rows of the table.
const ROWS: &str = "document.querySelectorAll('#sessions tbody tr')";

/// The buttons that turn pages, and the numbers of those rows that are shown.
const NEXT: &str = "document.querySelector('#next')";
const PREVIOUS: &str = "document.querySelector('#previous')";
const RANGE: &str = "document.querySelector('#page').innerText";

/// How often the page has asked for a kick.
const KICKS: &str =
    "performance.getEntriesByType('resource').filter((it) => it.name.endsWith('/kick')).length";

/// The peers that the table shows.
const PEERS: &str =
    "[...document.querySelectorAll('#sessions tbody tr')].map((it) => it.cells[1]?.innerText)";

pub(super) fn found(browser: &Browser, served: &Served) -> Result<String> {
    let session = TcpStream::connect(served.server.address)?;
    let peer = session.local_addr()?.to_string();
    browser.until(&format!("{ROWS}.length === 50"))?;
    browser.press("#peer", &peer)?;
    browser.until(&format!("{PEERS}.join() === '{peer}'"))?;
    browser.press("#group", "everybody")?;
    browser.until(&format!("{PEERS}.join() === '{peer}'"))?;
    browser.press("#group", " else")?;
    browser.until("document.querySelector('#sessions td.empty')")?;
    browser.clear("#group")?;
    browser.clear("#peer")?;
    browser.until(&format!("{ROWS}.length === 50"))?;
    Ok(format!("{peer} by its address and by its group, and none in a group that there is not"))
}

pub(super) fn pages(browser: &Browser) -> Result<String> {
    let sessions = MEMBERS;
    browser.until(&format!("{ROWS}.length === 50"))?;
    for order in ["id", "age"] {
        browser.click(&format!("#order option[value={order}]"))?;
        browser.until(&format!("document.querySelector('[data-order={order}]').ariaSort"))?;
        browser.until(&format!("!{NEXT}.disabled"))?;
        let first = browser.run(&format!("return {PEERS}"))?;
        browser.click("#next")?;
        // One more may still be there, of the check before.
        browser.until(&format!("{ROWS}.length >= {} && {ROWS}.length < 50", sessions - 50))?;
        let again =
            browser.run(&format!("return {PEERS}.filter((it) => {first}.includes(it)).length"))?;
        ensure(again == 0, || {
            format!("{again} rows of the second page by {order} stood on the first")
        })?;
        browser.click("#previous")?;
        browser.until(&format!("{ROWS}.length === 50"))?;
    }
    browser.click("[data-order=sent] button")?;
    browser.until("document.querySelector('#order').value === 'sent'")?;
    browser.until("document.querySelector('[data-order=sent]').ariaSort === 'descending'")?;
    let sent = "Number.isFinite(parseFloat(document.querySelector('#sessions tbody').rows[0].cells[8].innerText))";
    browser.until(sent)?;
    for (order, column) in [("received_rate", 6), ("sent_rate", 8)] {
        // Not by the pointer: columns move as the rates in them change.
        browser.run(&format!("document.querySelector('[data-order={order}] button').click()"))?;
        browser.until(&format!("document.querySelector('#order').value === '{order}'"))?;
        browser.until(&format!(
            "document.querySelector('[data-order={order}]').ariaSort === 'descending'"
        ))?;
        let first = format!("{ROWS}[0].cells[{column}].innerText");
        browser.until(&format!("{ROWS}.length === 50 && parseFloat({first}) > 0"))?;
    }
    browser.click("#order option[value=id]")?;
    Ok("two pages by id and by age, orders by the head of a column".to_owned())
}

/// A page is turned once by two clicks at once, and not at all if there is no answer.
pub(super) fn turned_once(browser: &Browser) -> Result<String> {
    let is_first = format!("{ROWS}.length === 50 && {RANGE} === '1 to 50' && !{NEXT}.disabled");
    browser.until(&is_first)?;
    let first = browser.run(&format!("return {PEERS}"))?;
    let both = browser.run(&format!(
        "{NEXT}.focus(); {NEXT}.click(); {NEXT}.click(); return {NEXT}.disabled && {PREVIOUS}.disabled"
    ))?;
    ensure(both == true, || "a page can be turned that is not there yet".to_owned())?;
    browser.until(&format!("{RANGE}.startsWith('51 to ')"))?;
    let again =
        browser.run(&format!("return {PEERS}.filter((it) => {first}.includes(it)).length"))?;
    ensure(again == 0, || format!("{again} rows of the second page stood on the first"))?;
    browser.run(&format!("{PREVIOUS}.focus(); {PREVIOUS}.click(); {PREVIOUS}.click()"))?;
    browser.until(&is_first)?;
    browser.run(&format!(
        "window.real = window.fetch;
        window.fetch = async (url, options) => String(url).includes('/sessions?')
            ? new Response('not now', {{ status: 503 }}) : window.real(url, options);
        {NEXT}.focus(); {NEXT}.click();"
    ))?;
    browser.until("document.querySelector('#said').innerText.endsWith('503: not now')")?;
    browser.until(&format!("{is_first} && document.activeElement === {NEXT}"))?;
    browser.run("window.fetch = window.real")?;
    browser.click("#next")?;
    browser.until(&format!("{RANGE}.startsWith('51 to ')"))?;
    browser.click("#previous")?;
    browser.until(&is_first)?;
    Ok("by two clicks, and back by two; not without an answer".to_owned())
}

pub(super) fn kick(browser: &Browser, served: &Served) -> Result<String> {
    let mut session = TcpStream::connect(served.server.address)?;
    session.set_read_timeout(Some(END_MAX))?;
    let peer = session.local_addr()?.to_string();
    let closed = |server: &serde_json::Value| server["closes"]["closed"].as_u64();
    let before = closed(&served.says()?).ok_or("the server counts none that it has closed")?;
    browser.press("#peer", &peer)?;
    browser.until(&format!("{PEERS}.join() === '{peer}'"))?;
    let button = "#sessions tbody button";
    browser.click(button)?;
    browser.until("document.querySelector('#confirm').open")?;
    let question = browser.text("#confirm-text")?;
    ensure(question.contains(&peer), || format!("it asks: {question}"))?;
    browser.press("#confirm-no", "\u{e007}")?; // Enter
    browser.until("!document.querySelector('#confirm').open")?;
    browser.click(button)?;
    browser.click("#confirm-yes")?;
    // What the chat has sent comes first.
    std::io::copy(&mut session.by_ref(), &mut std::io::sink())?;
    drop(session);
    served.until("one more that was closed", |server| closed(server) == Some(before + 1))?;
    browser.until("document.querySelector('#sessions td.empty')")?;
    // The button that had the focus is gone, and it has not gone to the top of the page.
    browser.until(
        "document.activeElement === document.querySelector('#sessions').closest('.scroll')",
    )?;
    let asked = browser.run(&format!("return {KICKS}"))?;
    ensure(asked == 1, || format!("{asked} kicks were asked for, with one yes and one no"))?;
    browser.clear("#peer")?;
    Ok(format!("{peer} has its end of stream, and the server counts it"))
}

/// Whoever is about to copy an address is not disturbed by a table that is renewed.
pub(super) fn selected(browser: &Browser) -> Result<String> {
    browser.until(&format!("{ROWS}.length === 50"))?;
    let renewed = "performance.getEntriesByType('resource').filter((it) => it.name.includes('/sessions?')).length";
    let peer = browser.run(&format!(
        "performance.clearResourceTimings();
        const cell = {ROWS}[3].cells[1];
        getSelection().selectAllChildren(cell);
        return cell.innerText"
    ))?;
    browser.until(&format!("{renewed} >= 2"))?;
    let kept = browser.run("return getSelection().toString().trim()")?;
    browser.run("getSelection().removeAllRanges()")?;
    ensure(kept == peer, || format!("of {peer} is left {kept}"))?;
    Ok(format!("{peer}, over two renewals"))
}

/// Keeps an address out with a kick, sees that it is refused, and lets it in again.
pub(super) fn ban(browser: &Browser, served: &Served) -> Result<String> {
    let asked = "performance.getEntriesByType('resource').filter((it) => /limits|bans/.test(it.name)).length";
    let closed = browser.run(&format!("return {asked}"))?;
    ensure(closed == 0, || format!("{closed} questions about what nobody looks at"))?;
    browser.click("#rules summary")?;
    browser.until("document.querySelector('#limits').rows.length > 6")?;
    let most = served.says()?["sessions_max"].as_u64().unwrap_or_default();
    let told = "document.querySelector('#limits tbody').rows[0].innerText.replaceAll(',', '')";
    browser.until(&format!("{told}.endsWith('{most}')"))?;
    browser.until("document.querySelector('#bans-count').innerText === '0'")?;

    let mut session = TcpStream::connect(served.server.address)?;
    session.set_read_timeout(Some(END_MAX))?;
    let peer = session.local_addr()?.to_string();
    browser.press("#peer", &peer)?;
    browser.until(&format!("{PEERS}.join() === '{peer}'"))?;
    browser.click("#sessions tbody button")?;
    browser.click("#confirm-ban option[value='600']")?;
    // Who has gone meanwhile cannot be kicked, and its address is banned all the same.
    browser.run(
        "window.real = window.fetch;
        window.fetch = async (url, options) => String(url).endsWith('/kick')
            ? new Response('gone', { status: 404 }) : window.real(url, options);",
    )?;
    browser.click("#confirm-yes")?;
    browser.until(
        "document.querySelector('#said').innerText.endsWith(
            'is not kicked, and 127.0.0.1 is banned: 404: gone')",
    )?;
    browser.run("window.fetch = window.real")?;
    browser.until(
        "document.querySelector('#bans tbody').rows[0]?.innerText.startsWith('127.0.0.1')",
    )?;
    browser.click("#sessions tbody button")?;
    browser.click("#confirm-ban option[value='600']")?;
    browser.click("#confirm-yes")?;
    std::io::copy(&mut session.by_ref(), &mut std::io::sink())?;
    // It is reset, which may be before it could be told of.
    if let Ok(mut other) = TcpStream::connect(served.server.address) {
        other.set_read_timeout(Some(END_MAX))?;
        let count = other.read(&mut [0]).unwrap_or(0);
        ensure(count == 0, || "who is banned is served".to_owned())?;
    }
    browser.until("document.querySelector('#refused tbody').innerText.startsWith('banned')")?;
    browser.click("#bans tbody button")?;
    browser.click("#confirm-yes")?;
    browser.until("document.querySelector('#bans tbody').rows.length === 0")?;

    browser.press("#ban-network", "192.0.2.0/24")?;
    browser.click("#ban button")?;
    browser.click("#confirm-yes")?;
    browser.until(
        "document.querySelector('#bans tbody').rows[0]?.innerText.startsWith('192.0.2.0/24')",
    )?;
    browser.click("#bans tbody button")?;
    browser.click("#confirm-yes")?;
    browser.until("document.querySelector('#bans tbody').rows.length === 0")?;
    browser.clear("#ban-network")?;
    browser.press("#ban-network", "nobody\u{e007}")?;
    browser.click("#confirm-yes")?;
    browser.until(
        "document.querySelector('#said').innerText.includes('400: network is an address')",
    )?;
    // A browser says of each refusal that it was one.
    let said = browser.log(Log::Console)?;
    let is_it =
        |line: &serde_json::Value| line["message"].as_str().is_some_and(|it| it.contains(" 400 "));
    ensure(matches!(&said[..], [line] if is_it(line)), || format!("the console says {said:?}"))?;
    browser.click("#rules summary")?;
    browser.clear("#peer")?;
    Ok(format!("{peer} is kicked, kept out and let in; a network by hand; at most {most} sessions"))
}

pub(super) fn pause(browser: &Browser, served: &Served) -> Result<String> {
    for (is_accepting, state) in [(false, "not accepting"), (true, "accepting")] {
        browser.click("#accepting")?;
        browser.click("#confirm-yes")?;
        served.until(state, |server| server["accepting"] == is_accepting)?;
        browser.until(&format!("document.querySelector('#state').innerText === '{state}'"))?;
    }
    Ok("and the server says so".to_owned())
}
