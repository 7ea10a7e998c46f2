#include "keys/broker/tls_identity.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/file.h"
#include "keys/broker/credentials.h"
#include "tests/harness/test.h"

enum { FILE_MAX = 1 << 16 };

static char *folder;

static int folder_make(void **state)
{
    struct err err;

    (void) state;
    return !(directory_make_temporary("tls-identity-", &folder, &err) && credentials_make(folder, (int64_t) time(NULL), &err));
}

static int folder_remove(void **state)
{
    struct err err;

    (void) state;
    if (!directory_remove(folder, &err))
        return 1;
    free(folder);
    return 0;
}

static void path_of(const char *name, char path[static PATH_MAX]) { (void) snprintf(path, PATH_MAX, "%s/%s", folder, name); /* a cut one is not there */ }

/* What --dev has made. */
static struct tls_identity *identity_made(void)
{
    AUTO(buffer) struct buffer chain    = { 0 };
    AUTO(secret) struct secret key      = { 0 };
    struct tls_identity       *identity = NULL;
    char                       path[PATH_MAX];
    struct err                 err;

    path_of("server.pem", path);
    assert_true(file_read(path, FILE_MAX, &chain, &err));
    path_of("server.key", path);
    assert_true(credentials_secret_read(path, &key, &err));
    assert_true(tls_identity_new(buffer_bytes(&chain), &key, &identity, &err));
    assert_non_null(identity);
    return identity;
}

/* ---- a handshake on one thread ---- */

struct end {
    gnutls_session_t                 session;
    gnutls_certificate_credentials_t trust;
};

static void end_open(struct end *e, int fd, unsigned flags, const char *priority)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&e->trust), 0);
    assert_int_equal(gnutls_init(&e->session, flags | GNUTLS_NONBLOCK), 0);
    assert_int_equal(gnutls_priority_set_direct(e->session, priority, NULL), 0);
    assert_int_equal(gnutls_credentials_set(e->session, GNUTLS_CRD_CERTIFICATE, e->trust), 0);
    gnutls_transport_set_int(e->session, fd);
}

static void end_close(struct end *e)
{
    gnutls_deinit(e->session);
    gnutls_certificate_free_credentials(e->trust);
}

/* How the client's side ends; it trusts the CA in the folder alone. */
static int handshake(const char *priority, gnutls_protocol_t *version)
{
    struct end client, server;
    int        fds[2], ours = GNUTLS_E_AGAIN, theirs = GNUTLS_E_AGAIN;
    char       ca[PATH_MAX];

    path_of("ca.pem", ca);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    end_open(&client, fds[0], GNUTLS_CLIENT, priority);
    end_open(&server, fds[1], GNUTLS_SERVER, "NORMAL");
    gnutls_certificate_set_retrieve_function3(server.trust, tls_identity_retrieve);
    assert_int_equal(gnutls_certificate_set_x509_trust_file(client.trust, ca, GNUTLS_X509_FMT_PEM), 1);
    gnutls_session_set_verify_cert(client.session, "localhost", 0);
    while (theirs == GNUTLS_E_AGAIN || ours == GNUTLS_E_AGAIN) { /* each pass moves one of them on, or ends it */
        if (theirs == GNUTLS_E_AGAIN)
            theirs = gnutls_handshake(client.session);
        if (ours == GNUTLS_E_AGAIN)
            ours = gnutls_handshake(server.session);
        if (theirs < 0 && theirs != GNUTLS_E_AGAIN)
            break;
        if (ours < 0 && ours != GNUTLS_E_AGAIN)
            break;
    }
    *version = gnutls_protocol_get_version(client.session);
    end_close(&client);
    end_close(&server);
    assert_int_equal(close(fds[0]) + close(fds[1]), 0);
    return theirs < 0 ? theirs : ours;
}

static void shakes_hands_in_both_versions_of_tls(void **state)
{
    static const struct { const char *priority; gnutls_protocol_t version; } CASES[] = {
        { "NORMAL:-VERS-ALL:+VERS-TLS1.3", GNUTLS_TLS1_3 },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.2", GNUTLS_TLS1_2 },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.2:-SIGN-ALL:+SIGN-ECDSA-SHA384", GNUTLS_TLS1_2 },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.2:-SIGN-ALL:+SIGN-ECDSA-SHA512", GNUTLS_TLS1_2 },
    };

    (void) state;
    tls_identity_show(identity_made());
    assert_true(tls_identity_is_shown());
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        gnutls_protocol_t version;

        assert_int_equal(handshake(CASES[i].priority, &version), 0);
        assert_int_equal(version, CASES[i].version);
    }
    tls_identity_show(NULL);
    tls_identity_forget_older();
}

