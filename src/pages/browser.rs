//! From what a browser calls itself to words that a person knows theirs by.
//!
//! Browsers name their ancestors too: nearly all of them say Mozilla and Safari, and most say Chrome. So the first name
//! in the list that is found wins, descendants before ancestors. Anybody can call themselves anything; this is a help to
//! memory, no proof.

/// What a browser says of itself, and what people call it.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("Opera/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "Chrome without a window"),
    ("Chrome/", "Chrome"),
    // Only Safari itself says its version so; others that say Safari are found above, or stay unknown.
    ("Version/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
];

/// Browser and system in words: `Firefox on Windows`, `Unknown browser`.
pub fn browser(user_agent: &str) -> String {
    let find =
        |list: &[(&str, &'static str)]| list.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    // A webview of Android's says Version/ as Safari does.
    let is_webview = user_agent.contains("Version/") && !user_agent.contains("Safari/");
    let browser = find(BROWSERS).filter(|name| *name != "Safari" || !is_webview).unwrap_or("Unknown browser");
    match find(SYSTEMS) {
        Some(system) => format!("{browser} on {system}"),
        None => browser.to_owned(),
    }
}
