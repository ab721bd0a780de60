//! A real Chromium, driven over WebDriver: what a person sees under the real policy of the pages.
//!
//! Each browser has a profile folder of its own; opened again on the same folder it is the same browser, restarted.
//! Pictures of what it showed are left in `target/screenshots`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use thirtyfour::prelude::*;

use crate::site::program::{PATIENCE, PAUSE, Program};
use crate::site::visitors;

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

/// A running browser with one profile.
pub struct Browser {
    driver: WebDriver,
    chromedriver: Program,
    server: String,
    profile: PathBuf,
}

/// How wide a window is, in points, and whether its person likes dark pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Points from side to side.
    pub width: u32,
    /// Whether dark pages are preferred.
    pub is_dark: bool,
}

/// The four ways to look that everything is held against: a phone and a desktop, in light and in dark.
pub const VIEWS: [View; 4] = [
    View { width: 360, is_dark: false },
    View { width: 360, is_dark: true },
    View { width: 1280, is_dark: true },
    View { width: 1280, is_dark: false },
];

impl View {
    /// `dark-360`
    pub fn name(self) -> String {
        format!("{}-{}", if self.is_dark { "dark" } else { "light" }, self.width)
    }
}

/// How the screen is.
#[derive(Clone, Copy, Debug)]
pub enum Screen {
    /// A desktop that likes light pages.
    Light,
    /// A desktop that likes dark pages.
    Dark,
    /// A phone of 360 × 740 points.
    Phone,
}

impl Browser {
    /// Starts Chromium on `profile`, a folder that may be empty.
    pub async fn open(profile: &Path) -> Self {
        Self::open_with(profile, &[]).await
    }