static void a_client_that_knows_no_signature_of_ours_is_refused(void **state)
{
    gnutls_protocol_t version;

    (void) state;
    tls_identity_show(identity_made());
    assert_true(handshake("NORMAL:-VERS-ALL:+VERS-TLS1.3:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256", &version) < 0);
    tls_identity_show(NULL);
    tls_identity_forget_older();
}

static void without_one_nobody_shakes_hands(void **state)
{
    gnutls_protocol_t version;

    (void) state;
    assert_false(tls_identity_is_shown());
    assert_true(handshake("NORMAL", &version) < 0);
}

static void an_older_one_is_kept_until_it_is_forgotten(void **state)
{
    gnutls_pcert_st    *certs;
    gnutls_ocsp_data_st *ocsp;
    gnutls_privkey_t    first, second;
    unsigned            n, n_ocsp, flags;
    gnutls_datum_t      signature, text = { (unsigned char *) "text", 4 };

    (void) state;
    tls_identity_show(identity_made());
    assert_int_equal(tls_identity_retrieve(NULL, NULL, &certs, &n, &ocsp, &n_ocsp, &first, &flags), 0);
    tls_identity_show(identity_made());
    assert_int_equal(tls_identity_retrieve(NULL, NULL, &certs, &n, &ocsp, &n_ocsp, &second, &flags), 0);
    assert_ptr_not_equal(first, second);
    assert_int_equal(gnutls_privkey_sign_data2(first, GNUTLS_SIGN_ECDSA_SHA256, 0, &text, &signature), 0);
    gnutls_free(signature.data);
    tls_identity_show(NULL);
    tls_identity_forget_older();
}

static void keys_of_other_kinds_are_left_to_gnutls(void **state)
{
    EVP_PKEY                  *keys[] = { EVP_RSA_gen(2048), EVP_EC_gen("P-384") };
    AUTO(buffer) struct buffer chain  = { 0 };
    char                       path[PATH_MAX];
    struct err                 err;

    (void) state;
    path_of("server.pem", path);
    assert_true(file_read(path, FILE_MAX, &chain, &err));
    for (size_t i = 0; i < 2; i++) {
        AUTO(bio) BIO             *bio      = BIO_new(BIO_s_mem());
        AUTO(secret) struct secret key      = { 0 };
        struct tls_identity       *identity = NULL;
        char                      *text;
        long                       len;

        assert_int_equal(PEM_write_bio_PrivateKey(bio, keys[i], NULL, NULL, 0, NULL, NULL), 1);
        len = BIO_get_mem_data(bio, &text);
        assert_true(secret_copy((struct bytes){ (const uint8_t *) text, (size_t) len }, &key, &err));
        assert_true(tls_identity_new(buffer_bytes(&chain), &key, &identity, &err));
        assert_null(identity);
        EVP_PKEY_free(keys[i]);
    }
}

static void what_is_no_key_or_no_certificate_is_told(void **state)
{
    AUTO(secret) struct secret key      = { 0 };
    struct tls_identity       *identity = NULL;
    char                       path[PATH_MAX];
    struct err                 err;

    (void) state;
    assert_true(secret_copy(bytes_of_text("no key"), &key, &err));
    assert_false(tls_identity_new(bytes_of_text(""), &key, &identity, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    secret_free(&key);
    path_of("server.key", path);
    assert_true(credentials_secret_read(path, &key, &err));
    assert_false(tls_identity_new(bytes_of_text("no certificate"), &key, &identity, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shakes_hands_in_both_versions_of_tls),
        cmocka_unit_test(a_client_that_knows_no_signature_of_ours_is_refused),
        cmocka_unit_test(without_one_nobody_shakes_hands),
        cmocka_unit_test(an_older_one_is_kept_until_it_is_forgotten),
        cmocka_unit_test(keys_of_other_kinds_are_left_to_gnutls),
        cmocka_unit_test(what_is_no_key_or_no_certificate_is_told),
    };
    struct err err;

    return secret_heap_open(&err) ? cmocka_run_group_tests(tests, folder_make, folder_remove) : 1;
}
