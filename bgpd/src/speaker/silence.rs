//! What it may mean that nothing comes from a neighbor. Kernels drop what fails TCP-MD5 (RFC 2385) or GTSM (RFC 5082)
//! without a word to either side, so that people are told of these wherever there is silence.

/// For a neighbor with a password, or with `ttl-security`; `None`: it has neither.
pub(crate) fn causes_of_silence(password: bool, ttl_security: bool) -> Option<String> {
    let causes = [(password, "the TCP-MD5 passwords differ"), (ttl_security, "its TTL is too low for ttl-security")];
    let causes: Vec<&str> = causes.into_iter().filter(|(holds, _)| *holds).map(|(_, cause)| cause).collect();
    (!causes.is_empty()).then(|| causes.join(", or "))
}
