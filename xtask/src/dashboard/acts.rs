//! Finding a session, and what is done to the server.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use super::MEMBERS;
use super::browser::Browser;
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
    let asked = browser.run(&format!("return {KICKS}"))?;
    ensure(asked == 1, || format!("{asked} kicks were asked for, with one yes and one no"))?;
    browser.clear("#peer")?;
    Ok(format!("{peer} has its end of stream, and the server counts it"))
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
