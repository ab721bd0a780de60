//! Who may come in.

use doorward::access::{Access, Decision};
use doorward::config::access::Access as Rules;
use doorward::model::Identity;

fn identity(email: &str, hosted_domain: Option<&str>) -> Identity {
    Identity {
        provider: "google".to_owned(),
        issuer: "https://accounts.google.com".to_owned(),
        subject: "1101".to_owned(),
        email: email.to_owned(),
        email_verified: true,
        name: None,
        picture: None,
        hosted_domain: hosted_domain.map(str::to_owned),
    }
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

#[test]
fn without_rules_everyone_with_a_verified_email_may_come_in() {
    let access = Access::new(Rules::default());
    assert!(access.is_open());
    assert_eq!(access.decide(&identity("ada@example.com", None)), Decision::Allow("open"));
}

#[test]
fn an_unverified_email_is_never_enough() {
    let mut somebody = identity("ada@example.com", Some("example.com"));
    somebody.email_verified = false;
    let rules = [
        Rules::default(),
        Rules { emails: list(&["ada@example.com"]), ..Rules::default() },
        Rules { hosted_domains: list(&["example.com"]), ..Rules::default() },
    ];
    for rules in rules {
        assert_eq!(Access::new(rules).decide(&somebody), Decision::Deny("email_unverified"));
    }
}

/// IDN-05, IDN-09: the whole domain, ASCII case aside, and nothing that looks like it.
#[test]
fn an_email_domain_is_equal_or_it_is_another() {
    let access = Access::new(Rules { email_domains: list(&["corp.com"]), ..Rules::default() });
    for email in ["ada@corp.com", "Ada@CORP.com"] {
        assert_eq!(access.decide(&identity(email, None)), Decision::Allow("email_domains"), "{email}");
    }
    let others = [
        "ada@evilcorp.com",
        "ada@corp.com.evil",
        "ada@sub.corp.com",
        "ada@corp.com.",
        "corp.com@evil.com",
        "ada@corp.co\u{212A}",
        "corp.com",
        "",
    ];
    for email in others {
        assert_eq!(access.decide(&identity(email, None)), Decision::Deny("not_on_the_list"), "{email}");
    }
}

/// IDN-06: an address at the domain proves nothing, the signed claim does.
#[test]
fn a_hosted_domain_is_the_signed_claim_alone() {
    let access = Access::new(Rules { hosted_domains: list(&["corp.com"]), ..Rules::default() });
    let decide = |email, hosted_domain| access.decide(&identity(email, hosted_domain));
    assert_eq!(decide("ada@corp.com", Some("corp.com")), Decision::Allow("hosted_domains"));
    assert_eq!(decide("ada@corp.com", Some("CORP.com")), Decision::Allow("hosted_domains"));
    assert_eq!(decide("ada@corp.com", None), Decision::Deny("not_on_the_list"));
    assert_eq!(decide("ada@corp.com", Some("other.com")), Decision::Deny("not_on_the_list"));
    assert_eq!(decide("ada@corp.com", Some("")), Decision::Deny("not_on_the_list"));
}

#[test]
fn one_match_in_any_list_is_enough() {
    let access = Access::new(Rules {
        hosted_domains: list(&["corp.com"]),
        email_domains: list(&["school.edu"]),
        emails: list(&["grace@navy.mil"]),
    });
    assert_eq!(access.decide(&identity("Grace@navy.mil", None)), Decision::Allow("emails"));
    assert_eq!(access.decide(&identity("pupil@school.edu", None)), Decision::Allow("email_domains"));
    assert_eq!(access.decide(&identity("x@corp.com", Some("corp.com"))), Decision::Allow("hosted_domains"));
    assert_eq!(access.decide(&identity("grace@army.mil", None)), Decision::Deny("not_on_the_list"));
}