    /// The same with further flags.
    pub async fn open_with(profile: &Path, more: &[&str]) -> Self {
        visitors::provide_cryptography();
        let chromedriver = Program::start(Command::new("chromedriver").arg("--port=0"));
        let port = chromedriver.wait_for("port of chromedriver", |line| {
            let rest = line.split_once("started successfully on port ")?.1;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        let server = format!("http://127.0.0.1:{port}");
        let mut capabilities = DesiredCapabilities::chrome();
        for flag in FLAGS.iter().chain(more) {
            capabilities.add_arg(flag).expect("a flag");
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.display())).expect("a flag");
        let driver = WebDriver::new(&server, capabilities).await.expect("chromedriver starts Chromium");
        Self { driver, chromedriver, server, profile: profile.to_owned() }
    }

    /// Goes to an address and waits until the page has loaded.
    pub async fn visit(&self, address: &str) {
        self.driver.goto(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.driver.refresh().await.expect("a page can be loaded again");
    }

    /// Goes back one page.
    pub async fn back(&self) {
        self.driver.back().await.expect("there is a page before");
    }

    /// Opens a further tab and goes there.
    pub async fn new_tab(&self) {
        let tab = self.driver.new_tab().await.expect("a new tab");
        self.driver.switch_to_window(tab).await.expect("the new tab");
    }

    /// The address shown.
    pub async fn address(&self) -> String {
        self.driver.current_url().await.expect("an address").to_string()
    }

    /// The title of the tab.
    pub async fn title(&self) -> String {
        self.driver.title().await.expect("a title")
    }

    /// All text of the page.
    pub async fn text(&self) -> String {
        let body = self.driver.find(By::Css("body")).await.expect("a body");
        body.text().await.expect("its text")
    }

    /// Waits until the page shows `text`.
    pub async fn sees(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A page that is being left has no body for a moment.
            let body = self.driver.find(By::Css("body")).await;
            let shown = match &body {
                Ok(body) => body.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if shown.contains(text) {
                return;
            }
            let address = self.driver.current_url().await.map(|url| url.to_string()).unwrap_or_default();
            assert!(Instant::now() < deadline, "{text:?} is not shown at {address}:\n{shown}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Clicks the link or button that reads `words`.
    pub async fn click(&self, words: &str) {
        let path = format!("//*[self::a or self::button][contains(normalize-space(.), '{words}')]");
        let element = match self.driver.find(By::XPath(&path)).await {
            Ok(element) => element,
            Err(error) => panic!("nothing to click that reads {words:?} ({error}):\n{}", self.text().await),
        };
        element.click().await.unwrap_or_else(|error| panic!("{words:?} cannot be clicked: {error}"));
    }

    /// Types `text` into the field with this id.
    pub async fn type_into(&self, id: &str, text: &str) {
        let field = self.driver.find(By::Id(id)).await.unwrap_or_else(|error| panic!("no field {id:?}: {error}"));
        field.send_keys(text).await.unwrap_or_else(|error| panic!("{id:?} takes no text: {error}"));
    }

    /// Presses a key wherever the focus is.
    pub async fn press(&self, key: Key) {
        let pressed = self.driver.action_chain().send_keys(key + "").perform().await;
        pressed.expect("a key can be pressed");
    }

    /// Moves the focus on by keyboard until it is on what reads `words`.
    pub async fn tab_to(&self, words: &str) {
        for _ in 0..20 {
            self.press(Key::Tab).await;
            let focused = self.evaluate("document.activeElement.innerText").await;
            if focused.as_str().is_some_and(|focused| focused.contains(words)) {
                return;
            }
        }
        panic!("the keyboard does not reach {words:?}:\n{}", self.text().await);
    }

    /// What a script on the page evaluates to.
    pub async fn evaluate(&self, script: &str) -> serde_json::Value {
        let result = self.driver.execute(format!("return {script}"), Vec::new()).await;
        result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// What the browser complained of since it was asked last: blocked by policy, not found, script errors.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.driver.get_log("browser").await.expect("Chromium keeps a log");
        log.into_iter().map(|entry| entry.message).collect()
    }

    /// Changes the screen, for this tab.
    pub async fn look_on(&self, screen: Screen) {
        let scheme = if matches!(screen, Screen::Dark) { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
        if matches!(screen, Screen::Phone) {
            let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
            self.devtools("Emulation.setDeviceMetricsOverride", phone).await;
        } else {
            self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
        }
    }

    /// Looks at the page in another way; it is not loaded again.
    pub async fn view(&self, View { width, is_dark }: View) {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
        // Not as a mobile one: that zooms out where a page is too wide, and hides the fault.
        let size = json!({ "width": width, "height": if width < 600 { 740 } else { 900 }, "deviceScaleFactor": 1,
            "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Leaves a picture of the whole page, however long, as `file`.
    pub async fn photograph(&self, file: &Path) {
        // As high a window as the page, so that there is no scroll bar.
        let size = self.evaluate("[innerWidth, Math.max(innerHeight, document.documentElement.scrollHeight)]").await;
        let size = json!({ "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let picture = self.devtools("Page.captureScreenshot", json!({ "format": "png" })).await;
        let picture = STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64");
        fs::write(file, picture).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Has `script` run in every document from the next one on, before the document's own and outside its policy.
    pub async fn bring_along(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// What the promise that `expression` makes is kept with.
    pub async fn promised(&self, expression: &str) -> serde_json::Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let kept = self.devtools("Runtime.evaluate", asked).await;
        assert!(kept["exceptionDetails"].is_null(), "{expression}: {kept}");
        kept["result"]["value"].clone()
    }

    /// Leaves a picture of the page as `target/screenshots/NAME.png`.
    pub async fn picture(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
        fs::create_dir_all(&folder).expect("target can be written");
        self.driver.screenshot(&folder.join(format!("{name}.png"))).await.expect("a picture");
    }

    /// Pictures of the page in light, in dark and on a phone; light again afterwards.
    pub async fn pictures(&self, name: &str) {
        for (screen, suffix) in [(Screen::Dark, "dark"), (Screen::Phone, "phone"), (Screen::Light, "light")] {
            self.look_on(screen).await;
            self.picture(&format!("{name}-{suffix}")).await;
        }
    }

    /// Closes the browser as a person does: what it was to keep is on disk afterwards.
    pub async fn close(self) {
        let Self { driver, chromedriver, profile, .. } = self;
        driver.quit().await.expect("Chromium closes");
        drop(chromedriver);
        let lock = profile.join("SingletonLock");
        let deadline = Instant::now() + PATIENCE;
        while fs::symlink_metadata(&lock).is_ok() {
            assert!(Instant::now() < deadline, "Chromium still holds {}", profile.display());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What Chromium's own tools answer to a command.
    async fn devtools(&self, command: &str, parameters: serde_json::Value) -> serde_json::Value {
        let session = self.driver.session_id();
        let url = format!("{}/session/{session}/goog/cdp/execute", self.server);
        let body = json!({ "cmd": command, "params": parameters });
        let answer = visitors::client().post(url).json(&body).send().await.expect("chromedriver answers");
        let is_fine = answer.status().is_success();
        let mut answer: serde_json::Value = answer.json().await.expect("chromedriver speaks JSON");
        assert!(is_fine, "{command}: {answer}");
        answer["value"].take()
    }
}
