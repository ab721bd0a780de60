//! The pages as their owner wants them: name, logo, one colour, templates and a style sheet, from a folder that
//! `doorward pages export` makes. Nothing the owner writes leaves a visitor without a page.

use std::fs;
use std::path::Path;

use doorward::config::accent::{Accent, Colour, Tones, contrast};
use doorward::config::pages as config;
use doorward::pages::assets::Asset;
use doorward::pages::{LoginPage, Pages, ProfilePage, samples};
use tempfile::TempDir;

use crate::markup::{Element, elements};
use crate::site::binary::{self, Binary, PROVIDER_AWAY};
use crate::site::log::Log;
use crate::site::visitors::{Anonymous, Visitor};

const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 60 20\"><path d=\"M0 0h60v20H0z\"/></svg>";

/// The owner's folder.
struct Owner(TempDir);

impl Owner {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("a file");
    }

    /// A template that shows `text` above the button.
    fn login_card(&self, text: &str) {
        let card = "{% extends \"layout.html\" %}{% block title %}Login{% endblock %}{% block main %}<h1>TEXT</h1>\
            <a href=\"{{ page.login_url }}\">{{ page.provider_label }}</a>{% endblock %}";
        self.write("login.html", &card.replace("TEXT", text));
    }

    fn config(&self, reload: bool) -> config::Pages {
        config::Pages { dir: Some(self.0.path().to_owned()), reload, ..config::Pages::default() }
    }

    fn pages(&self, reload: bool) -> Pages {
        Pages::new(&self.config(reload), "")
    }
}

fn login(pages: &Pages) -> String {
    let page = LoginPage { login_url: "/login", provider_label: "Google", is_google: true, notice: None };
    pages.login(&page).expect("a page")
}

fn profile(pages: &Pages) -> String {
    let page = ProfilePage {
        name: "Ada",
        email: "ada@example.com",
        picture: None,
        logout_url: "/logout",
        account_url: "/account",
    };
    pages.profile(&page).expect("a page")
}

/// The addresses of the style sheets in their order.
fn styles(html: &str) -> Vec<String> {
    let is_style = |element: &&Element| element.attribute("rel") == Some("stylesheet");
    let elements = elements(html).expect("well formed");
    elements.iter().filter(is_style).filter_map(|element| element.attribute("href").map(str::to_owned)).collect()
}

/// What is served at an address on a page.
fn served(pages: &Pages, address: &str) -> Asset {
    let (_, name) = address.rsplit_once("/assets/").expect("below /assets/");
    pages.asset(name).unwrap_or_else(|| panic!("nothing is served at {address}"))
}

fn accent(text: &str) -> Accent {
    Accent::parse(text).unwrap_or_else(|wrong| panic!("{text}: {} {}", wrong.what, wrong.remedy))
}

/// `#rrggbb` of every colour on a grid through all colours.
fn every_colour() -> Vec<String> {
    let steps = [0_u8, 32, 64, 96, 128, 160, 192, 224, 255];
    let mut colours = Vec::new();
    for red in steps {
        for green in steps {
            colours.extend(steps.map(|blue| format!("#{red:02x}{green:02x}{blue:02x}")));
        }
    }
    colours
}

fn colour(text: &str) -> Colour {
    Colour::parse(text).expect("a colour")
}

#[test]
fn whatever_colour_is_taken_can_be_read_in_light_and_in_dark() {
    let mut taken = 0;
    for text in every_colour() {
        let Ok(accent) = Accent::parse(&text) else { continue };
        taken += 1;
        assert_eq!(accent.light.accent.to_string(), text, "in light it is the owner's very colour");
        for (Tones { accent, hover, on_accent, text: words }, card, ground) in
            [(accent.light, "#ffffff", "#f3f4f6"), (accent.dark, "#101828", "#030712")]
        {
            assert!(contrast(accent, colour(card)) >= 3.0 && contrast(accent, colour(ground)) >= 3.0, "{text}: ring");
            assert!(contrast(on_accent, accent) >= 4.5, "{text}: {on_accent} on {accent}");
            assert!(contrast(on_accent, hover) >= 4.5, "{text}: {on_accent} on {hover}");
            assert!(contrast(words, colour(card)) >= 4.5, "{text}: {words} on {card}");
        }
    }
    assert!((200..729).contains(&taken), "{taken} of 729 are taken");
}

