//! Inside another app Google signs nobody in (`disallowed_useragent`): a page leads out to a browser.

use reqwest::Method;

use crate::site::instance::Site;
use crate::site::visitors::{Answer, TYPED, Visitor};

const INSTAGRAM: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                         Mobile/22G86 Instagram 395.0.0.28.96 (iPhone16,2; iOS 18_6; en_GB; scale=3.00)";
const FACEBOOK: &str = "Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/BP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) \
                        Version/4.0 Chrome/140.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/520.0.0.38.101;]";
const SOME_APP: &str = "Mozilla/5.0 (Linux; Android 10; K; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 \
                        Chrome/140.0.0.0 Mobile Safari/537.36";
const CHROME: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile \
                      Safari/537.36";
/// A browser that is made of Android's WebView.
const OPERA_MINI: &str = "Mozilla/5.0 (Linux; U; Android 10; SM-G960F Build/QP1A; wv) AppleWebKit/537.36 (KHTML, like \
                          Gecko) Version/4.0 Chrome/95.0.4638.50 Mobile Safari/537.36 OPR/60.0.2254.59405";
/// An app that shows a page in WebKit's own window and adds nothing.
const SOME_APP_OF_APPLES: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
                                  Gecko) Mobile/15E148";
/// Browsers there are made of the same window, and say so in their names.
const BROWSERS_OF_APPLES: [&str; 6] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0.7339.39 \
     Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/142.0 Mobile/15E148 \
     Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/8.1 Mobile/15E148",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 \
     EdgiOS/139.0.3405.86 Mobile/15E148 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 \
     Mobile/15E148 DuckDuckGo/7 Safari/605.1.15",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
];
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/18.6 Mobile/15E148 Safari/604.1";

/// A site whose provider goes by this name.
async fn site(provider: &str) -> Site {
    Site::start_with(|config| {
        let provider_config = config.provider.as_mut().expect("a provider");
        provider_config.name = provider.to_owned();
    })
    .await
}

async fn asked(site: &Site, user_agent: &str, target: &str) -> Answer {
    let headers = [TYPED, &[("user-agent", user_agent)]].concat();
    site.anonymous().ask(Method::GET, target, &headers).await
}

#[tokio::test]
async fn whoever_sits_in_another_app_is_shown_the_way_out() {
    let site = site("google").await;
    for (user_agent, words) in [
        (INSTAGRAM, "You are inside <bdi>Instagram</bdi>"),
        (FACEBOOK, "You are inside <bdi>Facebook</bdi>"),
        (SOME_APP, "You are inside another app"),
        (SOME_APP_OF_APPLES, "You are inside another app"),
    ] {
        let answer = asked(&site, user_agent, "/login?rd=%2F%3Fa%3D1%26b&prompt=select_account").await;
        assert_eq!(answer.status, 200, "{user_agent}: {answer:#?}");
        assert!(answer.body.contains(words), "{}", answer.body);
        let address = format!("{}/login?rd=/%3Fa%3D1%26b&amp;prompt=select_account", site.url);
        assert!(answer.body.contains(&address), "{address}: {}", answer.body);
        assert!(answer.set_cookies().is_empty(), "nothing is begun: {answer:#?}");
        let is_android = user_agent.contains("Android");
        assert_eq!(answer.body.contains("intent:"), is_android, "{}", answer.body);
        assert!(!is_android || answer.body.contains("#Intent;scheme=http;end"), "{}", answer.body);
    }
}

#[tokio::test]
async fn whoever_wants_to_stay_there_signs_in_there() {
    let site = site("google").await;
    let page = asked(&site, INSTAGRAM, "/login?rd=%2Freports").await;
    let stay = page.body.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|url| url.contains("in_app"));
    let stay = stay.expect("a link").replace("&amp;", "&");
    assert_eq!(stay, "/login?rd=/reports&in_app=stay");
    let answer = asked(&site, INSTAGRAM, &stay).await;
    assert_eq!(answer.status, 303, "{answer:#?}");
    assert_eq!(answer.location().path(), "/authorize");
}

#[tokio::test]
async fn browsers_and_other_providers_are_left_alone() {
    let google = site("google").await;
    for user_agent in [CHROME, SAFARI, OPERA_MINI, "curl/8.14.1", ""].into_iter().chain(BROWSERS_OF_APPLES) {
        assert_eq!(asked(&google, user_agent, "/login").await.status, 303, "{user_agent}");
    }
    let elsewhere = site("keycloak").await;
    assert_eq!(asked(&elsewhere, INSTAGRAM, "/login").await.status, 303, "only Google is known to refuse");
}
