/*
 * The key broker's client: one attestation, then resources. Works against our broker and Trustee's.
 * [KBS 0.4.0]; blocking, one transfer at a time, no thread of its own. Clients that share a session may be used by several
 * threads at once, each by one.
 */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"
#include "base/secret.h"

struct kbs_client;
struct kbs_attester;

enum { KBS_REPORT_DATA_LEN = 48 };

struct kbs_options {
    const char  *url;        /* "https://HOST[:PORT]"; copied */
    struct bytes ca_pem;     /* the only certificates that count as roots; never empty; copied */
    uint32_t     timeout_ms; /* of each request, from connect to the last byte; 0: one minute */

    /*
     * NULL: plain TCP. Otherwise called for each new connection; returns a connected stream socket that the
     * client then owns and closes, or NO_FD with *err filled. The URL's host is not resolved then; it only
     * names the certificate.
     */
    int (*connect)(void *owner, struct err *err);
    void *owner;
};

FALLIBLE kbs_client_new(const struct kbs_options *options, struct kbs_client **out, struct err *err);
/*
 * A client with a connection of its own and the other's key, attestation and token: who finds the session ended attests
 * for all. To be made in one thread, as kbs_client_new.
 */
FALLIBLE kbs_client_share(const struct kbs_client *with, const struct kbs_options *options, struct kbs_client **out,
                          struct err *err);
/*
 * What a session is, to be given to another process of this guest, whose client then goes on where this one was. It holds the
 * private TEE key: the caller wipes it.
 *
 *   out        appended to
 *   attester   as for kbs_attest; NULL: the session is one of kbs_token_get, which is given it each time
 *
 * The first fails as OpenSSL does; the second MALFORMED, LIMIT for what the first did not write, and as kbs_client_new.
 */
FALLIBLE kbs_session_write(const struct kbs_client *client, struct buffer *out, struct err *err);
FALLIBLE kbs_client_resume(const struct kbs_options *options, const struct kbs_attester *attester, struct bytes session,
                           struct kbs_client **out, struct err *err);
void     kbs_client_free(struct kbs_client *client); /* the last of a session wipes the TEE key */
DEFINE_AUTO(kbs_client, struct kbs_client *, kbs_client_free)

/*
 * Gives evidence for the report data: a JSON value in the form of its TEE (attestation/evidence/snp_evidence.h for SNP),
 * appended to `json`. The hardware's 64-byte field holds the 48 bytes and then zeros.
 */
typedef bool kbs_evidence_fn(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json,
                             struct err *err);

struct kbs_attester {
    const char      *tee; /* "snp", "tdx", ... [KBS 3] */
    kbs_evidence_fn *evidence;
    void            *owner;
    struct bytes     initdata; /* the TOML text as it was delivered; empty: not sent */
};

/* What the broker's token says of us; peer text, already escaped. Not verified: the TLS peer is who we trust. */
struct kbs_verdict {
    char status[32];  /* "affirming", "warning", "contraindicated", "none"; "" when the token does not say */
    int64_t issued_s; /* the broker's time when it made the token, seconds since 1970; 0 when the token does not say */
    char reason[256]; /* our broker's one line why not affirming; "" otherwise */
};

/*
 * Challenge, evidence, token. The TEE key is fresh per client object.
 *
 *   attester   kept for a later attestation: `owner` and `initdata` must outlive the client
 *   verdict    may be NULL
 *
 * Fails DENIED when the broker refuses (with the reason that it gives), UNTRUSTED for its certificate,
 * TIMEOUT, OS when it cannot be reached, MALFORMED and LIMIT for what it answers; or as `evidence` fails.
 */
FALLIBLE kbs_attest(struct kbs_client *client, const struct kbs_attester *attester, struct kbs_verdict *verdict,
                    struct err *err);

/*
 * The broker's token and the TEE key that it names, as CoCo's attestation agent gives them to a workload:
 * {"token":"<JWT>","tee_keypair":"<PEM, PKCS#8>"}. For a client of its own: whoever has the key can open what is
 * released to it.
 *
 *   now_s      seconds since 1970: attests again when the token ends within a minute, or was never got
 *   attester   as for kbs_attest
 *   out        yours, AUTO(secret)
 */
FALLIBLE kbs_token_get(struct kbs_client *client, const struct kbs_attester *attester, int64_t now_s,
                       struct secret *out, struct err *err);

/*
 * Fetches "kbs:///REPOSITORY/TYPE/TAG" and opens it with the TEE key; attests again, once, when the session ended.
 *
 *   out    yours, AUTO(secret)
 *
 * Fails as kbs_attest; NOT_FOUND when the broker has no such resource; DENIED when its policy says no.
 */
FALLIBLE kbs_resource_get(struct kbs_client *client, const char *uri, struct secret *out, struct err *err);

/*
 * How far the volume of this key was brought, and to what it is brought now. [keys/api/epoch.h; our broker's]
 *
 * Fail as kbs_resource_get; the second fails DENIED unless `epoch` is beyond what the broker knows; NOT_FOUND, with
 * "the broker keeps no epochs", by a broker that is not ours.
 */
FALLIBLE kbs_epoch_get(struct kbs_client *client, const char *uri, uint64_t *out, struct err *err);
FALLIBLE kbs_epoch_advance(struct kbs_client *client, const char *uri, uint64_t epoch, struct err *err);
