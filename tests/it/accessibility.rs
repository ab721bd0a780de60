//! What stands between a person and a page: every sample in Chromium, in light and in dark, on a phone and on a desktop,
//! held against axe; reached and worked by keyboard alone; read at twice the size of text, and from right to left.

use std::fmt::Write as _;

use doorward::web::paths;
use serde_json::Value;
use tempfile::TempDir;
use thirtyfour::Key;

use crate::site::axe::Axe;
use crate::site::browser::{Browser, VIEWS, View};
use crate::site::demo::Demo;
use crate::site::gallery::Gallery;
use crate::site::tiers::Tier;

/// Chromium with a profile of its own.
struct Window {
    browser: Browser,
    _profile: TempDir,
}

impl Window {
    /// `None`: the tier is missing.
    async fn open() -> Option<Self> {
        Tier::Browser.here()?;
        let profile = tempfile::tempdir().expect("a folder");
        Some(Self { browser: Browser::open(profile.path()).await, _profile: profile })
    }
}

/// What hangs in `gallery` but for the errors: each is a shorter text on a page that hangs there with a longer one.
fn all_but_errors(gallery: &Gallery) -> impl Iterator<Item = &String> {
    gallery.pictures.iter().filter(|picture| !picture.starts_with("errors/"))
}

/// Fails with every line of `found` under the sentence `rule`.
fn none(rule: &str, found: &[String]) {
    let mut list = String::new();
    for line in found {
        let _ = write!(list, "\n  {line}");
    }
    assert!(found.is_empty(), "{rule}:{list}");
}

/// What is wider than the window: the page itself, or what sticks out of it.
const STICKS_OUT: &str = "(() => {
    const width = document.documentElement.clientWidth;
    const found = [];
    if (document.documentElement.scrollWidth > width) found.push('the page is ' + document.documentElement.scrollWidth);
    for (const element of document.body.querySelectorAll('*')) {
        const box = element.getBoundingClientRect();
        if (box.width > 1 && (box.right > width + 0.5 || box.left < -0.5) && !element.closest('pre'))
            found.push(element.tagName + ' from ' + box.left + ' to ' + box.right + ': ' + element.textContent.slice(0, 40));
    }
    return found;
})()";

/// Words of ordinary length that go on in the next line.
const BROKEN: &str = "(() => {
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode;
        if (text.parentElement.closest('pre, .sr-only')) continue;
        for (const { 0: word, index } of text.data.matchAll(/[A-Za-z]+/g)) {
            if (word.length > 14) continue;
            const range = document.createRange();
            range.setStart(text, index);
            range.setEnd(text, index + word.length);
            if (new Set([...range.getClientRects()].map(box => box.top)).size > 1) found.push('broken: ' + word);
        }
    }
    return found;
})()";

/// Buttons, links that stand alone and what opens: anything lower than a finger needs.
const TOO_SMALL: &str = "[...document.querySelectorAll('button, summary, a, input, select')]
    .filter(element => getComputedStyle(element).display !== 'inline' && element.getBoundingClientRect().height > 0)
    .filter(element => element.getBoundingClientRect().height < 43.5)
    .map(element => element.tagName + ' ' + element.getBoundingClientRect().height + ': ' + element.textContent.trim())";

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
}

// A browser that a failed test leaves is closed from another thread.
#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_on_any_page_in_any_scheme_at_any_width() {
    let Some(Window { browser, _profile }) = Window::open().await else { return };
    let Some(axe) = Axe::brought_to(&browser).await else { return };
    let gallery = Gallery::open().await;
    browser.visit(&gallery.address("plain/login")).await;
    browser
        .evaluate("(document.querySelector('h1').style.color = '#ddd', document.documentElement.lang = '', true)")
        .await;
    assert!(axe.judge(&browser).await.violations.len() >= 2, "axe sees nothing at all");
    let mut found = Vec::new();
    for picture in &gallery.pictures {
        browser.visit(&gallery.address(picture)).await;
        for view in VIEWS {
            browser.view(view).await;
            let judged = axe.judge(&browser).await;
            // The initials behind a picture are for the eye alone, and axe cannot see what a picture covers.
            let unclear = judged.unclear.iter().filter(|line| !line.contains("aria-hidden"));
            let lines = judged.violations.iter().chain(unclear);
            found.extend(lines.map(|line| format!("{picture} {}: {line}", view.name())));
            for question in [STICKS_OUT, BROKEN] {
                let lines = strings(&browser.evaluate(question).await);
                found.extend(lines.iter().map(|what| format!("{picture} {}: {what}", view.name())));
            }
        }
        let too_small = strings(&browser.evaluate(TOO_SMALL).await);
        found.extend(too_small.iter().map(|what| format!("{picture}: too small for a finger: {what}")));
    }
    none("what people cannot read, reach or hear", &found);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_behind_any_door_of_a_running_site() {
    let Some(Window { browser, _profile }) = Window::open().await else { return };
    let Some(axe) = Axe::brought_to(&browser).await else { return };
    let demo = Demo::start();
    let (mut found, mut seen) = (Vec::new(), 0);
    for is_signed_in in [false, true] {
        if is_signed_in {
            demo.sign_in(&browser, "Ada").await;
        }
        let doors = paths::DOORS.iter().map(|door| door.path);
        // A typed address of that door ends the session, so it comes last; a parameter is nobody's to guess.
        let doors = doors.filter(|path| *path != paths::LOGOUT && !path.contains(':'));
        for path in doors.chain(["/no/such/page", "/login/callback?error=access_denied", paths::LOGOUT]) {
            browser.visit(&format!("{}{path}", demo.address)).await;
            // A program's answer is shown by Chromium's own viewer, which is not ours.
            if browser.evaluate("document.contentType === 'text/html' && document.title !== ''").await != true {
                continue;
            }
            seen += 1;
            for view in VIEWS {
                browser.view(view).await;
                let place = format!("{path} ({}) {}", browser.title().await, view.name());
                found.extend(axe.judge(&browser).await.violations.iter().map(|line| format!("{place}: {line}")));
                found
                    .extend(strings(&browser.evaluate(STICKS_OUT).await).iter().map(|line| format!("{place}: {line}")));
            }
        }
    }
    assert!(seen >= 12, "only {seen} pages were seen");
    none("what people cannot read, reach or hear", &found);
    browser.close().await;
}