#[test]
fn contrast_is_what_wcag_says_it_is() {
    for (one, other, expected) in
        [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#3451b2", "#3451b2", 1.0)]
    {
        let found = contrast(colour(one), colour(other));
        assert!((found - expected).abs() < 0.01, "{one} on {other}: {found}");
    }
}

#[test]
fn a_pale_colour_is_refused_with_one_that_would_do() {
    let wrong = Accent::parse("#ffe08a").expect_err("pale yellow");
    assert!(wrong.what.contains("too pale") && wrong.what.contains("3:1"), "{}", wrong.what);
    let offered = wrong.remedy.split('"').nth(1).expect("a colour in quotes");
    accent(offered);
    for text in ["", "red", "3451b2", "#345", "#3451b2ff", "#ggg000", "#34 1b2", "#é451b2", "url(x)", "#12345;"] {
        let wrong = Accent::parse(text).expect_err(text);
        assert!(wrong.what.contains("is not a colour"), "{text}: {}", wrong.what);
    }
    assert_eq!(accent("#0F766E"), accent("#0f766e"));
}

#[test]
fn the_accent_comes_in_a_style_sheet_of_its_own_after_ours() {
    let config = config::Pages { accent: Some(accent("#0f766e")), ..config::Pages::default() };
    let pages = Pages::new(&config, "/auth");
    let styles = styles(&login(&pages));
    assert_eq!(styles.len(), 2, "{styles:?}");
    assert!(styles[0].starts_with("/auth/assets/app.") && styles[1].starts_with("/auth/assets/theme."), "{styles:?}");
    let theme = served(&pages, &styles[1]);
    assert!(theme.immutable && theme.mime.starts_with("text/css"), "{theme:?}");
    let css = String::from_utf8(theme.bytes.to_vec()).expect("UTF-8");
    assert!(css.contains(":root{--color-accent:#0f766e;") && css.contains("--color-on-accent:#ffffff"), "{css}");
    assert!(css.contains("@media (prefers-color-scheme:dark)"), "{css}");
    for variable in ["--color-accent:", "--color-accent-hover:", "--color-on-accent:", "--color-accent-text:"] {
        assert_eq!(css.matches(variable).count(), 2, "{variable}");
        let ours = pages.asset("app.css").expect("our style sheet").bytes.to_vec();
        assert!(String::from_utf8(ours).expect("UTF-8").contains(variable), "{variable} is ours to set");
    }
    assert_eq!(self::styles(&login(&Pages::new(&config::Pages::default(), ""))).len(), 1, "without an accent, without");
}

#[test]
fn the_logo_is_served_beside_the_name_and_in_the_tab() {
    let owner = Owner::new();
    owner.write("our.svg", SVG);
    let config = config::Pages { logo: Some(owner.0.path().join("our.svg")), ..config::Pages::default() };
    let pages = Pages::new(&config, "");
    let html = login(&pages);
    let elements = elements(&html).expect("well formed");
    let picture = elements.iter().find(|element| element.name == "img").expect("a picture");
    let icon = elements.iter().find(|element| element.attribute("rel") == Some("icon")).expect("an icon");
    let address = picture.attribute("src").expect("an address");
    assert_eq!(icon.attribute("href"), Some(address));
    assert_eq!(icon.attribute("type"), Some("image/svg+xml"));
    let logo = served(&pages, address);
    assert_eq!((logo.bytes.as_ref(), logo.mime, logo.immutable), (SVG.as_bytes(), "image/svg+xml", true));
}

#[test]
fn a_template_of_the_owners_is_used_and_the_others_are_ours() {
    let owner = Owner::new();
    owner.login_card("Come in, friend");
    owner.write("custom.css", "h1 { color: rebeccapurple }");
    owner.write("footer.html", "<p>Our own footer</p>");
    owner.write("notes.txt", "not a template");
    owner.write(".login.html.swp.html", "{{ broken");
    let log = Log::default();
    let _guard = log.keep();
    let config = config::Pages { accent: Some(accent("#0f766e")), ..owner.config(false) };
    let pages = Pages::new(&config, "");
    assert!(login(&pages).contains("<h1>Come in, friend</h1>"));
    assert!(profile(&pages).contains("Log out"));
    let styles = styles(&profile(&pages));
    assert_eq!(styles.len(), 3, "{styles:?}");
    assert!(styles[2].starts_with("/assets/custom."), "the owner's is the last: {styles:?}");
    assert_eq!(served(&pages, &styles[2]).bytes.as_ref(), b"h1 { color: rebeccapurple }");
    let said = log.take();
    assert!(said.contains("footer.html login.html custom.css") && !said.contains("ERROR"), "{said}");
}

#[test]
fn only_the_style_sheet_and_the_logo_of_the_folder_are_served() {
    let owner = Owner::new();
    owner.login_card("Hello");
    owner.write("custom.css", "");
    owner.write("secret.css", "secret");
    owner.write("config.toml", "secret");
    let pages = owner.pages(true);
    assert!(pages.asset("custom.css").is_some());
    let outside =
        format!("../{}/config.toml", owner.0.path().file_name().and_then(|name| name.to_str()).expect("a name"));
    for name in ["login.html", "secret.css", "config.toml", "./custom.css", "../custom.css", outside.as_str()] {
        assert_eq!(pages.asset(name), None, "{name}");
    }
}

#[test]
fn a_template_that_is_broken_at_the_start_is_replaced_by_ours_aloud() {
    for (broken, line, what) in [
        ("{% extends \"layout.html\" %}\n{% block main %}\n{% if %}{% endblock %}", 3, "syntax error"),
        (
            "{% extends \"layout.html\" %}\n{% block title %}x{% endblock %}\n{% block main %}{{ page.nmae }}{% endblock %}",
            3,
            "undefined value",
        ),
        ("{% extends \"layout.html\" %}\n\n{% block main %}{{ \"a\" | nofilter }}{% endblock %}", 3, "unknown filter"),
        ("{% extends \"elsewhere.html\" %}", 1, "template not found"),
        ("{% include \"login.html\" %}", 1, ""),
        ("\n", 0, "is empty"),
    ] {
        let owner = Owner::new();
        owner.write("login.html", broken);
        owner.write(
            "continue.html",
            "{% extends \"layout.html\" %}{% block title %}c{% endblock %}{% block main %}<h1>mine</h1>{% endblock %}",
        );
        let log = Log::default();
        let _guard = log.keep();
        let pages = owner.pages(false);
        assert!(login(&pages).contains("Login to continue"), "{broken}");
        let file = owner.0.path().join("login.html");
        let place = if line == 0 { format!("{}: ", file.display()) } else { format!("{}:{line}: ", file.display()) };
        let said = log.take();
        let line = said.lines().find(|line| line.contains(&place)).unwrap_or_else(|| panic!("no {place} in {said}"));
        assert!(line.contains("ERROR") && line.contains(what) && line.ends_with("ours is used instead"), "{line}");
        assert_eq!(said.matches("ERROR").count(), 1, "{said}");
        let (_, other) = samples::all(&pages).into_iter().find(|(name, _)| name == "continue").expect("a sample");
        assert!(other.expect("a page").contains("<h1>mine</h1>"), "the others stay the owner's");
    }
}

#[test]
fn with_reload_a_saved_change_shows_at_the_next_request() {
    let owner = Owner::new();
    owner.login_card("First");
    let pages = owner.pages(true);
    assert!(login(&pages).contains("<h1>First</h1>"));
    owner.login_card("Other");
    assert!(login(&pages).contains("<h1>Other</h1>"), "of the same length, within the same tick of the disk's clock");
    owner.write("custom.css", "a{}");
    let before = styles(&login(&pages)).pop().expect("a style sheet");
    owner.write("custom.css", "b{}");
    let after = styles(&login(&pages)).pop().expect("a style sheet");
    assert_ne!(before, after, "browsers keep the old one for ever");
    assert_eq!(served(&pages, &after).bytes.as_ref(), b"b{}");
    fs::remove_file(owner.0.path().join("login.html")).expect("it is there");
    assert!(login(&pages).contains("Login to continue"), "ours comes back");
}

#[test]
fn without_reload_what_was_read_at_the_start_stays() {
    let owner = Owner::new();
    owner.login_card("First");
    let pages = owner.pages(false);
    owner.login_card("Second");
    assert!(login(&pages).contains("<h1>First</h1>"));
}

#[test]
fn a_template_that_breaks_keeps_the_last_good_one_and_says_so_once() {
    let owner = Owner::new();
    owner.login_card("Good");
    let pages = owner.pages(true);
    let log = Log::default();
    let _guard = log.keep();
    let place = format!("{}:2: ", owner.0.path().join("login.html").display());
    for broken in ["<h1>\n{{ page.nothing }}</h1>", "<h1>\n{% if %}</h1>"] {
        owner.write("login.html", broken);
        for _ in 0..3 {
            assert!(login(&pages).contains("<h1>Good</h1>"), "{broken}");
        }
        let said = log.take();
        assert_eq!(said.matches("ERROR").count(), 1, "{said}");
        assert!(said.contains(&place) && said.contains("the last good one stays in use"), "{said}");
    }
    // What else was saved in the meantime is taken all the same.
    owner.write("site_name.html", "<p>Anew</p>");
    let html = login(&pages);
    assert!(html.contains("<h1>Good</h1>") && html.contains("<p>Anew</p>"), "{html}");
    log.take();
    owner.login_card("Mended");
    assert!(login(&pages).contains("<h1>Mended</h1>"));
    let said = log.take();
    assert!(said.contains("made anew") && !said.contains("ERROR"), "{said}");
}

#[test]
fn a_template_that_only_a_real_visitor_breaks_is_replaced_for_that_answer() {
    let owner = Owner::new();
    // No sample has this name.
    owner.write("profile.html", "<h1>\n{% if page.name == \"Ada\" %}{{ page.nothing }}{% endif %}mine</h1>");
    let pages = owner.pages(false);
    let log = Log::default();
    let _guard = log.keep();
    assert!(profile(&pages).contains("Log out"), "our page, not a dead end");
    let said = log.take();
    let place = format!("{}:2: ", owner.0.path().join("profile.html").display());
    assert!(said.contains(&place) && said.contains("this answer is made of ours"), "{said}");
}

#[test]
fn the_owners_templates_are_escaped_as_ours_are() {
    let owner = Owner::new();
    owner.write("profile.html", "<p title=\"{{ page.name }}\">{{ page.name }}</p>");
    let page =
        ProfilePage { name: "\"><script>", email: "e", picture: None, logout_url: "/logout", account_url: "/account" };
    let html = owner.pages(false).profile(&page).expect("a page");
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
}

fn export(folder: &Path, arguments: &[&str]) -> binary::Ran {
    binary::run(binary::command(folder).args(["pages", "export"]).args(arguments))
}

#[test]
fn what_is_exported_makes_the_same_pages_and_is_never_replaced_unasked() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = export(folder.path(), &["own/pages"]);
    assert_eq!(first.code, 0, "{first:#?}");
    assert_eq!(first.stdout, "");
    let dir = folder.path().join("own/pages");
    let config = config::Pages { dir: Some(dir.clone()), ..config::Pages::default() };
    let (ours, exported) = (Pages::new(&config::Pages::default(), ""), Pages::new(&config, ""));
    for ((name, ours), (_, exported)) in samples::all(&ours).into_iter().zip(samples::all(&exported)) {
        let custom = styles(exported.as_ref().expect("a page")).pop().expect("a style sheet");
        let link = format!("\n<link rel=\"stylesheet\" href=\"{custom}\">");
        assert_eq!(ours.expect("a page"), exported.expect("a page").replace(&link, ""), "{name}");
    }
    assert!(fs::read_to_string(dir.join("style.css")).expect("the source").contains("@theme"));

    fs::write(dir.join("login.html"), "mine").expect("a file");
    fs::write(dir.join("custom.css"), "mine").expect("a file");
    let again = export(folder.path(), &["own/pages"]);
    assert_eq!(again.code, 1, "{again:#?}");
    assert!(again.stderr.contains("account.html and 15 more") && again.stderr.contains("--force"), "{again:#?}");
    assert_eq!(fs::read_to_string(dir.join("login.html")).expect("a file"), "mine");
    let forced = export(folder.path(), &["own/pages", "--force"]);
    assert_eq!(forced.code, 0, "{forced:#?}");
    assert!(fs::read_to_string(dir.join("login.html")).expect("a file").contains("extends"));
    assert_eq!(fs::read_to_string(dir.join("custom.css")).expect("a file"), "mine", "the owner's is the owner's");
}

