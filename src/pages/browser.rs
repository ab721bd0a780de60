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

/// Apps that show pages in a window of their own, and what people call them.
const APPS: &[(&str, &str)] = &[
    ("Instagram", "Instagram"),
    ("FBAN/", "Facebook"),
    ("FBAV/", "Facebook"),
    ("FB_IAB/", "Facebook"),
    ("LinkedInApp", "LinkedIn"),
    ("MicroMessenger/", "WeChat"),
    ("Snapchat/", "Snapchat"),
    ("BytedanceWebview", "TikTok"),
    ("musical_ly", "TikTok"),
    ("Pinterest/", "Pinterest"),
    ("Twitter for", "X"),
    ("KAKAOTALK", "KakaoTalk"),
    (" Line/", "LINE"),
];

/// How Android's WebView marks itself, whichever app it lies in.
const WEBVIEW: &str = "; wv)";

/// A browser that is made of that WebView.
const OPERA_MINI: &str = " OPR/";

/// A window inside another app, in place of a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InApp {
    /// What people call the app, where it says.
    pub name: Option<&'static str>,
    /// Whether it runs on Android, where a link can ask for the browser.
    pub is_android: bool,
}

/// How WebKit's window in an app of Apple's phones and tablets describes itself where the app adds nothing: as Safari does, but
/// for the word Safari. Every browser there says that word, most with a name of their own before it. A site that was put on the
/// home screen describes itself in the very same way.
fn is_window_of_webkit(user_agent: &str) -> bool {
    let is_theirs = ["(iPhone;", "(iPad;", "(iPod"].iter().any(|device| user_agent.contains(device));
    is_theirs
        && ["AppleWebKit/", " Mobile/"].iter().all(|mark| user_agent.contains(mark))
        && !user_agent.contains("Safari/")
        && !BROWSERS.iter().any(|(mark, _)| user_agent.contains(mark))
}

/// The app whose window `user_agent` is. `None`: a browser, as far as it says.
pub fn in_app(user_agent: &str) -> Option<InApp> {
    let name = APPS.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    let is_of_android = user_agent.contains(WEBVIEW) && !user_agent.contains(OPERA_MINI);
    let is_window = name.is_some() || is_of_android || is_window_of_webkit(user_agent);
    is_window.then(|| InApp { name, is_android: user_agent.contains("Android") })
}

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