/// Numbers what the keyboard must reach, in the order of the page, and says how much it is.
const NUMBER: &str = "(() => {
    const found = [...document.querySelectorAll('a[href], button, summary, input, select, textarea, [tabindex]')]
        .filter(element => element.tabIndex >= 0 && element.type !== 'hidden' && element.checkVisibility());
    found.forEach((element, index) => element.dataset.number = index);
    return found.length;
})()";

/// Where the focus is, and how well one sees it: the contrast of the ring with what is around it.
const FOCUS: &str = "(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const light = colours => {
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(value => {
            value /= 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const focused = document.activeElement;
    const ring = getComputedStyle(focused);
    const grounds = [];
    for (let around = focused.parentElement; around; around = around.parentElement)
        grounds.unshift(getComputedStyle(around).backgroundColor);
    const [one, other] = [light(grounds), light([...grounds, ring.outlineColor])].sort();
    const box = focused.getBoundingClientRect();
    return { number: Number(focused.dataset.number ?? -1), text: focused.textContent.trim().slice(0, 40),
        ring: ring.outlineStyle === 'none' ? 0 : parseFloat(ring.outlineWidth), contrast: (other + 0.05) / (one + 0.05),
        shown: box.bottom > 0 && box.top < innerHeight };
})()";

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_reaches_everything_in_order_and_one_sees_where_it_is() {
    let Some(Window { browser, _profile }) = Window::open().await else { return };
    let gallery = Gallery::open().await;
    let mut found = Vec::new();
    for picture in all_but_errors(&gallery) {
        browser.view(View { width: 360, is_dark: picture.contains('e') }).await;
        browser.visit(&gallery.address(picture)).await;
        let controls = browser.evaluate(NUMBER).await.as_i64().expect("a number");
        assert!(controls > 0, "{picture} leads nowhere");
        for number in 0..controls {
            browser.press(Key::Tab).await;
            let focus = browser.evaluate(FOCUS).await;
            let is_seen = focus["ring"].as_f64() >= Some(2.0) && focus["contrast"].as_f64() >= Some(3.0);
            if focus["number"] != number || !is_seen || focus["shown"] != true {
                found.push(format!("{picture}: {number} of {controls}: {focus}"));
            }
        }
    }
    none("where the keyboard goes wrong", &found);
    browser.close().await;
}

/// Text at twice its size; and, WCAG 2.2, 1.4.12: the least distances that a reader may ask for.
const TWICE: &str = "(document.documentElement.style.fontSize = '200%', true)";
const SPACED: &str = "(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync('* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em \
        !important } p { margin-bottom: 2em !important }');
    document.adoptedStyleSheets = [sheet];
    return true;
})()";

/// Words that are cut off by what they stand in.
const CUT_OFF: &str = "[...document.querySelectorAll('body *')].filter(element => {
    const style = getComputedStyle(element);
    const clips = style.overflowX !== 'visible' || style.overflowY !== 'visible';
    return clips && style.overflowX !== 'auto' && element.textContent.trim() && !element.matches('.sr-only')
        && !element.querySelector('[aria-hidden]')
        && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1);
}).map(element => 'cut off: ' + element.tagName + ': ' + element.textContent.trim().slice(0, 40))";

#[tokio::test(flavor = "multi_thread")]
async fn text_of_twice_the_size_and_narrow_windows_lose_nothing() {
    let Some(Window { browser, _profile }) = Window::open().await else { return };
    let gallery = Gallery::open().await;
    let mut found = Vec::new();
    // 1280 points at 400 % are 320 (1.4.10, reflow).
    for (width, change) in [(320, "true"), (640, TWICE), (1280, TWICE), (360, SPACED)] {
        browser.view(View { width, is_dark: false }).await;
        for picture in all_but_errors(&gallery) {
            browser.visit(&gallery.address(picture)).await;
            browser.evaluate(change).await;
            for question in [STICKS_OUT, CUT_OFF] {
                let lines = strings(&browser.evaluate(question).await);
                found.extend(lines.iter().map(|line| format!("{picture} at {width} with {}: {line}", &change[..4])));
            }
        }
    }
    none("what is lost", &found);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_reads_from_the_right_begins_there() {
    let Some(Window { browser, _profile }) = Window::open().await else { return };
    let gallery = Gallery::open().await;
    for picture in gallery.room("right-to-left") {
        browser.visit(&gallery.address(picture)).await;
        browser.view(View { width: 1280, is_dark: false }).await;
        assert_eq!(browser.evaluate("getComputedStyle(document.body).direction").await, "rtl", "{picture}");
        // The site's name stands left of its logo then.
        let logo = "document.querySelector('header img').getBoundingClientRect().left \
            > document.querySelector('header span').getBoundingClientRect().left";
        assert_eq!(browser.evaluate(logo).await, true, "{picture}");
    }
    browser.close().await;
}