#[test]
fn an_export_that_cannot_be_written_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("a file");
    let ran = export(folder.path(), &["file"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("could not be written"), "{ran:#?}");
}

#[tokio::test]
async fn an_evening_with_ones_own_pages_needs_no_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let exported = export(folder.path(), &["own"]);
    // The very lines that the command says belong into config.toml.
    let lines: Vec<_> = exported.stderr.lines().skip_while(|line| !line.starts_with("[pages]")).take(3).collect();
    assert_eq!(lines.len(), 3, "{exported:#?}");
    fs::write(folder.path().join("logo.svg"), SVG).expect("a logo");
    let logo = format!("title = \"Tea\"\naccent = \"#0f766e\"\nlogo = '{}'", folder.path().join("logo.svg").display());
    let site = Binary::serve(&format!("{PROVIDER_AWAY}{}\n{logo}\n", lines.join("\n")));
    let visitor = Anonymous::at(&site.public_url);
    let page = visitor.visit("/").await;
    assert!(page.body.contains("Login to continue") && page.body.contains("· Tea</title>"), "{page:#?}");
    let elements = elements(&page.body).expect("well formed");
    let loaded = elements.iter().filter_map(|element| match element.name.as_str() {
        "link" => element.attribute("href"),
        "img" => element.attribute("src"),
        _ => None,
    });
    for address in loaded {
        let file = visitor.get(address).await;
        assert_eq!(file.status, 200, "{address}");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable", "{address}");
    }
    let card = folder.path().join("own/login.html");
    let ours = fs::read_to_string(&card).expect("a template");
    fs::write(&card, ours.replace("Login to continue", "Welcome to tea")).expect("a change");
    assert!(visitor.visit("/").await.body.contains("Welcome to tea"));
    fs::write(&card, ours.replace("page.login_url", "page.login_ulr")).expect("a slip");
    assert!(visitor.visit("/").await.body.contains("Welcome to tea"));
    let line = site.program.wait_for("complaint", |line| line.contains("login.html:").then(|| line.to_owned()));
    assert!(line.contains("the last good one stays in use"), "{line}");
    for path in ["/assets/login.html", "/assets/..%2flogin.html", "/assets/%2e%2e/config.toml", "/assets/style.css"] {
        assert_eq!(visitor.get(path).await.status, 404, "{path}");
    }
}

#[test]
fn what_cannot_be_shown_is_refused_before_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("logo.gif"), "GIF89a").expect("a file");
    fs::write(folder.path().join("large.png"), vec![0; 600 * 1024]).expect("a file");
    for (line, said) in [
        ("logo = \"logo.gif\"", ".svg, .png or .webp"),
        ("logo = \"away.svg\"", "cannot be read"),
        ("logo = \"large.png\"", "larger than 512 kB"),
        ("dir = \"away\"", "doorward pages export"),
        ("dir = \"logo.gif\"", "no folder"),
        ("accent = \"#eeeeee\"", "too pale"),
        ("reload = \"yes\"", "neither true nor false"),
    ] {
        fs::write(folder.path().join("config.toml"), format!("{PROVIDER_AWAY}[pages]\n{line}\n")).expect("a file");
        let ran = binary::run(binary::command(folder.path()).args(["config", "check"]));
        assert_eq!(ran.code, 78, "{line}: {ran:#?}");
        assert!(ran.stderr.contains("config.toml:7: pages.") && ran.stderr.contains(said), "{line}: {ran:#?}");
    }
}
