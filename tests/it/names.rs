//! From a host's name to its addresses, without asking anybody where that is not needed.

use std::net::IpAddr;

use doorward::names::Names;

/// RFC 6761: `localhost` is this machine, whatever a name server would say; a literal is itself.
#[tokio::test]
async fn this_machine_and_literals_need_no_name_server() {
    let names = Names::from_system();
    let loopback: Vec<IpAddr> = vec!["127.0.0.1".parse().expect("an address"), "::1".parse().expect("an address")];
    for host in ["localhost", "LOCALHOST", "localhost.", "app.localhost", "a.b.localhost."] {
        assert_eq!(names.resolve(host).await.expect(host), loopback, "{host}");
    }
    for (host, address) in [("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("[2001:db8::7]", "2001:db8::7")] {
        assert_eq!(names.resolve(host).await.expect(host), [address.parse::<IpAddr>().expect("an address")], "{host}");
    }
}

/// What has no address is an error that names the host; it ends in time even where no name server answers.
#[tokio::test]
async fn a_name_without_an_address_is_an_error_that_names_it() {
    let names = Names::from_system();
    for host in ["no-such-host.invalid", "localhost.evil.invalid", "", "a..b", "evil localhost", "notlocalhost.invalid"]
    {
        let asking = tokio::time::timeout(std::time::Duration::from_secs(30), names.resolve(host));
        let error = asking.await.expect("an end").expect_err(host);
        assert!(error.to_string().contains(host), "{host}: {error}");
    }
}
